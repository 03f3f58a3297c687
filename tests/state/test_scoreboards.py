from __future__ import annotations

import datetime as dt

from marketloop.state import Slot, State, scoreboards
from marketloop.state.scoreboards import Prediction

FRIDAY, MONDAY = dt.date(2026, 1, 2), dt.date(2026, 1, 5)


def board(day: dt.date, tickers: int = 3) -> list[Prediction]:
    classes = {"BUY": 0.5, "HOLD": 0.3, "SELL": 0.2}
    return [Prediction(f"T{i:03}", day, "HOLD", i / 1000, 0.5, "BUY", classes) for i in range(tickers)]


def test_scoreboard_gives_back_the_latest_session(state: State, slot: Slot, noon: dt.datetime) -> None:
    with state.scores.write() as db:
        assert scoreboards.write(db, slot, 1, board(FRIDAY), at=noon) == 3
        assert scoreboards.write(db, slot, 1, board(MONDAY), at=noon) == 3
        assert scoreboards.write(db, slot, 2, board(FRIDAY), at=noon) == 3
    with state.scores.read() as db:
        assert scoreboards.load(db, slot, 1) == tuple(board(MONDAY))
        assert scoreboards.load(db, slot, 1, as_of=FRIDAY) == tuple(board(FRIDAY))
        assert scoreboards.load(db, slot, 9) == ()
        assert scoreboards.latest_session(db, slot, 2) == FRIDAY


def test_scoreboard_keeps_the_first_word_when_written_again(state: State, slot: Slot, noon: dt.datetime) -> None:
    changed = [Prediction("T000", FRIDAY, "BUY", 9.0), Prediction("NEW", FRIDAY, "BUY", 9.0)]
    with state.scores.write() as db:
        scoreboards.write(db, slot, 1, board(FRIDAY), at=noon)
        assert scoreboards.write(db, slot, 1, changed, at=noon) == 1
        assert scoreboards.write(db, slot, 1, [], at=noon) == 0
        found = {p.ticker: p.score for p in scoreboards.load(db, slot, 1)}
    assert found == {"T000": 0.0, "T001": 0.001, "T002": 0.002, "NEW": 9.0}


def test_scoreboard_takes_a_whole_universe(state: State, slot: Slot, noon: dt.datetime) -> None:
    with state.scores.write() as db:
        assert scoreboards.write(db, slot, 1, board(FRIDAY, 505), at=noon) == 505
    with state.scores.read() as db:
        assert len(scoreboards.load(db, slot, 1)) == 505
