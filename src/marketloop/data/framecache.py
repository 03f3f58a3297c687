"""Keeps computed frames on disk by fingerprint; a damaged or foreign file counts as absent."""

from __future__ import annotations

import hashlib
import io
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

import polars as pl

from marketloop.core.errors import UsageError
from marketloop.runtime.files import delete, ensure_folder, write_atomic

__all__ = ["FrameCache"]

_DIGEST_BYTES: Final = 32
_KEY: Final = re.compile(r"^[\w.-]{1,128}$")


class FrameCache:
    """Frames by key, newest kept.

    A file is the SHA-256 of its content followed by the content (Arrow IPC), so that a truncated or altered file is
    noticed and computed again.

    Parameters
    ----------
    folder : path
        Made by the first `put`; holds nothing else.
    keep : int
        How many frames stay; the one unused for longest goes first.
    """

    def __init__(self, folder: Path, keep: int = 4) -> None:
        if keep < 1:
            raise UsageError(f"keep = {keep}: expected at least 1 frame")
        self.folder = Path(folder)
        self.keep = keep

    def get(self, key: str) -> pl.DataFrame | None:
        """Return the frame stored under `key`, or None where there is none that is whole."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            return None
        frame = pl.read_ipc(io.BytesIO(body))
        with suppress(OSError):  # a read-only project is read all the same
            os.utime(path)
        return frame

    def put(self, key: str, frame: pl.DataFrame) -> None:
        """Store `frame` under `key` in one step, and drop the frames beyond `keep`.

        Raises
        ------
        FailedError
            The disk is full or the folder is not writable.
        """
        path = self._path(key)
        ensure_folder(self.folder)
        body = io.BytesIO()
        frame.write_ipc(body)
        content = body.getvalue()
        write_atomic(path, hashlib.sha256(content).digest() + content)
        for old in self._oldest_first()[: -self.keep]:
            delete(old)

    def _oldest_first(self) -> list[Path]:
        found = []
        for path in self.folder.glob("*.arrow"):
            with suppress(OSError):  # another process may just have dropped it
                found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found)]

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            raise UsageError(f'the cache key "{key}" is no fingerprint; expected letters, digits, dots and dashes')
        return self.folder / f"{key}.arrow"
