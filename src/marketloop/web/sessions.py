"""Sessions of a browser: a signed cookie that names an API key, valid only while that key is."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from itsdangerous import BadSignature, Signer
from starlette.requests import cookie_parser

from marketloop.runtime.logging import get_logger
from marketloop.serving.keys import Kept, KeyRing

__all__ = ["LIFETIME", "Sessions", "cookie_of", "session_secret"]

LIFETIME: Final = dt.timedelta(hours=12)
_LONGEST: Final = 400
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Sessions:
    """Signs and reads session cookies.

    Parameters
    ----------
    secret : bytes
        Whoever has it can make sessions: it lies in a file that only its owner reads.
    lifetime : timedelta
    ended : set of str
        Cookies of this process's visitors who logged out.
    """

    secret: bytes
    lifetime: dt.timedelta = LIFETIME
    ended: set[str] = field(default_factory=set, repr=False)

    def issue(self, key: Kept, at: dt.datetime) -> str:
        """Return the cookie of a session that begins at `at` for whoever showed `key`."""
        return self._signer.sign(f"{key.id}.{int(at.timestamp())}").decode()

    def owner(self, cookie: str, ring: KeyRing, at: dt.datetime) -> Kept | None:
        """Return the key behind a cookie; None where it was not signed here, is too old, or its key has ended."""
        if not cookie or len(cookie) > _LONGEST or cookie in self.ended:
            return None
        try:
            number, _, begun = self._signer.unsign(cookie).decode().rpartition(".")
            age = at - dt.datetime.fromtimestamp(int(begun), dt.UTC)
        except (BadSignature, ValueError, OverflowError, OSError):
            return None
        # A clock that was put back a little ends no session; one from the far future was not made here.
        return ring.keys.get(number) if -self.lifetime <= age <= self.lifetime else None

    def end(self, cookie: str, ring: KeyRing, at: dt.datetime) -> None:
        """Let a session that is valid open nothing any more."""
        if self.owner(cookie, ring, at) is not None:
            self.ended.add(cookie)

    @property
    def cookie(self) -> str:
        """The name of the session's cookie.

        Browsers keep cookies by host, whatever the port: the servers of two projects on one host must not share a name,
        or logging in to one would log out of the other.
        """
        return f"marketloop_session_{self._mark}"

    @property
    def form_cookie(self) -> str:
        """The name of the cookie that ties a login form to the browser that was shown it."""
        return f"marketloop_login_{self._mark}"

    @property
    def _mark(self) -> str:
        return hmac.new(self.secret, b"marketloop.cookie", hashlib.sha256).hexdigest()[:8]

    @property
    def _signer(self) -> Signer:
        return Signer(self.secret, salt="marketloop.session", digest_method=hashlib.sha256)


def cookie_of(header: bytes, name: str) -> str:
    """Return one cookie of a ``Cookie`` header, empty where it is not there."""
    return cookie_parser(header.decode("latin-1")).get(name, "")


def session_secret(path: Path) -> bytes:
    """Return the project's secret for sessions; made at first use, for its owner's eyes only.

    Where the file cannot be read or written a secret of this process alone is used: its sessions end with it.
    """
    fresh = secrets.token_bytes(_BYTES)
    try:
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(fresh.hex() + "\n")
        known = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        get_logger("web").warning("the secret of sessions is not kept", path=str(path), reason=str(error))
        return fresh
    return known if len(known) >= _BYTES else fresh
