"""Turns what a database driver says into one sentence with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from marketloop.core.errors import FailedError
from marketloop.runtime.redact import redact_text
from marketloop.state.dialects import shown

__all__ = ["reported"]

_AWAY: Final = "went away: what was not committed is undone; run the command again when it is back"
_SENTENCES: Final = (
    (
        "file is not a database",
        "is not a database: restore it from a backup, or move it away and begin an empty one",
    ),
    ("malformed", "is damaged: restore it from a backup, or move it away and let `marketloop doctor` look"),
    ("readonly", "cannot be written: make the file and its folder writable"),
    ("read-only", "cannot be written: make the file and its folder writable"),
    ("unable to open", "cannot be opened: check that its folder exists and is writable"),
    ("disk is full", "has no room to grow: the disk is full; free some space and run the command again"),
    ("no space left", "has no room to grow: the disk is full; free some space and run the command again"),
    ("disk i/o error", "met a disk error: check the disk and its free space"),
    ("locked", "is held by another process: wait for its end, or end it"),
    ("lock timeout", "is held by another process: wait for its end, or end it"),
    ("password authentication failed", "refused the user or the password: correct [state] url"),
    ("no password supplied", "wants a password: add it to [state] url, or to ~/.pgpass"),
    ("fatal:  role", "knows no such user: create it, or correct [state] url"),
    ("fatal:  database", "is not there: create the database, or correct [state] url"),
    ("permission denied", "refused: let the user create the schemas marketloop and marketloop_scores, or own them"),
    ("too many clients", "has no connection left: end some of its clients, or raise max_connections"),
    ("remaining connection slots", "has no connection left: end some of its clients, or raise max_connections"),
    ("resolve host", "cannot be found: correct the host in [state] url"),
    ("translate host name", "cannot be found: correct the host in [state] url"),
    ("starting up", "is not ready yet: run the command again when the server has started"),
    ("shutting down", "is shutting down: run the command again when the server is back"),
    ("terminating connection", _AWAY),
    ("server closed the connection", _AWAY),
    ("connection is lost", _AWAY),
    ("consuming input failed", _AWAY),
    ("connection refused", "cannot be reached: start the server, or correct [state] url"),
    ("connection failed", "cannot be reached: check the server, the name and the password in [state] url"),
    ("append-only", "refused to change history: its ledger rows are append-only"),
)


@contextmanager
def reported(url: URL) -> Iterator[None]:
    """Raise every driver error inside the block as a `FailedError` that names the database and the remedy."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0] if error.orig and str(error.orig).strip() else str(error)
        lower = said.lower()
        what = next((sentence for key, sentence in _SENTENCES if key in lower), "failed")
        raise FailedError(f"the state database {shown(url)} {what} ({redact_text(said)})") from error
