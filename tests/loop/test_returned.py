"""A rollback stays: what was known when it was made does not speak against it the next night."""

from __future__ import annotations

import datetime as dt

import pytest

from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest
from marketloop.loop.preparing import Choices
from marketloop.loop.results import FamilyResult
from marketloop.runtime.project import create_project
from marketloop.state import champions, streams

FAMILY = "price_predictor"
RIDGE = Choices(recipes=("rank_ridge",), params={"penalty": 1.5})
MARKET = {"tickers": 40, "sessions": 780, "seed": 5, "planted_ic": 0.15, "start": "2013-01-02"}
FIRST, FORCED, AFTER = dt.date(2015, 11, 20), dt.date(2015, 12, 11), dt.date(2015, 12, 18)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("returned") / "project"
    create_project(root)
    flags = {"tracking.enabled": False, "features.set": "basic", "gate.min_skill_sessions": 180}
    return open_house(root, environ={}, flags=flags)


def night(house: House, end: dt.date, *, force: bool = False) -> FamilyResult:
    collect = CollectRequest(source="synthetic", options=MARKET, end=end)
    request = CycleRequest((FAMILY,), choices=RIDGE, collect=collect, force=force, reason="x" if force else "")
    return run_cycle(house, request).families[0]


@pytest.fixture(scope="module")
def nights(house: House) -> tuple[FamilyResult, FamilyResult]:
    """A proven champion, a forced one that is rolled back, and the next night."""
    first = night(house, FIRST)
    night(house, FORCED, force=True)
    house.registry.rollback(house.slot(FAMILY), reason="the forced one is bad", at=house.clock.now())
    return first, night(house, AFTER)


def test_rollback_bears_the_newest_session_of_the_stream(
    house: House, nights: tuple[FamilyResult, FamilyResult]
) -> None:
    assert nights[0].reason_code == "first"
    with house.state.read() as db:
        ledger = champions.history(db, house.slot(FAMILY))
        stream = streams.find(db, house.slot(FAMILY))
        assert stream is not None
        blocks = streams.blocks_of(db, stream.id)
    assert [entry.action for entry in ledger][:3] == ["rollback", "forced", "promote"]
    assert ledger[0].session == ledger[1].session
    assert ledger[0].session == blocks[-1].last_session - 5  # five sessions came after it


def test_next_night_compares_later_sessions_only(nights: tuple[FamilyResult, FamilyResult]) -> None:
    after = nights[1]
    assert (after.verdict, after.reason_code) == ("refused", "not_better")
    assert after.record["pair"]["n"] == 5
