"""Makes and ends API keys in the ledger, and reads the ring of those that are valid."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from marketloop.core.errors import UsageError, unknown_name
from marketloop.serving.keys import ROLES, Kept, KeyRing, digest_of, new_secret
from marketloop.state import State, keys, requests
from marketloop.state.keys import ApiKey

__all__ = ["create_key", "list_keys", "read_ring", "revoke_key", "rotate_key"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def create_key(
    state: State, name: str, *, role: str, at: dt.datetime, lifetime: dt.timedelta | None = None
) -> dict[str, Any]:
    """Make a key and return it, whole, once, with all that there are.

    Raises
    ------
    UsageError
        The name cannot be one or is taken, or the role is unknown.
    """
    if NAME.fullmatch(name) is None:
        raise UsageError(f"key name {name[:80]!r}: expected 1 to 64 letters, digits, dots, dashes or @, e.g. dashboard")
    if role not in ROLES:
        raise unknown_name("role", role, ROLES)
    number, secret, whole = new_secret()
    ends = None if lifetime is None else at + lifetime
    with state.write() as db:
        keys.add(db, ApiKey(number, name, role, digest_of(secret), at, ends))
    return {"key": whole, **list_keys(state, at=at)}


def rotate_key(state: State, name: str, *, grace: dt.timedelta, at: dt.datetime) -> dict[str, Any]:
    """Make a new key under the name of an old one, which opens doors for `grace` longer, if it does not end before."""
    number, secret, whole = new_secret()
    with state.write() as db:
        old = keys.expire(db, name, at=at + grace, under=f"{name[:90]} (before {at:%Y-%m-%dT%H:%M:%S.%f})")
        keys.add(db, ApiKey(number, name, old.role, digest_of(secret), at))
    return {"key": whole, **list_keys(state, at=at)}


def revoke_key(state: State, name: str, *, at: dt.datetime) -> dict[str, Any]:
    """Let a key open nothing from now on; what it asked for and nobody has begun is not done any more."""
    with state.write() as db:
        keys.revoke(db, name, at=at)
        for one in requests.unfinished(db):
            if one.state == requests.WAITING and one.requested_by == name:
                why = f'the key "{name}" that asked for it was revoked'
                requests.settle(db, one.id, state=requests.SKIPPED, outcome="skipped", at=at, why_not=why)
    return list_keys(state, at=at)


def list_keys(state: State, *, at: dt.datetime) -> dict[str, Any]:
    """Return all keys without their hashes."""
    with state.read() as db:
        known = keys.listing(db)
    return {
        "keys": [
            {
                "name": key.name,
                "id": key.id,
                "role": key.role,
                "state": "valid" if key.is_valid(at) else "revoked" if key.revoked_at else "expired",
                "created_at": key.created_at.isoformat(timespec="seconds"),
                "expires_at": None if key.expires_at is None else key.expires_at.isoformat(timespec="seconds"),
            }
            for key in known
        ]
    }


def read_ring(state: State, *, at: dt.datetime) -> KeyRing:
    """Return the keys that are valid at `at`."""
    with state.read() as db:
        known = keys.listing(db)
    valid = (Kept(key.id, key.digest, key.role, key.name, key.expires_at) for key in known if key.is_valid(at))
    return KeyRing.of(valid, demanded=bool(known))
