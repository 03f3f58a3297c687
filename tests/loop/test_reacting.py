"""Each event is acted on once, with a request or with the reason for none, whoever crashes in between."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marketloop.core.errors import FailedError
from marketloop.loop import Event, EventType, publish, reacting
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.reacting import ATTEMPTS, Reaction, react
from marketloop.runtime.clock import FixedClock
from marketloop.runtime.project import create_project
from marketloop.state import cycles, events, requests, this_process
from marketloop.state.requests import Request

AT = dt.datetime(2026, 1, 6, 12, tzinfo=dt.UTC)
MARKET = {"tickers": 3, "sessions": 60, "seed": 1}
FLAGS = {"tracking.enabled": False, "retraining.on_events": True}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = create_project(tmp_path_factory.mktemp("reacting") / "project")
    with open_house(project.root, environ={}, flags=FLAGS) as house:
        ingest(house, CollectRequest(source="synthetic", options=MARKET))
    return project.root


@pytest.fixture
def house(root: Path) -> Iterator[House]:
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (root / name).unlink(missing_ok=True)
    with open_house(root, environ={}, flags=FLAGS, clock=FixedClock(AT)) as opened:
        yield opened


def say(house: House, what: EventType, /, source: str = "python", **data: Any) -> None:
    publish(Event(what, data), house, source=source)


def asked(house: House) -> list[Request]:
    with house.state.read() as db:
        return list(requests.recent(db))[::-1]


@pytest.mark.parametrize(
    ("kind", "data", "trigger", "reason"),
    [
        (EventType.ANALYSIS_COMPLETED, {"batch_size": 50}, "event", "50 tickers were analysed"),
        (EventType.BACKTEST_COMPLETED, {}, "event", "a backtest was completed"),
        (EventType.DATA_ARRIVED, {}, "event", "new data have arrived"),
        (EventType.DRIFT_DETECTED, {"note": "rsi"}, "drift", "drift was detected: rsi"),
        (EventType.MARKET_SHOCK, {"vix": 40.5}, "event", "the VIX stands at 40.5"),
        (EventType.MARKET_EVENT, {"kind": "policy"}, "event", "market event (policy)"),
    ],
)
def test_event_becomes_a_request_of_its_trigger(
    house: House, kind: EventType, data: dict[str, Any], trigger: str, reason: str
) -> None:
    say(house, kind, **data)
    (reaction,) = react(house, at=AT)
    (request,) = asked(house)
    assert (reaction.action, reaction.request_id) == ("request", request.id)
    assert (request.key, request.trigger, request.reason) == ("event:1", trigger, reason)
    assert (request.state, request.requested_by) == ("waiting", "event 1")
    assert "price_predictor" in request.families
    assert react(house, at=AT) == ()


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        (EventType.ANALYSIS_COMPLETED, {"batch_size": 49}, "49 tickers were analysed, 50 are a batch"),
        (EventType.MARKET_SHOCK, {"vix": 40}, "the VIX stands at 40, a shock is above 40"),
        (EventType.DRIFT_DETECTED, {"action": "plan"}, "the finding asks to plan, not to retrain"),
        (EventType.DATA_ARRIVED, {"new_rows": 0}, "no rows are new"),
        (
            EventType.MODEL_PROMOTED,
            {"family": "f", "config_key": "k", "version": 1},
            "it tells what has happened and calls for nothing",
        ),
    ],
)
def test_event_that_calls_for_nothing_says_why(house: House, kind: EventType, data: dict[str, Any], why: str) -> None:
    say(house, kind, **data)
    assert react(house, at=AT) == (Reaction(1, kind.value, "none", why),)
    assert asked(house) == []
    with house.state.read() as db:
        assert events.recent(db)[0].result == {"action": "none", "why": why}


def test_own_events_of_the_loop_never_cause_a_retraining(house: House) -> None:
    say(house, EventType.DRIFT_DETECTED, source="loop")
    (reaction,) = react(house, at=AT)
    assert reaction.action == "none"
    assert "cause no retraining" in reaction.why
    assert asked(house) == []


def test_without_the_opt_in_an_event_keeps_the_reason_and_makes_no_request(root: Path, house: House) -> None:
    say(house, EventType.MARKET_SHOCK, vix=80)
    flags = {**FLAGS, "retraining.on_events": False}
    with open_house(root, environ={}, flags=flags, clock=FixedClock(AT)) as strict:
        (reaction,) = react(strict, at=AT)
    assert asked(house) == []
    with house.state.read() as db:
        assert events.recent(db)[0].result == reaction.document() == {"action": "none", "why": reaction.why}
    assert "on_events is off" in reaction.why


def test_event_too_soon_after_the_last_start_is_skipped_with_the_reason(house: House) -> None:
    with house.state.write() as db:
        began = AT - dt.timedelta(hours=5)
        cycle = cycles.start(db, trigger="manual", reason="", process=this_process(), at=began)
        cycles.finish(db, cycle.id, outcome="refused", document={}, at=AT)
    say(house, EventType.MARKET_SHOCK, vix=80)
    (reaction,) = react(house, at=AT)
    assert reaction.action == "skipped"
    assert "24" in reaction.why


def test_flood_of_events_is_one_retraining(house: House) -> None:
    for _ in range(20):
        say(house, EventType.DATA_ARRIVED, new_rows=1)
    actions = [reaction.action for reaction in react(house, at=AT)]
    assert actions == ["request"] + ["skipped"] * 19
    waiting = [request for request in asked(house) if request.state == "waiting"]
    assert len(waiting) == 1
    passed_over = [request for request in asked(house) if request.state != "waiting"]  # of one instant: in any order
    assert len(passed_over) == 19
    assert all(f'request "{waiting[0].id}" (event 1) is waiting' in request.why_not for request in passed_over)


def test_crash_between_request_and_mark_gives_no_second_request(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    say(house, EventType.MARKET_SHOCK, vix=80)

    def crash(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(events, "handled", crash)
        with pytest.raises(KeyboardInterrupt):
            react(house, at=AT)
    (reaction,) = react(house, at=AT)
    (request,) = asked(house)
    assert reaction.request_id == request.id


def test_two_workers_at_once_make_one_request_of_one_event(house: House, root: Path) -> None:
    for _ in range(5):
        say(house, EventType.MARKET_SHOCK, vix=80)
    code = (
        "import sys, datetime as dt, pathlib\n"
        "from marketloop.loop.house import open_house\n"
        "from marketloop.loop.reacting import react\n"
        f"house = open_house(pathlib.Path({str(root)!r}), environ={{}}, flags={FLAGS!r})\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "react(house, at=dt.datetime(2026, 1, 6, 12, tzinfo=dt.UTC))\n"
    )
    pipe = subprocess.PIPE
    workers = [subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for worker in workers:
        assert worker.stdout
        worker.stdout.readline()
    for worker in workers:
        worker.communicate("go\n", timeout=60)
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sorted(request.key for request in asked(house)) == [f"event:{n}" for n in range(1, 6)]
    with house.state.read() as db:
        assert events.pending(db) == ()


def test_failing_reaction_is_tried_again_later_then_parked_and_keeps_nobody_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(house, EventType.DRIFT_DETECTED, families=["momentum_ranker"])
    say(house, EventType.MARKET_SHOCK, vix=10)

    def broken(*_: object, **__: object) -> None:
        raise FailedError("the store https://anna:hunter2@db is away")

    monkeypatch.setattr(reacting, "why_not_now", broken)
    assert [reaction.action for reaction in react(house, at=AT)] == ["later", "none"]
    assert react(house, at=AT) == ()  # not at once
    later = [react(house, at=AT + dt.timedelta(days=day))[0].action for day in range(1, ATTEMPTS)]
    assert later == ["later"] * (ATTEMPTS - 2) + ["parked"]
    assert react(house, at=AT + dt.timedelta(days=9)) == ()
    with house.state.read() as db:
        event = events.get(db, 1)
    assert event is not None
    assert event.result == {"action": "parked", "why": "the store https://***@db is away"}
    assert asked(house) == []


def test_event_from_a_newer_version_is_parked_in_the_end(house: House) -> None:
    with house.state.write() as db:
        events.publish(db, "MOON_LANDED", key="m", payload={}, source="api", at=AT)
    for day in range(ATTEMPTS):
        (reaction,) = react(house, at=AT + dt.timedelta(days=day))
    assert reaction.action == "parked"
    assert 'unknown event "MOON_LANDED"' in reaction.why


def test_clock_that_jumped_back_keeps_no_event(house: House) -> None:
    say(house, EventType.MARKET_SHOCK, vix=80)
    (reaction,) = react(house, at=AT - dt.timedelta(days=400))
    assert reaction.action == "request"


def test_events_that_fail_and_wait_do_not_hold_back_a_newer_one(house: House) -> None:
    with house.state.write() as db:
        for number in range(120):
            failing = events.publish(db, "MOON_LANDED", key=f"m{number}", payload={}, source="api", at=AT)[0]
            events.failed(db, failing.id, trouble="away")
    say(house, EventType.MARKET_SHOCK, vix=80)
    (reaction,) = react(house, at=AT)
    assert (reaction.event_id, reaction.action) == (121, "request")
