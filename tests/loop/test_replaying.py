"""Policy replay: it decides what real nights decided, and extending the history changes no earlier decision."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from marketloop.data.calendar import load_sessions
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest
from marketloop.loop.replaying import ReplayRequest, ReplayResult, replay_family
from marketloop.runtime.project import create_project
from marketloop.state import decisions

FAMILY = "price_predictor"
START, NIGHTS, STEP = dt.date(2015, 11, 13), 9, 10
SESSIONS = load_sessions("XNYS", START, dt.date(2016, 12, 30))
DATES = [SESSIONS.date(SESSIONS.first + STEP * night) for night in range(NIGHTS)]
FLAGS = {
    "tracking.enabled": False,
    "features.set": "basic",
    "gate.min_skill_sessions": 180,
    "gate.refresh_age": 50,
    "family.price_predictor.recipes": ("rank_ridge",),
}


def project(root: Path) -> House:
    create_project(root)
    return open_house(root, environ={}, flags=FLAGS)


MARKETS = {
    "no signal": {"tickers": 40, "sessions": 850, "seed": 5, "planted_ic": 0.0, "start": "2013-01-02"},
    "planted": {"tickers": 40, "sessions": 850, "seed": 5, "planted_ic": 0.15, "start": "2013-01-02"},
    "small": {"tickers": 7, "sessions": 1480, "seed": 5, "planted_ic": 0.0, "start": "2010-07-01"},
}


def collect(market: str, end: dt.date) -> CollectRequest:
    return CollectRequest(source="synthetic", options=MARKETS[market], end=end)


@dataclass(frozen=True)
class Lived:
    """What real cycles decided, and what the replay says of the same nights."""

    house: House
    decided: list[Any]
    replayed: ReplayResult


@pytest.fixture(scope="module", params=list(MARKETS))
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    house = project(tmp_path_factory.mktemp("lived") / "project")
    for date in DATES:
        run_cycle(house, CycleRequest((FAMILY,), collect=collect(request.param, date)))
    with house.state.read() as db:
        decided = list(decisions.history(db, house.slot(FAMILY)))[::-1]
    every = f"every:{STEP}"
    first = SESSIONS.first
    assert first % STEP == 0, "the nights of this test are multiples of its step"
    replayed = replay_family(house, FAMILY, ReplayRequest((every,), gated=True, start=START))
    return Lived(house, decided, replayed)


def test_gated_replay_decides_what_real_nights_decided(lived: Lived) -> None:
    events = lived.replayed.replayed[0].course.events
    assert [e.session for e in events] == [SESSIONS.first + STEP * n for n in range(NIGHTS)]
    for event, word in zip(events, lived.decided, strict=True):
        assert (event.kind, event.code) == (word.verdict, word.reason_code)
        assert event.reason == word.reason
        for name in ("session", "n", "z", "year"):
            assert event.record[name] == pytest.approx(word.record[name], rel=1e-9), name
        if "pair" in word.record:
            mine, theirs = event.record["pair"], word.record["pair"]
            assert mine["n"] == theirs["n"]
            assert mine["z"] is theirs["z"] is None or mine["z"] == pytest.approx(theirs["z"], rel=1e-6)


def test_replay_of_a_longer_history_changes_no_earlier_night(lived: Lived) -> None:
    every = f"every:{STEP}"
    policies = (every, "monthly")
    whole = replay_family(lived.house, FAMILY, ReplayRequest(policies, start=START))
    part = replay_family(lived.house, FAMILY, ReplayRequest(policies, start=DATES[2]))
    assert whole.replayed[0].course.events[: len(DATES)] == lived.replayed.replayed[0].course.events
    assert part.nights == whole.nights[2 * STEP :]


def test_ungated_replay_serves_what_was_trained_last(lived: Lived) -> None:
    (one,) = replay_family(lived.house, FAMILY, ReplayRequest((f"every:{STEP}",), gated=False, start=START)).replayed
    assert one.course.trained == [SESSIONS.first + STEP * night for night in range(NIGHTS)]
    assert one.with_signals == 1


def test_drift_policy_scans_every_close_after_its_training(lived: Lived) -> None:
    found = replay_family(lived.house, FAMILY, ReplayRequest(("drift",), start=DATES[5]))
    for one in found.replayed:
        assert one.course.trained[0] == found.nights[0]
    assert found.scans == 2 * (len(found.nights) - 1)  # with the gate and without, at every close but the first
