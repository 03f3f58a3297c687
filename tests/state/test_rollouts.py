from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest

from marketloop.core.errors import FailedError, UsageError
from marketloop.state import Slot, State, rollouts
from marketloop.state.rollouts import Rollout

OTHER = Slot("momentum_ranker", "rsi10_vol20_support20")
DAY = dt.timedelta(days=1)


@pytest.fixture
def canary(slot: Slot, noon: dt.datetime) -> Rollout:
    return Rollout(slot, "canary", 2, 0.1, "salt", "try it on a tenth", noon)


def test_entries_follow_each_other_and_the_last_one_holds(state: State, slot: Slot, canary: Rollout) -> None:
    wider = replace(canary, share=0.5, reason="nothing bad was seen", recorded_at=canary.recorded_at + DAY)
    with state.write() as db:
        assert rollouts.current(db, slot) is None
        first = rollouts.append(db, canary, expected=0)
        second = rollouts.append(db, wider, expected=1)
    with state.read() as db:
        assert rollouts.current(db, slot) == second == replace(wider, entry=2)
        assert rollouts.history(db, slot) == (second, first)
        assert rollouts.current(db, OTHER) is None
        assert rollouts.slots(db) == (slot,)


def test_entry_of_somebody_who_looked_earlier_is_refused(state: State, slot: Slot, canary: Rollout) -> None:
    with state.write() as db:
        rollouts.append(db, canary, expected=0)
    with pytest.raises(FailedError, match="changed meanwhile: expected entry 0, found 1"), state.write() as db:
        rollouts.append(db, replace(canary, share=0.9), expected=0)
    with state.read() as db:
        assert [entry.share for entry in rollouts.history(db, slot)] == [0.1]


def test_one_of_two_processes_wins(state: State, compete: Callable[[str], list[str]]) -> None:
    del state
    script = """
from marketloop.core.errors import FailedError
from marketloop.state import rollouts
with State.open(url) as state:
    try:
        with state.write() as db:
            rollouts.append(db, rollouts.Rollout(slot, "shadow", 2, 0.0, "", "race", at), expected=0)
        print("won")
    except FailedError:
        print("lost")
"""
    assert sorted(compete(script)) == ["lost\n", "won\n"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "canari"}, 'unknown rollout mode "canari".*Did you mean "canary"'),
        ({"share": 1.5}, "share 1.5: expected a fraction of the tickers from 0 to 1"),
        ({"share": -0.1}, "share -0.1"),
        ({"share": float("nan")}, "share nan"),
        ({"reason": "  "}, "needs a reason"),
        ({"version": None}, "rollout canary: expected a version"),
        ({"mode": "off"}, "rollout off: expected no version"),
        ({"mode": "shadow"}, "rollout shadow answers for nobody"),
    ],
)
def test_rollout_that_makes_no_sense_cannot_be_made(canary: Rollout, change: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace(canary, **change)  # type: ignore[arg-type]


def test_database_itself_keeps_the_entries(state: State, slot: Slot, canary: Rollout) -> None:
    with state.write() as db:
        rollouts.append(db, canary, expected=0)
    with pytest.raises(FailedError), state.write() as db:
        db.exec_driver_sql("DELETE FROM rollouts" if db.dialect.name == "sqlite" else "DELETE FROM marketloop.rollouts")
    with state.read() as db:
        assert rollouts.current(db, slot) is not None


def test_salt_may_be_long(state: State, slot: Slot, canary: Rollout) -> None:
    with state.write() as db:
        rollouts.append(db, replace(canary, salt="s" * 500), expected=0)
        found = rollouts.current(db, slot)
    assert found is not None
    assert found.salt == "s" * 500
