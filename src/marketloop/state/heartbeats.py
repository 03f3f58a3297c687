"""Heartbeats: the last sign of life of each worker, and what it plans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from marketloop.state.columns import Json
from marketloop.state.process import Process
from marketloop.state.rows import from_row, to_row
from marketloop.state.schema import heartbeats

__all__ = ["Heartbeat", "beat", "last"]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A worker was alive at a moment, and said this.

    Parameters
    ----------
    name : str
        E.g. ``loop``.
    at : datetime
    document : dict
        Next runs, why-not.
    process : Process
    """

    name: str
    at: datetime
    document: dict[str, Any]
    process: Process


def beat(db: Connection, name: str, *, document: Json, process: Process, at: datetime) -> None:
    """Record a sign of life; the former one of that name is replaced."""
    row = to_row(Heartbeat(name, at, dict(document), process))
    if db.execute(heartbeats.update().where(heartbeats.c.name == name).values(row)).rowcount == 0:
        db.execute(heartbeats.insert().values(row))


def last(db: Connection, name: str) -> Heartbeat | None:
    """Return the last sign of life of a worker."""
    row = db.execute(select(heartbeats).where(heartbeats.c.name == name)).mappings().first()
    return None if row is None else from_row(Heartbeat, row)
