"""Deletes what has been done with for long; the append-only tables, which say what happened, are never touched."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Column, Connection, Table, delete, func, select

from marketloop.state.schema import events, leases, outbox, requests, sightings

__all__ = ["KEPT", "prune"]

KEPT: Final = timedelta(days=90)
"""Age up to which events, messages and requests that have ended are kept."""


def prune(db: Connection, *, at: datetime, limit: int = 1000) -> int:
    """Delete handled events, sent messages and ended requests older than `KEPT`; return how many rows went.

    At most `limit` rows of each table go, the oldest first, so that no other writer waits for long.
    """
    before = at - KEPT
    gone = _delete(db, requests, requests.c.ended_at, before, limit)
    for table, column in ((events, events.c.handled_at), (outbox, outbox.c.sent_at)):
        gone += _delete(db, table, column, before, limit)
    of_requests = leases.c.name.startswith("request:")
    names = select(leases.c.name).where(of_requests, leases.c.heartbeat_at < before).limit(limit)
    for name in db.scalars(names).all():
        db.execute(delete(sightings).where(sightings.c.name == name))
        db.execute(delete(leases).where(leases.c.name == name))
    return gone


def _delete(db: Connection, table: Table, ended: Column[datetime], before: datetime, limit: int) -> int:
    old = select(table.c.id).where(ended < before)
    if table is not requests:  # the greatest number stays: SQLite gives it again when its row is gone
        old = old.where(table.c.id < select(func.max(table.c.id)).scalar_subquery())
    ids = db.scalars(old.order_by(ended).limit(limit)).all()
    for number in ids:
        db.execute(delete(table).where(table.c.id == number))
    return len(ids)
