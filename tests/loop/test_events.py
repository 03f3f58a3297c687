"""Events are checked when they are made, kept once per key, and told of every promotion and rollback."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marketloop.core.errors import UsageError
from marketloop.loop import Event, EventType, publish
from marketloop.loop.events import drain_events, publish_end_of_cycle
from marketloop.loop.flight import single_flight
from marketloop.loop.house import House, open_house
from marketloop.registry import Ruling
from marketloop.runtime.payloads import PAYLOADS
from marketloop.runtime.project import create_project
from marketloop.state import Slot, cycles, events, lease, this_process

AT = dt.datetime(2026, 1, 3, 12, tzinfo=dt.UTC)
LEAST: dict[EventType, dict[str, Any]] = {
    EventType.BACKTEST_COMPLETED: {},
    EventType.ANALYSIS_COMPLETED: {"batch_size": 60},
    EventType.DATA_ARRIVED: {},
    EventType.DRIFT_DETECTED: {},
    EventType.MARKET_SHOCK: {"vix": 45},
    EventType.MARKET_EVENT: {"kind": "crash"},
    EventType.RETRAINING_COMPLETED: {"cycle_id": "c", "trigger": "manual", "outcome": "failed"},
    EventType.MODEL_PROMOTED: {"family": "f", "config_key": "k", "version": 1},
    EventType.MODEL_ROLLED_BACK: {"family": "f", "config_key": "k", "version": 1},
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    create_project(tmp_path / "project")
    with open_house(tmp_path / "project", environ={}, flags={"tracking.enabled": False}) as opened:
        yield opened


def stored(house: House) -> list[tuple[str, str]]:
    with house.state.read() as db:
        return [(event.type, event.source) for event in events.recent(db)][::-1]


def test_every_type_has_a_payload_and_carries_its_least_data() -> None:
    assert set(PAYLOADS) == set(EventType) == set(LEAST)
    for kind, data in LEAST.items():
        assert Event(kind, data).type is kind


def test_type_is_understood_in_any_spelling_of_its_name() -> None:
    assert Event("market-shock", {"vix": "45.5"}).data["vix"] == 45.5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("MARKET_SHOK", {}, 'unknown event "MARKET_SHOK": .*MARKET_SHOCK.*Did you mean "MARKET_SHOCK"'),
        ("MARKET_SHOCK", {"vix": "high"}, "MARKET_SHOCK: vix = 'high': expected a valid number"),
        ("MARKET_SHOCK", {"vix": float("nan")}, "MARKET_SHOCK: vix = nan: expected a finite number"),
        ("MARKET_SHOCK", {"vix": -1}, "MARKET_SHOCK: vix = -1: expected greater than or equal to 0"),
        ("MARKET_SHOCK", {}, 'MARKET_SHOCK: field "vix" is missing: expected'),
        ("MARKET_SHOCK", {"vix": 45, "vixx": 4}, 'unknown field "vixx": expected .*vix.* Did you mean "vix"'),
        ("MARKET_EVENT", {"kind": "flood"}, "MARKET_EVENT: kind = 'flood': expected 'crash', 'policy' or 'structural'"),
        ("ANALYSIS_COMPLETED", {"batch_size": 1.5}, "batch_size = 1.5: expected a valid integer"),
        ("DATA_ARRIVED", {"tickers": "AAPL"}, "tickers = 'AAPL': expected a valid tuple"),
        ("DATA_ARRIVED", {"note": "x" * 2001}, "note = 'xxx.*: string should have at most 2000 characters"),
        ("BACKTEST_COMPLETED", {"results": {str(n): n for n in range(101)}}, "results = .*at most 100 items"),
        ("DATA_ARRIVED", {"tickers": ["T" * 128] * 600}, "bytes of data: expected at most 65,536"),
        ("DATA_ARRIVED", [1], "data is a list: expected a mapping"),
    ],
)
def test_wrong_event_is_named_with_its_field_and_value(kind: Any, data: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Event(kind, data)


def test_event_is_durable_and_one_key_is_one_event(house: House) -> None:
    first = publish(Event(EventType.DATA_ARRIVED, {"new_rows": 5}), house, key="data:7")
    again = publish(Event(EventType.DATA_ARRIVED, {"new_rows": 6}), house, key="data:7")
    other = publish(Event(EventType.DATA_ARRIVED, {"new_rows": 6}), house)
    assert again.id == first.id
    assert again.payload["new_rows"] == 5
    assert other.id > first.id
    house.close()
    assert stored(house) == [("DATA_ARRIVED", "python")] * 2


def test_project_is_found_by_its_folder(house: House) -> None:
    assert publish(Event(EventType.MARKET_SHOCK, {"vix": 50}), house.project.root).type == "MARKET_SHOCK"
    assert stored(house) == [("MARKET_SHOCK", "python")]


def test_unknown_family_and_wrong_things_are_refused_and_nothing_is_kept(house: House) -> None:
    with pytest.raises(UsageError, match=r'unknown family "price_predicter".*Did you mean "price_predictor"'):
        publish(Event(EventType.DRIFT_DETECTED, {"families": ["price_predicter"]}), house)
    with pytest.raises(UsageError, match="takes an Event, not 'DATA_ARRIVED'"):
        publish("DATA_ARRIVED", house)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="key of an event"):
        publish(Event(EventType.DATA_ARRIVED), house, key="k" * 256)
    assert stored(house) == []


def test_promotion_and_rollback_become_events_once(house: House) -> None:
    slot = Slot("price_predictor", "rsi10_vol20_support20")
    with house.state.write() as db:
        held = lease.acquire(db, "cycle", process=this_process(), at=AT)
    assert held is not None
    manifest = {"data_version": "1", "features": ["rsi"], "recipe": "ridge", "seed": 7, "threads": 2}
    for version, verdict in ((1, "promoted"), (2, "provisional"), (3, "refused")):
        made = house.registry.write_candidate(slot, parts={"m.ubj": b"x", "l.json": b"{}"}, manifest=manifest, at=AT)
        house.registry.examined(slot, version, metrics={}, baseline={}, scorecard={}, at=AT)
        if verdict == "refused":
            house.registry.refuse(slot, made.version, Ruling("refused", "no_skill", "none"), at=AT)
        else:
            ruling = Ruling(verdict, "first", "because")
            house.registry.promote(slot, made.version, ruling, expected=version - 1, held=held, at=AT)
    house.registry.rollback(slot, reason="test", at=AT)
    drain_events(house)
    drain_events(house)
    assert stored(house) == [("MODEL_PROMOTED", "loop"), ("MODEL_PROMOTED", "loop"), ("MODEL_ROLLED_BACK", "loop")]
    with house.state.read() as db:
        told = [(event.payload["version"], event.payload["what"]) for event in events.recent(db)]
    assert told == [(1, "rollback"), (2, "provisional"), (1, "promoted")]


def test_end_of_a_cycle_is_an_event_of_the_same_transaction(house: House) -> None:
    with single_flight(house, trigger="manual", reason="test") as flight:
        flight.outcome = "refused"
        flight.document = {"families": [{"family": "price_predictor", "verdict": "refused"}]}
    assert stored(house) == [("RETRAINING_COMPLETED", "loop")]
    with house.state.write() as db:
        publish_end_of_cycle(db, flight.id, at=AT)  # again, by whoever recovers
        (event,) = events.recent(db)
    assert event.payload["outcome"] == "refused"
    assert event.payload["verdicts"] == {"price_predictor": "refused"}


def test_broken_cycle_is_an_event_with_its_error(house: House) -> None:
    with pytest.raises(RuntimeError), single_flight(house, trigger="event", reason="test"):
        raise RuntimeError("the roof")
    with house.state.read() as db:
        (event,) = events.recent(db)
        (cycle,) = cycles.recent(db)
    assert (event.payload["outcome"], event.payload["cycle_id"]) == ("failed", cycle.id)
    assert "the roof" in event.payload["error"]
