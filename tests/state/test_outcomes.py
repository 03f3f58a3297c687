from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest

from marketloop.core.errors import FailedError
from marketloop.state import State, outcomes
from marketloop.state.outcomes import Outcome
from marketloop.state.schema import outcomes as table

FRIDAY, MONDAY, TUESDAY = dt.date(2026, 1, 2), dt.date(2026, 1, 5), dt.date(2026, 1, 6)
LATER = dt.date(2026, 1, 9)
BUY = Outcome("direction/5/0.02", FRIDAY, "AAPL", 2.0, LATER, "7", "BUY")
RETURN = Outcome("return/5", FRIDAY, "AAPL", 0.03125, LATER, "7")


def written(state: State, *found: Outcome, at: dt.datetime) -> int:
    with state.write_scores() as db:
        return outcomes.write(db, found, at=at)


def test_outcome_is_given_back_by_session_and_ticker(state: State, noon: dt.datetime) -> None:
    monday, other = replace(BUY, as_of=MONDAY), replace(BUY, ticker="MSFT", value=0.0, class_name="SELL")
    assert written(state, monday, other, BUY, RETURN, at=noon) == 4
    with state.scores.read() as db:
        found = outcomes.latest(db, BUY.label, since=FRIDAY)
        assert found == {(o.as_of, o.ticker): replace(o, revision=1) for o in (BUY, other, monday)}
        assert set(outcomes.latest(db, BUY.label, since=FRIDAY, until=FRIDAY)) == {(FRIDAY, "AAPL"), (FRIDAY, "MSFT")}
        assert outcomes.latest(db, BUY.label, since=TUESDAY) == {}
        assert outcomes.newest_session(db, BUY.label) == MONDAY
        assert outcomes.newest_session(db, "regime/20") is None


def test_same_outcome_again_writes_nothing_and_a_corrected_one_adds_a_revision(state: State, noon: dt.datetime) -> None:
    assert written(state, BUY, RETURN, at=noon) == 2
    rounded = replace(RETURN, value=RETURN.value * (1 + 1e-9), data_version="8")
    assert written(state, replace(BUY, data_version="8"), rounded, at=noon) == 0
    corrected = replace(BUY, value=1.0, class_name="HOLD", data_version="9")
    assert written(state, corrected, at=noon) == 1
    assert written(state, corrected, at=noon) == 0
    with state.scores.read() as db:
        both = outcomes.history(db, BUY.label, FRIDAY, "AAPL")
        assert both == (replace(BUY, revision=1), replace(corrected, revision=2))
        assert outcomes.latest(db, BUY.label, since=FRIDAY)[FRIDAY, "AAPL"] == both[1]


def test_outcome_that_returns_to_what_it_was_is_a_further_revision(state: State, noon: dt.datetime) -> None:
    for value in (0.01, 0.02, 0.01):
        assert written(state, replace(RETURN, value=value), at=noon) == 1
    with state.scores.read() as db:
        assert [o.value for o in outcomes.history(db, RETURN.label, FRIDAY, "AAPL")] == [0.01, 0.02, 0.01]


def test_database_itself_keeps_the_outcomes(state: State, noon: dt.datetime) -> None:
    written(state, BUY, at=noon)
    for change in (table.update().values(value=0.0), table.delete()):
        with pytest.raises(FailedError, match="outcomes is append-only"), state.write_scores() as db:
            db.execute(change)


def test_two_processes_that_write_the_same_outcomes_write_them_once(
    state: State, compete: Callable[[str], list[str]]
) -> None:
    script = """
from marketloop.state import outcomes
day = dt.date(2026, 1, 2)
found = [outcomes.Outcome("return/5", day, f"T{i}", i / 100, day, "1") for i in range(200)]
with State.open(url) as state:
    with state.write_scores() as db:
        print(outcomes.write(db, found, at=at))
"""
    assert sorted(compete(script)) == ["0\n", "200\n"]
    with state.scores.read() as db:
        assert {o.revision for o in outcomes.latest(db, "return/5", since=FRIDAY).values()} == {1}
