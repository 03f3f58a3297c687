"""Several nights of one project: what was said stays said, a repeated night is one look, a broken night is no loss."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from marketloop.core.errors import UsageError
from marketloop.loop import turn as turn_module
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest
from marketloop.loop.preparing import Choices
from marketloop.loop.results import CycleResult, FamilyResult
from marketloop.runtime.project import create_project
from marketloop.state import cycles, decisions, lease, skill, streams, this_process

MARKET = {"tickers": 44, "sessions": 760, "seed": 11, "start": "2013-01-02"}
FIRST_NIGHT, SECOND_NIGHT = dt.date(2015, 12, 1), dt.date(2015, 12, 15)
RIDGE = Choices(recipes=("rank_ridge",), params={"penalty": 1.5})


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("nights") / "project"
    create_project(root)
    return open_house(root, environ={}, flags={"tracking.enabled": False})


def night(house: House, end: dt.date, *, force: bool = False, reason: str = "") -> CycleResult:
    collect = CollectRequest(source="synthetic", options=MARKET, end=end)
    request = CycleRequest(("price_predictor",), choices=RIDGE, collect=collect, force=force, reason=reason)
    return run_cycle(house, request)


def stored_scores(house: House) -> pl.DataFrame:
    with house.state.read() as db:
        row = streams.find(db, house.slot("price_predictor"))
        assert row is not None
        pieces = streams.blocks_of(db, row.id)
    files: list[Path] = [house.stream_files.root / piece.path for piece in pieces]
    return pl.concat([pl.read_parquet(file) for file in files])


@pytest.fixture(scope="module")
def nights(house: House) -> tuple[FamilyResult, pl.DataFrame, FamilyResult, pl.DataFrame]:
    first = night(house, FIRST_NIGHT).families[0]
    before = stored_scores(house)
    second = night(house, SECOND_NIGHT).families[0]
    return first, before, second, stored_scores(house)


def test_first_night_publishes_a_provisional_champion_with_every_signal_on_hold(
    house: House, nights: tuple[FamilyResult, pl.DataFrame, FamilyResult, pl.DataFrame]
) -> None:
    first = nights[0]
    assert (first.verdict, first.reason_code, first.version) == ("provisional", "first", 1)
    assert first.metrics["accuracy"] is not None
    assert first.baseline["accuracy"] is not None
    champion = house.registry.champion(house.slot("price_predictor"))
    assert champion is not None
    assert (champion.version, champion.status, champion.skill_proven) == (1, "provisional", False)


def test_second_night_appends_sessions_and_changes_no_score(
    nights: tuple[FamilyResult, pl.DataFrame, FamilyResult, pl.DataFrame],
) -> None:
    _, before, _, after = nights
    assert after["session"].max() - before["session"].max() == 10  # type: ignore[operator]
    assert after.head(len(before)).equals(before)


def test_second_night_keeps_the_young_provisional_champion_and_the_bar_of_the_year(
    house: House, nights: tuple[FamilyResult, pl.DataFrame, FamilyResult, pl.DataFrame]
) -> None:
    first, _, second, _ = nights
    assert (second.verdict, second.reason_code) == ("refused", "no_skill")
    assert second.record["year"] == first.record["year"]
    with house.state.read() as db:
        assert len(skill.years(db, house.slot("price_predictor"))) == 1


def test_night_without_new_bars_is_skipped_and_is_no_look(
    house: House, nights: tuple[FamilyResult, pl.DataFrame, FamilyResult, pl.DataFrame]
) -> None:
    del nights
    with house.state.read() as db:
        before = len(decisions.history(db))
    again = night(house, SECOND_NIGHT)
    assert (again.outcome, again.families[0].reason_code, again.exit_code) == ("skipped", "not_due", 0)
    assert "collect newer bars" in again.families[0].reason
    with house.state.read() as db:
        assert len(decisions.history(db)) == before


def test_forced_night_promotes_but_stays_provisional_and_says_why(
    house: House, nights: tuple[FamilyResult, pl.DataFrame, FamilyResult, pl.DataFrame]
) -> None:
    del nights
    forced = night(house, SECOND_NIGHT, force=True, reason="the desk asked for it").families[0]
    assert (forced.verdict, forced.reason_code) == ("promoted", "forced")
    assert "the desk asked for it" in forced.reason
    champion = house.registry.champion(house.slot("price_predictor"))
    assert champion is not None
    assert (champion.version, champion.status) == (forced.version, "provisional")
    assert forced.record["year"]["k"] == 0


def test_force_without_a_reason_is_refused() -> None:
    with pytest.raises(UsageError, match="--reason"):
        CycleRequest(force=True)


def test_interrupted_night_is_recorded_as_failed_and_loses_nothing(
    house: House,
    nights: tuple[FamilyResult, pl.DataFrame, FamilyResult, pl.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del nights
    champion = house.registry.champion(house.slot("price_predictor"))

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(turn_module, "examine_candidate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            night(house, dt.date(2015, 12, 22))
    with house.state.read() as db:
        last = cycles.recent(db, limit=1)[0]
    assert (last.outcome, last.document) == ("failed", {"error": "KeyboardInterrupt: "})
    assert house.registry.champion(house.slot("price_predictor")) == champion
    assert night(house, dt.date(2015, 12, 22)).outcome == "refused"


def test_second_cycle_is_skipped_as_busy_while_one_runs(house: House) -> None:
    with house.state.write() as db:
        held = lease.acquire(db, "cycle", process=this_process(), at=house.clock.now())
    assert held is not None
    try:
        second = night(house, SECOND_NIGHT)
        assert (second.outcome, second.families[0].reason_code, second.exit_code) == ("skipped", "busy", 0)
        assert "another cycle is running" in second.families[0].reason
    finally:
        with house.state.write() as db:
            lease.release(db, held, at=house.clock.now())


def test_failing_family_is_recorded_and_raises_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a plugin's recipe")

    monkeypatch.setattr(turn_module, "make_candidate", burst)
    result = night(house, dt.date(2015, 12, 30))
    assert (result.outcome, result.exit_code) == ("failed", 3)
    assert result.families[0].error == "ZeroDivisionError: a plugin's recipe"
