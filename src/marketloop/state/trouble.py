"""Turns what a database driver says into one sentence with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from marketloop.core.errors import FailedError

__all__ = ["reported"]

_SENTENCES: Final = (
    ("file is not a database", "is not a database: move the file away; the next command makes a new one"),
    ("malformed", "is damaged: restore it from a backup, or move it away and let `marketloop doctor` look"),
    ("readonly", "cannot be written: make the file and its folder writable"),
    ("read-only", "cannot be written: make the file and its folder writable"),
    ("unable to open", "cannot be opened: check that its folder exists and is writable"),
    ("disk is full", "has no room to grow: the disk is full; free some space and run the command again"),
    ("no space left", "has no room to grow: the disk is full; free some space and run the command again"),
    ("disk i/o error", "met a disk error: check the disk and its free space"),
    ("locked", "is held by another process: wait for its end, or end it"),
    ("lock timeout", "is held by another process: wait for its end, or end it"),
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
        shown = url.render_as_string(hide_password=True)
        raise FailedError(f"the state database {shown} {what} ({said})") from error
