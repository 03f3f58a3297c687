"""Which API keys open which doors: kept hashed, compared in constant time, held in memory between looks."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from marketloop.core.errors import UsageError, unknown_name

__all__ = ["ROLES", "Kept", "KeyRing", "allows", "digest_of", "new_secret", "split"]

ROLES: Final = ("read", "operate", "admin")
"""What a key may do, each role all of those before it: look; ask for retrainings and publish events; change who serves
and who may."""
PREFIX: Final = "ml"


@dataclass(frozen=True, slots=True)
class Kept:
    """A key as it is kept: never its secret.

    Parameters
    ----------
    id : str
        Public part, e.g. ``k3f9a2c1``.
    digest : str
        SHA-256 of the secret in hexadecimal. The secret has 256 random bits: a slow hash would add nothing.
    role : str
    name : str
        Whose it is.
    expires_at : datetime, optional
        From when on it opens nothing.
    """

    id: str
    digest: str
    role: str
    name: str
    expires_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that are valid now, by id; `demanded` once any was ever made, also when all have ended."""

    keys: Mapping[str, Kept] = field(default_factory=dict)
    demanded: bool = False

    @classmethod
    def of(cls, keys: Iterable[Kept], *, demanded: bool = True) -> KeyRing:
        """Return the ring of some keys."""
        return cls({key.id: key for key in keys}, demanded)

    def without_expired(self, at: dt.datetime) -> KeyRing:
        """Return the ring as of `at`: a key ends on time, also while the database that says so is away."""
        left = (key for key in self.keys.values() if key.expires_at is None or at < key.expires_at)
        return KeyRing.of(left, demanded=self.demanded)

    def owner(self, given: str) -> Kept | None:
        """Return the key that `given` (``ml_<id>_<secret>``) is, or None."""
        number, secret = split(given)
        kept = self.keys.get(number)
        # Also without such a key something is compared: the time says nothing about which ids there are.
        expected = kept.digest if kept is not None else digest_of("")
        matches = hmac.compare_digest(expected, digest_of(secret))
        return kept if matches and kept is not None and secret else None


def new_secret() -> tuple[str, str, str]:
    """Return (id, secret, whole key) of a new key; the whole is shown once."""
    number, secret = f"k{secrets.token_hex(4)}", secrets.token_urlsafe(32)
    return number, secret, f"{PREFIX}_{number}_{secret}"


def split(given: str) -> tuple[str, str]:
    """Return id and secret of a key as it was sent; empty ones where it is none."""
    parts = given.split("_", 2)
    if len(given) > 200 or len(parts) != 3 or parts[0] != PREFIX:
        return "", ""
    return parts[1], parts[2]


def digest_of(secret: str) -> str:
    """Return the hash of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def allows(role: str, needed: str) -> bool:
    """Say whether `role` may do what `needed` asks for."""
    for name in (role, needed):
        if name not in ROLES:
            raise UsageError(str(unknown_name("role", name, ROLES)))
    return ROLES.index(role) >= ROLES.index(needed)
