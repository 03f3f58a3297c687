"""Events: what happened elsewhere, kept until it has been acted on, each acted on once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from marketloop.state.columns import Json
from marketloop.state.dialects import insert_new
from marketloop.state.rows import from_row, is_due
from marketloop.state.schema import events

__all__ = ["Stored", "failed", "get", "handled", "has_new", "pending", "publish", "recent"]


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it lies in the ledger.

    Parameters
    ----------
    id : int
        Order of publication.
    key : str
        Unique: publishing twice under one key is publishing once.
    type : str
        E.g. ``DATA_ARRIVED``.
    payload : dict
    source : str
        Who published it: ``cli, api, python, loop`` or a name.
    published_at : datetime
    handled_at : datetime, optional
        None while it waits.
    attempts : int
        Times that acting on it failed.
    trouble : str
        The last failure.
    result : dict
        What came of it, e.g. ``{"action": "request", "request_id": ...}`` or ``{"action": "none", "why": ...}``.
    """

    id: int
    key: str
    type: str
    payload: dict[str, Any]
    source: str
    published_at: datetime
    handled_at: datetime | None
    attempts: int
    trouble: str
    result: dict[str, Any]


def publish(db: Connection, kind: str, *, key: str, payload: Json, source: str, at: datetime) -> tuple[Stored, bool]:
    """Record an event and return it with True; with a `key` that is there already the earlier one and False."""
    made = insert_new(db, events).values(
        key=key, type=kind, payload=payload, source=source, published_at=at, attempts=0, trouble="", result={}
    )
    new = db.scalar(made.returning(events.c.id)) is not None
    row = db.execute(select(events).where(events.c.key == key)).mappings().one()
    return from_row(Stored, row), new


def pending(
    db: Connection, *, limit: int = 100, at: datetime | None = None, delays: Sequence[timedelta] = ()
) -> tuple[Stored, ...]:
    """Return the events that nobody has acted on, oldest first; with `at` those of which the next attempt is due.

    `delays` says, by the number of attempts that failed, how long after its publication an event is tried again.
    """
    query = select(events).where(events.c.handled_at.is_(None)).order_by(events.c.id).limit(limit)
    if at is not None:
        query = query.where(is_due(events, "published_at", at=at, delays=delays))
    return tuple(from_row(Stored, row) for row in db.execute(query).mappings())


def has_new(db: Connection) -> bool:
    """Say whether an event waits that nobody has tried to act on."""
    new = select(events.c.id).where(events.c.handled_at.is_(None), events.c.attempts == 0).limit(1)
    return db.scalar(new) is not None


def handled(db: Connection, event_id: int, *, result: Json, at: datetime) -> bool:
    """Record what came of an event; False when somebody else has recorded that already."""
    done = db.execute(
        events.update()
        .where(events.c.id == event_id, events.c.handled_at.is_(None))
        .values(handled_at=at, result=dict(result), trouble="")
    )
    return done.rowcount == 1


def failed(db: Connection, event_id: int, *, trouble: str) -> None:
    """Record that acting on an event failed; it stays pending."""
    db.execute(
        events.update().where(events.c.id == event_id).values(attempts=events.c.attempts + 1, trouble=trouble[:500])
    )


def get(db: Connection, event_id: int) -> Stored | None:
    """Return an event by its number."""
    row = db.execute(select(events).where(events.c.id == event_id)).mappings().first()
    return None if row is None else from_row(Stored, row)


def recent(
    db: Connection, *, limit: int = 20, kinds: Sequence[str] = (), before_id: int | None = None
) -> tuple[Stored, ...]:
    """Return the latest events, newest first; with `before_id` those before that one."""
    query = select(events).order_by(events.c.id.desc()).limit(limit)
    if kinds:
        query = query.where(events.c.type.in_(kinds))
    if before_id is not None:
        query = query.where(events.c.id < before_id)
    return tuple(from_row(Stored, row) for row in db.execute(query).mappings())
