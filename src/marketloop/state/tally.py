"""How often what happened, counted in the database: figures for an operator, one small row per kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Column, Connection, Table, func, select

from marketloop.state import heartbeats
from marketloop.state.columns import Slot
from marketloop.state.cycles import RUNNING
from marketloop.state.heartbeats import Heartbeat
from marketloop.state.requests import WAITING
from marketloop.state.schema import LEDGER, alarms, champions, cycles, decisions, events, outbox, requests, versions

__all__ = ["EndedCycle", "Tally", "count", "drift_of"]


@dataclass(frozen=True, slots=True)
class EndedCycle:
    """When a cycle began and ended, and with what outcome."""

    outcome: str
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """What lies in the ledger, counted.

    Parameters
    ----------
    cycles : mapping of outcome to number
        Of the cycles that have ended.
    last_cycle, last_good_cycle : EndedCycle, optional
        The one that ended last; the one that ended last and did not fail.
    running_since : datetime, optional
        Start of the cycle that runs, by the ledger.
    decisions : mapping of (family, verdict, reason code) to number
    changes : mapping of (slot, action) to number
        Entries of the champion ledger.
    candidates : mapping of slot to datetime
        When its newest version was trained, whatever the gate said of it.
    alarms : mapping of kind to number
        Raised; repeats do not count.
    requests : mapping of state to number
        Of those that wait or run; older ones are pruned.
    waiting_since : datetime, optional
        Of the request that has waited longest.
    events : int
        Events that nobody has handled.
    outbox : mapping of topic to number
        Messages that are not sent.
    drift : mapping of slot to action
        Of its newest scan; empty where the ledger has no table of scans.
    heartbeat : Heartbeat, optional
        Last sign of life of the loop.
    """

    cycles: Mapping[str, int] = field(default_factory=dict)
    last_cycle: EndedCycle | None = None
    last_good_cycle: EndedCycle | None = None
    running_since: datetime | None = None
    decisions: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    changes: Mapping[tuple[Slot, str], int] = field(default_factory=dict)
    candidates: Mapping[Slot, datetime] = field(default_factory=dict)
    alarms: Mapping[str, int] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    waiting_since: datetime | None = None
    events: int = 0
    outbox: Mapping[str, int] = field(default_factory=dict)
    drift: Mapping[Slot, str] = field(default_factory=dict)
    heartbeat: Heartbeat | None = None


def count(db: Connection) -> Tally:
    """Count what lies in the ledger; documents are not read, so that a year of cycles costs milliseconds."""
    of_versions = (versions.c.family, versions.c.config_key)
    trained = select(*of_versions, func.max(versions.c.trained_at)).where(versions.c.state.in_(("complete", "deleted")))
    by_decision = _grouped(db, decisions.c.family, decisions.c.verdict, decisions.c.reason_code)
    by_action = _grouped(db, champions.c.family, champions.c.config_key, champions.c.action)
    open_requests = requests.c.state.in_((WAITING, "running"))
    return Tally(
        cycles=_counted(db, cycles.c.outcome, cycles.c.ended_at.is_not(None)),
        last_cycle=_last_cycle(db),
        last_good_cycle=_last_cycle(db, cycles.c.outcome != "failed"),
        running_since=db.scalar(select(func.max(cycles.c.started_at)).where(cycles.c.outcome == RUNNING)),
        decisions={(row[0], row[1], row[2]): row[3] for row in by_decision},
        changes={(Slot(row[0], row[1]), row[2]): row[3] for row in by_action},
        candidates={Slot(row[0], row[1]): row[2] for row in db.execute(trained.group_by(*of_versions))},
        alarms=_counted(db, alarms.c.kind),
        requests=_counted(db, requests.c.state, open_requests),
        waiting_since=db.scalar(select(func.min(requests.c.requested_at)).where(requests.c.state == WAITING)),
        events=db.scalar(select(func.count()).select_from(events).where(events.c.handled_at.is_(None))) or 0,
        outbox=_counted(db, outbox.c.topic, outbox.c.sent_at.is_(None)),
        drift=drift_of(db, LEDGER.tables.get("drift_scans")),
        heartbeat=heartbeats.last(db, "loop"),
    )


def _counted(db: Connection, column: Column[str], *where: object) -> dict[str, int]:
    query = select(column, func.count()).where(*where).group_by(column)  # type: ignore[arg-type]
    return {row[0]: row[1] for row in db.execute(query)}


def _grouped(db: Connection, *columns: Column[str]) -> list[tuple[str, str, str, int]]:
    return [tuple(row) for row in db.execute(select(*columns, func.count()).group_by(*columns))]


def _last_cycle(db: Connection, *where: object) -> EndedCycle | None:
    ended = select(cycles.c.outcome, cycles.c.started_at, cycles.c.ended_at).where(cycles.c.ended_at.is_not(None))
    row = db.execute(ended.where(*where).order_by(cycles.c.ended_at.desc()).limit(1)).first()  # type: ignore[arg-type]
    return None if row is None else EndedCycle(*row)


def drift_of(db: Connection, scans: Table | None) -> dict[Slot, str]:
    """Return the action of the newest scan of each slot; a ledger without that table has none."""
    if scans is None:
        return {}
    newest = select(func.max(scans.c.id)).group_by(scans.c.family, scans.c.config_key)
    rows = db.execute(select(scans.c.family, scans.c.config_key, scans.c.action).where(scans.c.id.in_(newest)))
    return {Slot(family, key): action for family, key, action in rows}
