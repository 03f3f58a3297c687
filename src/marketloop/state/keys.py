"""API keys: whose they are, what they may do, and a hash of their secret, never the secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from marketloop.core.errors import UsageError
from marketloop.state.rows import from_row, to_row
from marketloop.state.schema import keys

__all__ = ["ApiKey", "add", "expire", "listing", "revoke"]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept.

    Parameters
    ----------
    id : str
        Its public part.
    name : str
        Whose it is; unique.
    role : {"read", "operate", "admin"}
    digest : str
        SHA-256 of the secret, in hexadecimal.
    created_at : datetime
    expires_at, revoked_at : datetime, optional
        From when on it opens nothing.
    """

    id: str
    name: str
    role: str
    digest: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid(self, at: datetime) -> bool:
        """Whether it opens anything at `at`."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


def add(db: Connection, key: ApiKey) -> None:
    """Keep a key; raise `UsageError` when its name is taken."""
    taken = db.execute(select(keys.c.id).where(keys.c.name == key.name)).first()
    if taken is not None:
        raise UsageError(f'a key called "{key.name}" exists already: choose another name, or rotate it')
    db.execute(keys.insert().values(to_row(key)))


def listing(db: Connection) -> tuple[ApiKey, ...]:
    """Return all keys that ever were, in the order of their creation."""
    rows = db.execute(select(keys).order_by(keys.c.created_at, keys.c.id)).mappings()
    return tuple(from_row(ApiKey, row) for row in rows)


def revoke(db: Connection, name: str, *, at: datetime) -> ApiKey:
    """Take a key out of service for good; its name becomes free. An unknown or revoked one raises `UsageError`."""
    found = _named(db, name)
    gone = f"{name[:90]} (until {at:%Y-%m-%dT%H:%M:%S.%f})"
    db.execute(keys.update().where(keys.c.id == found.id).values(revoked_at=at, name=gone))
    return found


def expire(db: Connection, name: str, *, at: datetime, under: str) -> ApiKey:
    """Let a key open doors until `at`, or its own end if that is earlier, under the name `under`.

    Its successor can take its name then. An unknown or revoked one raises `UsageError`.
    """
    found = _named(db, name)
    ends = at if found.expires_at is None else min(at, found.expires_at)
    db.execute(keys.update().where(keys.c.id == found.id).values(expires_at=ends, name=under))
    return found


def _named(db: Connection, name: str) -> ApiKey:
    row = db.execute(select(keys).where(keys.c.name == name, keys.c.revoked_at.is_(None))).mappings().first()
    if row is None:
        raise UsageError(f'there is no key called "{name}"; `marketloop keys list` shows those there are')
    return from_row(ApiKey, row)
