"""Decisions: the gate's word on each candidate, with its evidence; append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from marketloop.state.columns import Slot
from marketloop.state.rows import from_row, in_slot, to_row
from marketloop.state.schema import decisions

__all__ = ["Decision", "DecisionLine", "history", "latest", "recent", "record"]

_LINE = ("id", "cycle_id", "family", "config_key", "version", "verdict", "reason_code", "reason", "decided_at")


@dataclass(frozen=True, slots=True)
class Decision:
    """One verdict and why.

    Parameters
    ----------
    slot : Slot
    version : int or None
        None when no candidate came to be (skipped, failed).
    verdict : str
        ``promoted, provisional, refused, skipped, failed``, or, about a version that serves, ``rollback`` or ``harm``.
    reason_code : str
        ``first, superior, refresh, no_skill, not_better, discontinuity, implausible, leak, hard_check, floor, forced,
        error, not_due, busy``, or ``rollback``, ``guard`` (a rollback by itself), ``harm``.
    reason : str
        One plain sentence.
    decided_at : datetime
    cycle_id : str
        Cycle that decided; empty for a decision by hand.
    record : dict
        Every number of GATE.md, section 4: inputs, data version, each check with its value and threshold, stream id,
        n, n0, z, z*, alpha, mean ic1 and ic5 with intervals, the paired difference, what would have to be seen to pass.
    id : int
        0 until it is recorded.
    """

    slot: Slot
    version: int | None
    verdict: str
    reason_code: str
    reason: str
    decided_at: datetime
    cycle_id: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """A decision as a list shows it: without the numbers of its record."""

    id: int
    cycle_id: str
    slot: Slot
    version: int | None
    verdict: str
    reason_code: str
    reason: str
    decided_at: datetime


def record(db: Connection, decision: Decision) -> Decision:
    """Append `decision` and return it with its id."""
    row = to_row(decision)
    del row["id"]
    key = db.execute(decisions.insert().values(row)).inserted_primary_key
    return replace(decision, id=key[0] if key else 0)


def latest(db: Connection, slot: Slot, version: int | None = None) -> Decision | None:
    """Return the last decision on a slot, or on one version of it."""
    return next(iter(history(db, slot, version=version, limit=1)), None)


def history(
    db: Connection, slot: Slot | None = None, *, version: int | None = None, cycle_id: str = "", limit: int = 100
) -> tuple[Decision, ...]:
    """Return decisions, newest first; of one slot, version or cycle where given."""
    query = select(decisions).order_by(decisions.c.id.desc()).limit(limit)
    if slot is not None:
        query = query.where(in_slot(decisions, slot))
    if version is not None:
        query = query.where(decisions.c.version == version)
    if cycle_id:
        query = query.where(decisions.c.cycle_id == cycle_id)
    return tuple(from_row(Decision, row) for row in db.execute(query).mappings())


def recent(
    db: Connection, slot: Slot | None = None, *, limit: int = 50, before_id: int | None = None
) -> tuple[DecisionLine, ...]:
    """Return the latest decisions, of one slot where given, newest first; with `before_id` those before that one."""
    query = select(*(decisions.c[name] for name in _LINE)).order_by(decisions.c.id.desc()).limit(limit)
    if slot is not None:
        query = query.where(in_slot(decisions, slot))
    if before_id is not None:
        query = query.where(decisions.c.id < before_id)
    return tuple(from_row(DecisionLine, row) for row in db.execute(query).mappings())
