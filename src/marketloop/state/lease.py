"""Leases: one holder at a time across processes and hosts, with a token that fences off everybody before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from marketloop.core.errors import FailedError
from marketloop.runtime.clock import ticks
from marketloop.state.process import Process
from marketloop.state.rows import from_row, to_row
from marketloop.state.schema import leases, sightings

__all__ = [
    "PATIENCE",
    "Lease",
    "LeaseLostError",
    "acquire",
    "check",
    "holder",
    "in_the_way",
    "is_over",
    "let_go",
    "release",
    "renew",
]

PATIENCE: Final = timedelta(minutes=10)
"""How long a holder on another host may give no sign of life; it gives one every 30 seconds."""

_LET_GO: Final[set[tuple[URL, str, int, datetime]]] = set()


class LeaseLostError(FailedError):
    """Somebody else holds the lease now: what this holder was about to write is not written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do what `name` says, until somebody else holds a greater token.

    Parameters
    ----------
    name : str
        E.g. ``cycle``.
    token : int
        Grows with every holder.
    process : Process
    acquired_at, heartbeat_at : datetime
        By the holder's clock; the heartbeat grows with every beat even where that clock stands or goes back.
    released_at : datetime, optional
    """

    name: str
    token: int
    process: Process
    acquired_at: datetime
    heartbeat_at: datetime
    released_at: datetime | None = None


def acquire(
    db: Connection,
    name: str,
    *,
    process: Process,
    at: datetime,
    tick: float | None = None,
    patience: timedelta = PATIENCE,
) -> Lease | None:
    """Take the lease, or return None while somebody else holds it (`holder` tells who).

    A holder that died on this host is followed at once; one that lives here is never overtaken. Of another host
    nothing is known but its heartbeat, and no two clocks agree: it is overtaken when this host has seen the same
    heartbeat stand still for `patience` of its own steady clock. The first look only writes down what was seen, so
    commit the transaction also when None comes back.

    Parameters
    ----------
    tick : float, optional
        Seconds of this host's steady clock (`runtime.clock.ticks`), which is read by default.
    """
    if in_the_way(db, name, process=process, at=at, tick=tick, patience=patience) is not None:
        return None
    last = _read(db, name)
    lease = Lease(name, last.token + 1 if last else 1, process, at, at)
    if last is None:
        db.execute(leases.insert().values(to_row(lease)))
    else:
        db.execute(leases.update().where(leases.c.name == name).values(to_row(lease)))
    return lease


def in_the_way(
    db: Connection,
    name: str,
    *,
    process: Process,
    at: datetime,
    tick: float | None = None,
    patience: timedelta = PATIENCE,
) -> Lease | None:
    """Return the lease that keeps `process` from taking it, None when `acquire` would succeed; parameters as there."""
    last = _read(db, name)
    if last is None or _is_over(db, last, process):
        return None
    if last.process.host == process.host:
        return last
    still = _stood_still(db, last, process, at, ticks() if tick is None else tick)
    return None if still >= patience else last


def is_over(db: Connection, name: str, *, process: Process, at: datetime) -> bool:
    """Say whether the lease was taken once and its holder is gone, as `process` sees it; commit what was seen."""
    return _read(db, name) is not None and in_the_way(db, name, process=process, at=at) is None


def holder(db: Connection, name: str) -> Lease | None:
    """Return the lease as last taken, None when nobody holds it (the holder may be dead)."""
    last = _read(db, name)
    return None if last is None or last.released_at is not None else last


def check(db: Connection, lease: Lease) -> None:
    """Raise `LeaseLostError` unless `lease` is still the valid one; call it inside the transaction that it protects."""
    last = _read(db, lease.name)
    if last is None or last.token != lease.token or last.released_at is not None:
        now = "nobody" if last is None or last.released_at is not None else str(last.process)
        raise LeaseLostError(
            f'lease "{lease.name}" lost: {now} holds it, this is token {lease.token} of {last.token if last else 0}; '
            "nothing was changed, the other cycle goes on"
        )


def renew(db: Connection, lease: Lease, *, at: datetime) -> None:
    """Record a heartbeat of the holder; raise `LeaseLostError` when the lease is lost."""
    check(db, lease)
    last = _read(db, lease.name) or lease
    # It must change with each beat: others look for a change, as they cannot trust the holder's clock.
    beat = max(at, last.heartbeat_at + timedelta(microseconds=1))
    db.execute(leases.update().where(leases.c.name == lease.name).values(heartbeat_at=beat))


def release(db: Connection, lease: Lease, *, at: datetime) -> None:
    """Give the lease back; does nothing when it is lost already."""
    mine = (leases.c.name == lease.name) & (leases.c.token == lease.token)
    db.execute(leases.update().where(mine).values(released_at=at))


def let_go(lease: Lease, url: URL) -> None:
    """Remember in this process that it holds `lease` of the ledger `url` no longer, also if that could not be told.

    A worker that lives on after the database was away would otherwise wait for itself for ever.
    """
    _LET_GO.add((url, lease.name, lease.token, lease.acquired_at))


def _is_over(db: Connection, last: Lease, process: Process) -> bool:
    if last.released_at is not None or last.process.is_dead(process):
        return True
    return last.process == process and (db.engine.url, last.name, last.token, last.acquired_at) in _LET_GO


def _stood_still(db: Connection, last: Lease, process: Process, at: datetime, tick: float) -> timedelta:
    """Return for how long this host has seen the heartbeat of `last` unchanged; the first sight is written down."""
    place = (sightings.c.name == last.name) & (sightings.c.host == process.host)
    seen = db.execute(select(sightings).where(place)).mappings().first()
    sight = {"boot_id": process.boot_id, "token": last.token, "heartbeat_at": last.heartbeat_at}
    # A steady clock begins anew with each start of the host, and may be smaller then.
    if seen is not None and tick >= seen["tick"] and all(seen[name] == value for name, value in sight.items()):
        return timedelta(seconds=tick - seen["tick"])
    row = {"name": last.name, "host": process.host, **sight, "tick": tick, "seen_at": at}
    db.execute(sightings.delete().where(place))
    db.execute(sightings.insert().values(row))
    return timedelta(0)


def _read(db: Connection, name: str) -> Lease | None:
    row = db.execute(select(leases).where(leases.c.name == name)).mappings().first()
    return None if row is None else from_row(Lease, row)
