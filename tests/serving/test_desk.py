"""The desk: swaps newer boards in, answers on when the database is away, and says so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from marketloop.bench.shop import Shop, score_of
from marketloop.core.errors import FailedError
from marketloop.serving.assignment import assign
from marketloop.serving.board import Board
from marketloop.serving.desk import Desk, sessions_since
from marketloop.serving.keys import KeyRing
from marketloop.state import State, rollouts, scoreboards, skill
from marketloop.state.rollouts import Rollout
from marketloop.state.skill import Finding

NOW = dt.datetime.now(dt.UTC)
TODAY = NOW.date()
NAMES = tuple(f"T{number:02d}" for number in range(30))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop.make(tmp_path / "project") as made:
        yield made


def desk_of(shop: Shop) -> Desk:
    helm = shop.helm
    return Desk(helm.settings, helm.settings.strategy.config.key, lambda: helm.state, shop.registry.root)


def board_of(desk: Desk) -> Board:
    found = desk.view.find("price_predictor")
    assert found is not None
    return found[0]


def test_new_champion_is_swapped_in_as_a_whole(shop: Shop) -> None:
    desk = desk_of(shop)
    assert desk.refresh(NOW)
    assert desk.view.find("price_predictor") is None
    for version in (1, 2, 3):
        shop.crown(NAMES, as_of=TODAY)
        assert desk.refresh(NOW)
        answers = board_of(desk).answers
        assert {answer["model_version"] for answer in answers.values()} == {version}
        assert [answers[name]["score"] for name in NAMES] == [score_of(version, n) for n in range(len(NAMES))]


def test_nothing_new_is_no_swap(shop: Shop) -> None:
    shop.crown(NAMES, as_of=TODAY)
    desk = desk_of(shop)
    assert [desk.refresh(NOW) for _ in range(3)] == [True, False, False]
    before = desk.view.boards
    assert desk.refresh(NOW + dt.timedelta(seconds=1)) is False
    assert desk.view.boards is before
    assert desk.view.read_at == NOW + dt.timedelta(seconds=1)


def test_newer_session_of_the_same_champion_is_swapped_in(shop: Shop) -> None:
    version = shop.crown(NAMES, as_of=TODAY - dt.timedelta(days=1))
    desk = desk_of(shop)
    desk.refresh(NOW)
    said = board_of(desk)
    with shop.helm.state.scores.read() as db:
        yesterday = scoreboards.load(db, shop.slot(), version)
    fresh = [replace(prediction, as_of=TODAY) for prediction in yesterday]
    shop.registry.write_scoreboard(shop.slot(), version, fresh, at=NOW)
    assert desk.refresh(NOW)
    assert (said.as_of, board_of(desk).as_of) == (TODAY - dt.timedelta(days=1), TODAY)


def test_trouble_is_kept_in_the_view_and_answers_say_stale(shop: Shop) -> None:
    shop.crown(NAMES, as_of=TODAY)
    away = [False]

    def opened() -> State:
        if away[0]:
            raise FailedError("the database is away")
        return shop.helm.state

    helm = shop.helm
    desk = Desk(helm.settings, helm.settings.strategy.config.key, opened, shop.registry.root)
    desk.refresh(NOW)
    away[0], desk._state = True, None
    assert desk.refresh(NOW) is False
    answer = board_of(desk).answers["T00"]
    assert [desk.view.trouble, answer["model_version"], answer["stale"]] == ["the database is away", 1, True]
    away[0] = False
    assert desk.refresh(NOW) is True
    assert [desk.view.trouble, board_of(desk).answers["T00"]["stale"]] == ["", False]


def test_keys_are_unknown_until_they_were_read(shop: Shop) -> None:
    desk = desk_of(shop)
    before = desk.ring
    desk.refresh(NOW)
    assert before is None
    assert desk.ring == KeyRing()


def test_database_away_at_the_start_is_no_error(shop: Shop) -> None:
    def away() -> State:
        raise FailedError("not there")

    desk = Desk(shop.helm.settings, "x", away, shop.registry.root)
    assert desk.refresh(NOW) is False
    assert (desk.view.trouble, desk.ring, dict(desk.view.boards)) == ("not there", None, {})


def test_old_session_is_called_stale(shop: Shop) -> None:
    shop.crown(NAMES, as_of=TODAY)
    desk = desk_of(shop)
    told = {}
    for days in (0, 1, 30):
        desk.refresh(NOW + dt.timedelta(days=days))
        told[days] = board_of(desk).answers["T00"]["stale"]
    assert told == {0: False, 1: False, 30: True}


@pytest.mark.parametrize(
    ("today", "calendar", "expected"),
    [
        (dt.date(2026, 1, 2), "XNYS", 0),  # the same day, a Friday
        (dt.date(2026, 1, 4), "XNYS", 0),
        (dt.date(2026, 1, 5), "XNYS", 0),
        (dt.date(2026, 1, 6), "XNYS", 1),
        (dt.date(2026, 1, 6), "24/7", 3),
        (dt.date(2025, 12, 1), "XNYS", 0),
    ],
)
def test_sessions_between_two_days_are_counted(today: dt.date, calendar: str, expected: int) -> None:
    assert sessions_since(dt.date(2026, 1, 2), today, calendar) == expected


def test_other_configuration_is_answered_by_the_default_one_or_by_the_newest(shop: Shop) -> None:
    desk = desk_of(shop)
    own, other = shop.slot(), shop.slot(config_key="rsi14_vol30_support50")
    shop.crown(NAMES, as_of=TODAY, slot=other)
    desk.refresh(NOW)
    found = {key: desk.view.find("price_predictor", key) for key in (None, other.config_key, "never")}
    assert {key: (f[0].slot, f[1]) for key, f in found.items() if f} == {
        None: (other, True), other.config_key: (other, False), "never": (other, True),
    }  # fmt: skip
    shop.crown(NAMES, as_of=TODAY, slot=own)
    desk.refresh(NOW)
    found = {key: desk.view.find("price_predictor", key) for key in (None, other.config_key, "never")}
    assert {key: (f[0].slot, f[1]) for key, f in found.items() if f} == {
        None: (own, False), other.config_key: (other, False), "never": (own, True),
    }  # fmt: skip
    assert desk.view.find("momentum_ranker") is None


def canary(shop: Shop, version: int) -> Rollout:
    rollout = Rollout(shop.slot(), "canary", version, 0.5, "salt", "why", NOW)
    with shop.helm.state.write() as db:
        return rollouts.append(db, rollout, expected=0)


def told(desk: Desk) -> set[tuple[int, str]]:
    return {(a["model_version"], a["prediction"]["signal"]) for a in board_of(desk).answers.values()}


def test_canary_without_proof_says_hold_until_it_is_proven(shop: Shop) -> None:
    shop.crown(NAMES, as_of=TODAY)
    second = shop.candidate(NAMES, as_of=TODAY, stream_id="s2")
    desk = desk_of(shop)
    desk.refresh(NOW)
    rollout = canary(shop, second)
    assert desk.refresh(NOW)
    assert told(desk) == {(1, "BUY"), (2, "HOLD")}
    for name, answer in board_of(desk).answers.items():
        assert answer["model_version"] == assign(name, 1, rollout)
    for state, expected in (("proven", "BUY"), ("lost", "HOLD")):
        with shop.helm.state.write() as db:
            skill.record(db, Finding("s2", shop.slot(), 100 + (state == "lost"), state, 2.5, 500, NOW))
        assert desk.refresh(NOW)
        assert told(desk) == {(1, "BUY"), (2, expected)}


def test_canary_that_fell_behind_does_not_speak(shop: Shop) -> None:
    shop.crown(NAMES, as_of=TODAY)
    second = shop.candidate(NAMES, as_of=TODAY - dt.timedelta(days=1))
    canary(shop, second)
    desk = desk_of(shop)
    desk.refresh(NOW)
    assert told(desk) == {(1, "BUY")}
