from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from marketloop.core.errors import FailedError, UsageError
from marketloop.state import Slot, State, tunings
from marketloop.state.tunings import Trial, Tuning


@pytest.fixture
def tuning(slot: Slot, noon: dt.datetime) -> Tuning:
    return Tuning(
        slot, "s1", "xgboost", {"max_depth": 3}, "log_loss", 1.02, 50, "7", 1200, noon, {"figures": {"accuracy": 0.5}}
    )


@pytest.fixture
def trial(slot: Slot, noon: dt.datetime) -> Trial:
    return Trial("s1", 0, slot, "xgboost", "complete", 1.05, 0.02, {"max_depth": 3}, "", noon)


def test_tunings_count_from_one_in_their_slot_and_the_newest_is_found(state: State, tuning: Tuning) -> None:
    with state.write() as db:
        first = tunings.record(db, tuning)
        second = tunings.record(db, replace(tuning, study="s2", recipe="rank_ridge", params={"penalty": 3.5}))
        other = tunings.record(db, replace(tuning, slot=Slot("momentum_ranker", "rsi10")))
    assert (first.entry, second.entry, other.entry) == (1, 2, 1)
    with state.read() as db:
        assert tunings.history(db, tuning.slot) == (first, second)
        assert tunings.latest(db, tuning.slot) == second
        assert tunings.latest(db, tuning.slot, "xgboost") == first
        assert tunings.latest(db, tuning.slot, "lightgbm") is None
        assert tunings.latest(db, Slot("regime_classifier", "rsi10")) is None


def test_same_result_again_is_recorded_once_and_more_trials_are_another(state: State, tuning: Tuning) -> None:
    with state.write() as db:
        first = tunings.record(db, tuning)
        assert tunings.record(db, replace(tuning, tuned_at=tuning.tuned_at + dt.timedelta(days=1))) == first
        assert tunings.record(db, replace(tuning, trials=100)).entry == 2


def test_trials_are_counted_once_whatever_became_of_them(state: State, trial: Trial) -> None:
    failed = replace(trial, number=1, state="failed", value=None, sharpe=None, reason="ValueError: no")
    pruned = replace(trial, number=2, state="pruned")
    elsewhere = replace(trial, slot=Slot("momentum_ranker", "rsi10"), study="s9")
    with state.write() as db:
        assert tunings.add_trials(db, [trial, failed]) == 2
        assert tunings.add_trials(db, [replace(trial, value=9.0), failed, pruned, elsewhere]) == 2
        assert tunings.add_trials(db, []) == 0
    with state.read() as db:
        assert tunings.trials_of(db, trial.slot) == (trial, failed, pruned)
        assert tunings.trials_of(db, trial.slot, "s9") == ()
        assert tunings.counts(db, trial.slot) == {"complete": 1, "pruned": 1, "failed": 1}
        assert tunings.counts(db, Slot("regime_classifier", "rsi10")) == {"complete": 0, "pruned": 0, "failed": 0}


def test_trial_that_did_not_end_is_not_counted(trial: Trial) -> None:
    with pytest.raises(UsageError, match='trial state "running": expected complete, pruned or failed'):
        replace(trial, state="running")


@pytest.mark.parametrize("verb", ["UPDATE {} SET family = 'x'", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["tunings", "trials"])
def test_tunings_and_trials_cannot_be_changed_even_by_sql(
    state: State, tuning: Tuning, trial: Trial, table: str, verb: str
) -> None:
    with state.write() as db:
        tunings.record(db, tuning)
        tunings.add_trials(db, [trial])
        place = f"marketloop.{table}" if db.dialect.name == "postgresql" else table
    with pytest.raises(FailedError, match=f"{table} is append-only"), state.write() as db:
        db.exec_driver_sql(verb.format(place))
