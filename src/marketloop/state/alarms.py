"""Alarms: what somebody should know of, kept before anybody is told, repeats counted instead of told again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from marketloop.state.columns import Json
from marketloop.state.rows import from_row
from marketloop.state.schema import alarms

__all__ = ["Raised", "get", "latest", "raise_alarm", "raised_since", "recent", "written_after"]


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm as it lies in the ledger.

    Parameters
    ----------
    id : int
        Order in which alarms were raised.
    kind : str
        E.g. ``error``; see `marketloop.loop.alarms.KINDS`.
    key : str
        What it is about: the same key within the quiet time is the same alarm.
    title : str
        One line.
    document : dict
        What a reader needs to act: figures, paths, reasons.
    raised_at : datetime
    repeats : int
        Times that it came again within the quiet time, and was not told.
    last_at : datetime
        When it came last.
    """

    id: int
    kind: str
    key: str
    title: str
    document: dict[str, Any]
    raised_at: datetime
    repeats: int
    last_at: datetime


def raise_alarm(
    db: Connection, kind: str, *, key: str, title: str, document: Json, at: datetime, quiet: timedelta
) -> tuple[Raised, bool]:
    """Record an alarm and return it with True; within `quiet` of the last of its key count a repeat: False.

    The quiet time runs from the alarm that was told, not from its last repeat: what goes on and on is told again once
    per quiet time. A clock that was put back by more than `quiet` does not silence anything.
    """
    last = latest(db, key)
    if last is not None and abs(at - last.raised_at) < quiet:
        change = {"repeats": last.repeats + 1, "last_at": max(at, last.last_at)}
        db.execute(alarms.update().where(alarms.c.id == last.id).values(change))
        return replace(last, repeats=last.repeats + 1, last_at=max(at, last.last_at)), False
    row = {"kind": kind, "key": key, "title": title, "document": dict(document), "raised_at": at}
    done = db.execute(alarms.insert().values(**row, repeats=0, last_at=at)).inserted_primary_key
    return Raised(done[0] if done else 0, kind, key, title, dict(document), at, 0, at), True


def latest(db: Connection, key: str) -> Raised | None:
    """Return the newest alarm of a key."""
    query = select(alarms).where(alarms.c.key == key).order_by(alarms.c.id.desc()).limit(1)
    row = db.execute(query).mappings().first()
    return None if row is None else from_row(Raised, row)


def get(db: Connection, alarm_id: int) -> Raised | None:
    """Return an alarm by its number."""
    row = db.execute(select(alarms).where(alarms.c.id == alarm_id)).mappings().first()
    return None if row is None else from_row(Raised, row)


def raised_since(db: Connection, moment: datetime, *, kinds: Collection[str]) -> int:
    """Return how many alarms of the named kinds were raised after `moment`; repeats do not count."""
    mine = (alarms.c.raised_at > moment) & alarms.c.kind.in_(tuple(kinds))
    return db.scalar(select(func.count()).select_from(alarms).where(mine)) or 0


def recent(
    db: Connection, *, limit: int = 20, kinds: Collection[str] = (), before_id: int | None = None
) -> tuple[Raised, ...]:
    """Return the latest alarms, newest first, of the named kinds or of all; with `before_id` those before that one."""
    query = select(alarms).order_by(alarms.c.id.desc()).limit(limit)
    if kinds:
        query = query.where(alarms.c.kind.in_(tuple(kinds)))
    if before_id is not None:
        query = query.where(alarms.c.id < before_id)
    return tuple(from_row(Raised, row) for row in db.execute(query).mappings())


def written_after(db: Connection, alarm_id: int, *, limit: int = 1000) -> tuple[Raised, ...]:
    """Return the newest `limit` alarms with a number above `alarm_id`, oldest first."""
    query = select(alarms).where(alarms.c.id > alarm_id).order_by(alarms.c.id.desc()).limit(limit)
    return tuple(from_row(Raised, row) for row in db.execute(query).mappings())[::-1]
