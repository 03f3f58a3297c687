"""Cycles: each turn of the loop, from its trigger to its outcome."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from marketloop.core.errors import UsageError
from marketloop.state.columns import Json
from marketloop.state.process import Process
from marketloop.state.rows import from_row, to_row
from marketloop.state.schema import cycles

__all__ = [
    "RUNNING",
    "Cycle",
    "CycleLine",
    "count",
    "fail_dead",
    "fail_running",
    "finish",
    "get",
    "lines",
    "new_id",
    "recent",
    "start",
]

RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One turn of the loop.

    Parameters
    ----------
    id : str
        E.g. ``retrain_20260102T030405_ab12cd34``.
    trigger : str
        ``schedule``, ``event``, ``drift`` or ``hand``.
    reason : str
    started_at, ended_at : datetime, datetime or None
    outcome : str
        ``running``, then ``promoted, provisional, refused, skipped`` or ``failed``.
    document : dict
        What the command printed at its end (the ``retrain`` document).
    process : Process
    """

    id: str
    trigger: str
    reason: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    document: dict[str, Any]
    process: Process


@dataclass(frozen=True, slots=True)
class CycleLine:
    """A cycle as a list shows it: without its document."""

    id: str
    trigger: str
    reason: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str


def new_id(at: datetime, kind: str = "retrain") -> str:
    """Return a fresh id such as ``retrain_20260102T030405_ab12cd34``; its time is in UTC."""
    return f"{kind}_{at.astimezone(UTC):%Y%m%dT%H%M%S}_{secrets.token_hex(4)}"


def start(db: Connection, *, trigger: str, reason: str, process: Process, at: datetime) -> Cycle:
    """Record that a cycle starts, and return it."""
    cycle = Cycle(new_id(at), trigger, reason, at, None, RUNNING, {}, process)
    db.execute(cycles.insert().values(to_row(cycle)))
    return cycle


def finish(db: Connection, cycle_id: str, *, outcome: str, document: Json, at: datetime) -> None:
    """Record the end of a running cycle.

    Raises
    ------
    UsageError
        There is no such cycle, or it has ended already.
    """
    changed = db.execute(
        cycles.update()
        .where(cycles.c.id == cycle_id, cycles.c.outcome == RUNNING)
        .values(outcome=outcome, document=document, ended_at=at)
    )
    if changed.rowcount != 1:
        found = get(db, cycle_id)
        state = f"ended already with {found.outcome}" if found else "does not exist"
        raise UsageError(f'cycle "{cycle_id}" {state}; only a running cycle can be finished')


def fail_dead(db: Connection, here: Process, *, at: datetime) -> tuple[str, ...]:
    """Record as failed every running cycle whose process died on this host; return their ids."""
    dead = [cycle for cycle in _read(db, cycles.c.outcome == RUNNING) if cycle.process.is_dead(here)]
    for cycle in dead:
        document = {"error": f"{cycle.process} died before the cycle ended", "outcome": "failed", "cycle_id": cycle.id}
        finish(db, cycle.id, outcome="failed", document=document, at=at)
    return tuple(cycle.id for cycle in dead)


def fail_running(db: Connection, *, at: datetime) -> tuple[str, ...]:
    """Record as failed every cycle that is said to run; return their ids. For a process that just took the lease.

    Their processes died, on whatever host, or were overtaken, or could not reach the database when they ended.
    """
    left = _read(db, cycles.c.outcome == RUNNING)
    for cycle in left:
        error = f"{cycle.process} died or lost the lease before the cycle ended"
        finish(
            db, cycle.id, outcome="failed", document={"error": error, "outcome": "failed", "cycle_id": cycle.id}, at=at
        )
    return tuple(cycle.id for cycle in left)


def get(db: Connection, cycle_id: str) -> Cycle | None:
    """Return a cycle by its id."""
    return next(iter(_read(db, cycles.c.id == cycle_id)), None)


def recent(db: Connection, *, limit: int = 20) -> tuple[Cycle, ...]:
    """Return the latest cycles, newest first."""
    rows = db.execute(select(cycles).order_by(cycles.c.started_at.desc(), cycles.c.id.desc()).limit(limit))
    return tuple(from_row(Cycle, row) for row in rows.mappings())


def lines(db: Connection, *, limit: int = 50, before_id: str | None = None) -> tuple[CycleLine, ...]:
    """Return the latest cycles, newest first, without their documents; with `before_id` those before that one."""
    columns = cycles.c
    query = select(*(columns[name] for name in ("id", "trigger", "reason", "started_at", "ended_at", "outcome")))
    if before_id is not None:
        since = select(columns.started_at).where(columns.id == before_id).scalar_subquery()
        query = query.where((columns.started_at < since) | ((columns.started_at == since) & (columns.id < before_id)))
    query = query.order_by(columns.started_at.desc(), columns.id.desc()).limit(limit)
    return tuple(from_row(CycleLine, row) for row in db.execute(query).mappings())


def count(db: Connection) -> int:
    """Return how many cycles there have been, the one that runs included."""
    return db.scalar(select(func.count()).select_from(cycles)) or 0


def _read(db: Connection, condition: Any) -> list[Cycle]:
    rows = db.execute(select(cycles).where(condition).order_by(cycles.c.started_at)).mappings()
    return [from_row(Cycle, row) for row in rows]
