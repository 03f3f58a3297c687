"""Scans for drift: what was found of each champion, and what it asks for; append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from marketloop.state.columns import Slot
from marketloop.state.rows import from_row, in_slot, to_row
from marketloop.state.schema import drift_scans

__all__ = ["DriftScan", "latest", "recent", "record"]


@dataclass(frozen=True, slots=True)
class DriftScan:
    """What one scan found of one version.

    Parameters
    ----------
    slot : Slot
    version : int
        Version that was looked at.
    as_of : date
        Newest session that was read.
    scanned_at : datetime
    action : str
        What the most severe finding asks for: ``monitor``, ``plan`` or ``retrain``.
    document : mapping
        The family's part of the `drift` document.
    cycle_id : str, optional
        Cycle that scanned; None for a scan by hand.
    id : int
        0 until it is recorded.
    """

    slot: Slot
    version: int
    as_of: date
    scanned_at: datetime
    action: str
    document: Mapping[str, Any] = field(default_factory=dict)
    cycle_id: str | None = None
    id: int = 0


def record(db: Connection, scan: DriftScan) -> DriftScan:
    """Append `scan` and return it with its id."""
    row = to_row(scan)
    del row["id"]
    key = db.execute(drift_scans.insert().values(row)).inserted_primary_key
    return replace(scan, id=key[0] if key else 0)


def latest(db: Connection, slot: Slot) -> DriftScan | None:
    """Return the last scan of a slot."""
    return next(iter(recent(db, slot, limit=1)), None)


def recent(db: Connection, slot: Slot, *, limit: int = 20, before_id: int | None = None) -> tuple[DriftScan, ...]:
    """Return the scans of a slot, newest first; with `before_id` those before that one."""
    query = select(drift_scans).where(in_slot(drift_scans, slot)).order_by(drift_scans.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(drift_scans.c.id < before_id)
    return tuple(from_row(DriftScan, row) for row in db.execute(query).mappings())
