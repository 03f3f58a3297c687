"""A board: every answer written out, from the right version, HOLD where nothing is proven."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketloop.serving.assignment import assign
from marketloop.serving.board import Board, Rules, build_board, called_stale
from marketloop.state import Slot
from marketloop.state.champions import Champion
from marketloop.state.rollouts import Rollout
from marketloop.state.scoreboards import Prediction

SLOT = Slot("price_predictor", "rsi10_vol20_support20")
NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)
NAMES = [f"T{number:02d}" for number in range(40)]
CHAMPION = Champion(SLOT, 7, "promote", "champion", True, NOON, NOON, NOON, "data1", "ab" * 32, 1)
CANARY = Rollout(SLOT, "canary", 8, 0.5, "salt", "why", NOON, 1)


def say(ticker: str, score: float = 0.1, probability: float | None = 0.6) -> Prediction:
    return Prediction(ticker, NOON.date(), "BUY", score, probability, "BUY", {"BUY": 0.6, "SELL": 0.4})


def board(rules: Rules | None = None, **given: object) -> Board:
    made = build_board(CHAMPION, [say(name) for name in NAMES], rules or Rules(5), **given)  # type: ignore[arg-type]
    assert made is not None
    return made


def written(made: Board, ticker: str, *, fallback: bool = False) -> bytes:
    body = made.body(ticker, fallback=fallback)
    assert body is not None
    assert made.body(ticker, fallback=fallback) is body  # written out once
    return body


def test_board_says_nothing_of_a_ticker_that_is_not_scored() -> None:
    made = board()
    assert made.body("NOPE") is None
    assert ("NOPE" in made.answers, len(made.answers), list(made.answers)) == (False, len(NAMES), NAMES)


def test_bodies_are_the_answers() -> None:
    made = board()
    for name in NAMES:
        assert json.loads(written(made, name)) == made.answers[name]
        assert json.loads(written(made, name, fallback=True)) == {**made.answers[name], "fallback": True}


def test_canary_answers_for_its_tickers_alone() -> None:
    other = [say(name, 0.9) for name in NAMES]
    made = board(rollout=CANARY, other=other, other_provisional=False)
    for name in NAMES:
        version = assign(name, 7, CANARY)
        answer = made.answers[name]
        assert (answer["model_version"], answer["assigned"]) == (version, version)
        assert answer["score"] == (0.9 if version == 8 else 0.1)
        assert answer["prediction"]["signal"] == "BUY"
        assert answer["rollout"] == {"mode": "canary", "version": 8, "share": 0.5}
    assert {answer["model_version"] for answer in made.answers.values()} == {7, 8}


def test_unproven_canary_says_hold_and_the_champion_does_not() -> None:
    made = board(rollout=CANARY, other=[say(name) for name in NAMES], other_provisional=True)
    signals = {(a["model_version"], a["prediction"]["signal"], a["provisional"]) for a in made.answers.values()}
    assert signals == {(7, "BUY", False), (8, "HOLD", True)}


def test_champion_answers_where_the_canary_is_silent() -> None:
    made = board(rollout=CANARY, other=[], other_provisional=False)
    assert {answer["model_version"] for answer in made.answers.values()} == {7}
    assert {answer["assigned"] for answer in made.answers.values()} == {7, 8}


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_shadow_answers_for_nobody(mode: str) -> None:
    rollout = Rollout(SLOT, mode, None if mode == "off" else 8, 0.0, "salt", "why", NOON, 1)
    made = board(rollout=rollout, other=[say(name, 0.9) for name in NAMES])
    assert {(a["model_version"], a["assigned"], a["score"]) for a in made.answers.values()} == {(7, 7, 0.1)}
    told = None if mode == "off" else {"mode": "shadow", "version": 8, "share": 0.0}
    assert made.answers["T00"]["rollout"] == told


def test_provisional_champion_says_hold() -> None:
    champion = replace(CHAMPION, status="provisional", skill_proven=False)
    made = build_board(champion, [say("A")], Rules())
    assert made is not None
    assert (made.answers["A"]["prediction"]["signal"], made.answers["A"]["abstained"]) == ("HOLD", True)
    assert made.ranking()["provisional"] is True


@pytest.mark.parametrize(("probability", "signal"), [(0.59, "HOLD"), (0.6, "BUY"), (0.61, "BUY"), (None, "BUY")])
def test_what_is_not_sure_enough_is_held(probability: float | None, signal: str) -> None:
    made = build_board(CHAMPION, [say("A", probability=probability)], Rules(confidence=0.6))
    assert made is not None
    assert made.answers["A"]["prediction"]["signal"] == signal
    assert made.answers["A"]["abstained"] is (signal == "HOLD")
    assert made.answers["A"]["provisional"] is False


def test_champion_that_said_nothing_has_no_board() -> None:
    assert build_board(CHAMPION, [], Rules()) is None


def test_called_stale_changes_nothing_else() -> None:
    made = board()
    stale = called_stale(made)
    for name in NAMES:
        assert json.loads(written(stale, name)) == {**made.answers[name], "stale": True}
        other = {**made.answers[name], "stale": True, "fallback": True}
        assert json.loads(written(stale, name, fallback=True)) == other
    assert (made.ranking()["stale"], stale.ranking()["stale"]) == (False, True)


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=1))
def test_ranking_is_the_same_order_whatever_order_was_written(scores: dict[str, float]) -> None:
    said = [say(name, score) for name, score in scores.items()]
    made, turned = (build_board(CHAMPION, rows, Rules()) for rows in (said, said[::-1]))
    assert made is not None
    assert turned is not None
    rows = made.ranking()["ranking"]
    assert rows == turned.ranking()["ranking"]
    assert [row["rank"] for row in rows] == list(range(1, len(scores) + 1))
    assert [row["score"] for row in rows] == sorted(scores.values(), reverse=True)
    assert rows[0]["percentile"] == 1.0
    assert len(rows) == 1 or rows[-1]["percentile"] == 0.0
    assert made.ranking(2)["ranking"] == rows[:2]
