"""A champion that turns bad: it goes out of service, its recipe begins anew, and none of it happens twice."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from marketloop.core.errors import FailedError
from marketloop.evaluation.gate import GatePolicy
from marketloop.evaluation.harm import harm
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.flight import single_flight
from marketloop.loop.harm import reign_of
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest
from marketloop.loop.pairing import frozen_scores, series_of
from marketloop.loop.predicting import predict
from marketloop.loop.preparing import Choices, choose, prepare
from marketloop.loop.results import CycleResult, FamilyResult
from marketloop.loop.streams import gate_slot, open_stored
from marketloop.registry import Demotion
from marketloop.runtime.project import create_project
from marketloop.state import Slot, champions, decisions, outbox, scoreboards, skill, streams
from marketloop.state.champions import Champion

FAMILY = "price_predictor"
RIDGE = Choices(recipes=("rank_ridge",), params={"penalty": 1.5})
FIRST, ALARM, AFTER = dt.date(2015, 11, 20), dt.date(2016, 3, 15), dt.date(2016, 4, 5)
TURN = 732
MARKET = {
    "tickers": 40,
    "sessions": 830,
    "seed": 5,
    "planted_ic": 0.15,
    "start": "2013-01-02",
    "drift_at": TURN,
    "drift": "relation",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("harm") / "project"
    create_project(root)
    flags = {"tracking.enabled": False, "features.set": "basic", "gate.min_skill_sessions": 180}
    return open_house(root, environ={}, flags=flags)


def night(house: House, end: dt.date, **more: object) -> CycleResult:
    collect = CollectRequest(source="synthetic", options=MARKET, end=end)
    return run_cycle(house, CycleRequest((FAMILY,), choices=RIDGE, collect=collect, **more))  # type: ignore[arg-type]


def champion_of(house: House) -> Champion:
    found = house.registry.champion(house.slot(FAMILY))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def nights(house: House) -> list[FamilyResult]:
    """The signal is proven, turns round the next day, and two nights follow."""
    return [night(house, end).families[0] for end in (FIRST, ALARM, AFTER)]


def test_signal_is_proven_before_it_turns(nights: list[FamilyResult]) -> None:
    assert (nights[0].verdict, nights[0].reason_code, nights[0].warnings) == ("promoted", "first", ())


def test_champion_that_does_worse_than_chance_is_taken_out_of_service(house: House, nights: list[FamilyResult]) -> None:
    (warning,) = (text for text in nights[1].warnings if text.startswith("harm alarm"))
    assert "version 1 has done worse than chance on its own last 63 sessions" in warning
    with house.state.read() as db:
        (word,) = (d for d in decisions.history(db) if d.verdict == "harm")
        (entry,) = (e for e in champions.history(db, house.slot(FAMILY)) if e.action == "harm")
    assert word.reason_code == "harm"
    assert word.record["harm"]["z"] <= word.record["harm"]["z_harm"] == -3.1
    assert (word.record["harm"]["n"], word.version) == (63, 1)
    assert word.reason in warning
    assert (entry.version, entry.status, entry.skill_proven) == (1, "provisional", False)
    assert entry.session == word.record["session"]


def test_gate_then_sees_an_unproven_slot_in_the_same_night(nights: list[FamilyResult]) -> None:
    after_alarm = nights[1]
    assert (after_alarm.verdict, after_alarm.reason_code) in {("refused", "no_skill"), ("provisional", "refresh")}
    assert (after_alarm.record["n"], after_alarm.record["skill_proven"]) == (0, False)


def test_recipe_begins_anew_as_a_further_stream_after_the_alarm(house: House, nights: list[FamilyResult]) -> None:
    slot = house.slot(FAMILY)
    with house.state.read() as db:
        old, new = streams.history(db, slot)
        pieces = streams.blocks_of(db, new.id)
        lost = skill.current(db, old.id)
        years = {year.stream_id: year for year in skill.years(db, slot)}
    assert (old.closed_because, old.fingerprint) == (streams.HARM, new.fingerprint)
    assert old.closed_session == new.opened_session
    assert min(piece.first_session for piece in pieces) == new.opened_session + 1
    assert lost is not None
    assert (lost.state, lost.session) == ("lost", new.opened_session)
    assert (years[new.id].k, years[new.id].alpha, years[new.id].n0) == (1, 0.025 / 4, 180)
    later = nights[2].record
    assert later["n"] < 20
    assert later["year"] == nights[1].record["year"]


def test_restarted_stream_walks_on_with_the_models_of_the_old_one(house: House, nights: list[FamilyResult]) -> None:
    del nights
    spec = choose(house, FAMILY, RIDGE)
    stored = open_stored(house, house.slot(FAMILY), spec)
    assert stored.row is not None
    assert stored.after == stored.row.opened_session
    sessions = stored.stream.scores["session"].unique().sort()
    assert sessions[0] < stored.row.opened_session < sessions[-1]
    with house.state.read() as db:
        first = streams.blocks_of(db, stored.row.id)[0]
    assert first.train_through < first.first_session


def test_harmful_champion_is_journalled_with_every_signal_on_hold(house: House, nights: list[FamilyResult]) -> None:
    session = prepare(house, choose(house, FAMILY, RIDGE)).sessions.date(nights[1].record["session"])
    with house.state.scores.read() as db:
        rows = scoreboards.load(db, house.slot(FAMILY), 1, as_of=session)
    assert len(rows) == 40
    assert {row.signal for row in rows} == {"HOLD"}


def test_signal_that_was_journalled_before_the_alarm_is_answered_as_hold(
    house: House, nights: list[FamilyResult]
) -> None:
    """Rows of the journal are never changed: the answer follows the status."""
    del nights
    answers = predict(house, family=FAMILY)
    buy = replace(answers.predictions[0], signal="BUY", as_of=answers.as_of + dt.timedelta(days=1))
    entry = champion_of(house)
    house.registry.write_scoreboard(entry.slot, entry.version, [buy], at=house.clock.now())
    (said,) = predict(house, family=FAMILY).predictions
    assert (entry.status, said.ticker, said.signal) == ("provisional", buy.ticker, "HOLD")


def test_night_that_runs_twice_rings_once(house: House, nights: list[FamilyResult]) -> None:
    del nights
    with house.state.read() as db:
        before = (decisions.history(db), streams.history(db, house.slot(FAMILY)))
    again = night(house, AFTER)
    assert again.outcome == "skipped"
    with house.state.read() as db:
        assert (decisions.history(db), streams.history(db, house.slot(FAMILY))) == before


def test_new_stream_of_the_recipe_never_reaches_back_before_the_alarm(house: House, nights: list[FamilyResult]) -> None:
    del nights
    slot, spec = house.slot(FAMILY), choose(house, FAMILY, RIDGE)
    with house.state.read() as db:
        ended = streams.harmed(db, slot, spec.fingerprint)
        assert streams.harmed(db, slot, "another recipe") == ()
    assert [stream.closed_because for stream in ended] == [streams.HARM]
    looked = open_stored(house, slot, spec)
    assert looked.after == ended[0].closed_session


def test_slot_knows_of_the_further_stream(house: House, nights: list[FamilyResult]) -> None:
    session = nights[2].record["session"]
    with house.state.read() as db:
        row = streams.find(db, house.slot(FAMILY))
    assert row is not None
    known = gate_slot(house, house.slot(FAMILY), row, session=session)
    assert (known.proven, known.further) == (False, 1)


def test_demotion_that_is_cut_off_changes_nothing(
    house: House, nights: list[FamilyResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    del nights
    entry = champion_of(house)
    slot = house.slot(FAMILY)
    with house.state.read() as db:
        before = (decisions.history(db), streams.history(db, slot), skill.current(db, entry.stream_id or ""))

    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with single_flight(house, trigger="test", reason="") as flight:
        why = Demotion(entry.session or 0, "a test", -4.0, 63, cycle_id=flight.id)
        registry = replace(house.registry, topics=("mlflow",))
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "append", cut_off)
            with pytest.raises(KeyboardInterrupt):
                registry.demote(slot, why, expected=entry.entry, held=flight.held, at=house.clock.now())
        with pytest.raises(FailedError, match="changed meanwhile"):
            registry.demote(slot, why, expected=entry.entry - 1, held=flight.held, at=house.clock.now())
    with house.state.read() as db:
        assert before == (decisions.history(db), streams.history(db, slot), skill.current(db, entry.stream_id or ""))
    assert champion_of(house) == entry


def entries(*made: tuple[int, str, str]) -> tuple[Champion, ...]:
    """Return a ledger, newest first, of (version, action, status)."""
    at, slot = dt.datetime(2026, 1, 2, tzinfo=dt.UTC), Slot(FAMILY, "rsi10_vol20_support20")
    return tuple(
        Champion(slot, version, action, status, status == "champion", at, at, at, "d", "ab", 1)
        for version, action, status in made
    )


@pytest.mark.parametrize(
    ("ledger", "inherited"),
    [
        ([(7, "refresh"), (5, "refresh"), (4, "promote"), (2, "refresh")], [7, 5, 4]),
        ([(7, "promote"), (5, "refresh")], [7]),
        ([(7, "forced"), (5, "promote")], [7]),
        ([(7, "pin"), (7, "refresh"), (5, "promote")], [7, 5]),
        ([(4, "rollback"), (7, "refresh"), (4, "promote")], [4]),
    ],
)
def test_champion_inherits_the_evidence_of_those_that_it_only_refreshed(
    ledger: list[tuple[int, str]], inherited: list[int]
) -> None:
    history = entries(*((version, action, "champion") for version, action in ledger))
    assert [entry.version for entry in reign_of(history)] == inherited


def test_evidence_from_before_an_alarm_is_not_inherited() -> None:
    history = entries((9, "refresh", "champion"), (8, "harm", "provisional"), (8, "promote", "champion"))
    assert [entry.version for entry in reign_of(history)] == [9]


def test_live_series_is_that_of_the_version_served_at_each_session(house: House, nights: list[FamilyResult]) -> None:
    """Version 1 alone after its training; it says nothing of what it was trained on."""
    del nights
    slot, spec = house.slot(FAMILY), choose(house, FAMILY, RIDGE)
    prepared = prepare(house, spec)
    with house.state.read() as db:
        first = champions.history(db, slot)[-1]
    assert first.trained_through is not None
    scores = frozen_scores(house, prepared, spec, first, last=prepared.panel.last)
    assert scores["session"].min() == first.trained_through + 1
    series = series_of(prepared, spec, scores)
    assert series.session[0] == first.trained_through + 1 + spec.label.horizon
    assert harm(series, GatePolicy()).z < -2
