"""Leases: one holder at a time across processes and hosts, with a token that fences off everybody before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from marketloop.core.errors import FailedError
from marketloop.state.process import Process
from marketloop.state.rows import from_row, to_row
from marketloop.state.schema import leases

__all__ = ["Lease", "acquire", "check", "holder", "release", "renew"]


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
    released_at : datetime, optional
    """

    name: str
    token: int
    process: Process
    acquired_at: datetime
    heartbeat_at: datetime
    released_at: datetime | None = None


def acquire(
    db: Connection, name: str, *, process: Process, at: datetime, patience: timedelta = timedelta(minutes=10)
) -> Lease | None:
    """Take the lease, or return None while somebody else holds it (`holder` tells who).

    A holder that died on this host is followed at once; one that lives here is never overtaken; one of another host
    is overtaken when its last heartbeat is older than `patience`.
    """
    last = _read(db, name)
    if last is not None and not _is_over(last, process, at, patience):
        return None
    lease = Lease(name, last.token + 1 if last else 1, process, at, at)
    if last is None:
        db.execute(leases.insert().values(to_row(lease)))
    else:
        db.execute(leases.update().where(leases.c.name == name).values(to_row(lease)))
    return lease


def holder(db: Connection, name: str) -> Lease | None:
    """Return the lease as last taken, None when nobody holds it (the holder may be dead)."""
    last = _read(db, name)
    return None if last is None or last.released_at is not None else last


def check(db: Connection, lease: Lease) -> None:
    """Raise `FailedError` unless `lease` is still the valid one; call it inside the transaction that it protects."""
    last = _read(db, lease.name)
    if last is None or last.token != lease.token or last.released_at is not None:
        now = "nobody" if last is None or last.released_at is not None else str(last.process)
        raise FailedError(
            f'lease "{lease.name}" lost: {now} holds it, this is token {lease.token} of {last.token if last else 0}; '
            "nothing was changed, the other cycle goes on"
        )


def renew(db: Connection, lease: Lease, *, at: datetime) -> None:
    """Record a heartbeat of the holder; raise `FailedError` when the lease is lost."""
    check(db, lease)
    db.execute(leases.update().where(leases.c.name == lease.name).values(heartbeat_at=at))


def release(db: Connection, lease: Lease, *, at: datetime) -> None:
    """Give the lease back; does nothing when it is lost already."""
    mine = (leases.c.name == lease.name) & (leases.c.token == lease.token)
    db.execute(leases.update().where(mine).values(released_at=at))


def _is_over(last: Lease, process: Process, at: datetime, patience: timedelta) -> bool:
    if last.released_at is not None or last.process.is_dead(process):
        return True
    return last.process.host != process.host and at - last.heartbeat_at > patience


def _read(db: Connection, name: str) -> Lease | None:
    row = db.execute(select(leases).where(leases.c.name == name)).mappings().first()
    return None if row is None else from_row(Lease, row)
