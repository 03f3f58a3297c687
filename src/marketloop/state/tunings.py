"""Tunings: what each search for hyperparameters found, and every trial that it took; append-only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from marketloop.core.errors import UsageError
from marketloop.state.columns import Slot
from marketloop.state.dialects import insert_new
from marketloop.state.rows import from_row, in_slot, to_row
from marketloop.state.schema import trials, tunings

__all__ = ["Trial", "Tuning", "add_trials", "counts", "history", "latest", "record", "trials_of"]

STATES = ("complete", "pruned", "failed")


@dataclass(frozen=True, slots=True)
class Tuning:
    """What one search found.

    Parameters
    ----------
    slot : Slot
    study : str
        Hash of everything that the search was about: data, recipe, folds, space, objective.
    recipe, params : str, mapping
        The best settings: those that were searched, and no others.
    objective : str
    value : float
        Of the best settings, over the folds.
    trials : int
        How many counted trials it is the best of.
    data_version : str
    tuned_through : int
        Newest session that was stored then: settings chosen with it in sight serve later blocks only.
    tuned_at : datetime
    evidence : mapping
        Figures of the best settings, and how much of them is luck.
    entry : int
        Counts from 1 in its slot; 0 until it is recorded.
    """

    slot: Slot
    study: str
    recipe: str
    params: Mapping[str, Any]
    objective: str
    value: float
    trials: int
    data_version: str
    tuned_through: int
    tuned_at: datetime
    evidence: Mapping[str, Any] = field(default_factory=dict)
    entry: int = 0


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting that was tried, whatever became of it.

    Parameters
    ----------
    study, number : str, int
    slot : Slot
    recipe : str
    state : {"complete", "pruned", "failed"}
    value : float, optional
        Of the objective, over the folds that were done.
    sharpe : float, optional
        Per-session Sharpe ratio of its out-of-sample returns on those folds.
    params : mapping
    reason : str
        Why it failed.
    recorded_at : datetime
    """

    study: str
    number: int
    slot: Slot
    recipe: str
    state: str
    value: float | None
    sharpe: float | None
    params: Mapping[str, Any]
    reason: str
    recorded_at: datetime

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise UsageError(f'trial state "{self.state}": expected complete, pruned or failed')


def record(db: Connection, tuning: Tuning) -> Tuning:
    """Append what a search found and return it with its entry; the same result again is not recorded twice."""
    last = next((t for t in reversed(history(db, tuning.slot)) if t.study == tuning.study), None)
    if last is not None and (dict(last.params), last.trials) == (dict(tuning.params), tuning.trials):
        return last
    entry = (db.scalar(select(func.max(tunings.c.entry)).where(in_slot(tunings, tuning.slot))) or 0) + 1
    tuning = replace(tuning, entry=entry)
    db.execute(tunings.insert().values(to_row(tuning)))
    return tuning


def history(db: Connection, slot: Slot) -> tuple[Tuning, ...]:
    """Return the tunings of a slot, oldest first."""
    query = select(tunings).where(in_slot(tunings, slot)).order_by(tunings.c.entry)
    return tuple(from_row(Tuning, row) for row in db.execute(query).mappings())


def latest(db: Connection, slot: Slot, recipe: str | None = None) -> Tuning | None:
    """Return the newest tuning of a slot, or of one recipe in it."""
    found = history(db, slot)
    return next((t for t in reversed(found) if recipe is None or t.recipe == recipe), None)


def add_trials(db: Connection, added: Iterable[Trial]) -> int:
    """Count trials; those that are counted already stay as they are. Return how many are new."""
    before = db.scalar(select(func.count()).select_from(trials)) or 0
    rows = [to_row(trial) for trial in added]
    if rows:
        db.execute(insert_new(db, trials), rows)
    return (db.scalar(select(func.count()).select_from(trials)) or 0) - before


def trials_of(db: Connection, slot: Slot, study: str | None = None) -> tuple[Trial, ...]:
    """Return the counted trials of a slot, or of one study in it, in the order in which they were recorded."""
    query = select(trials).where(in_slot(trials, slot)).order_by(trials.c.recorded_at, trials.c.study, trials.c.number)
    if study is not None:
        query = query.where(trials.c.study == study)
    return tuple(from_row(Trial, row) for row in db.execute(query).mappings())


def counts(db: Connection, slot: Slot) -> dict[str, int]:
    """Return how many trials of a slot are counted, by what became of them."""
    query = select(trials.c.state, func.count()).where(in_slot(trials, slot)).group_by(trials.c.state)
    found = {str(row[0]): int(row[1]) for row in db.execute(query)}
    return {state: found.get(state, 0) for state in STATES}
