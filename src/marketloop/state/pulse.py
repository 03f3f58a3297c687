"""Tells, for the price of one small question, whether anything was committed since the last time it was felt."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from marketloop.core.errors import FailedError
from marketloop.state.dialects import sqlite_path
from marketloop.state.trouble import reported

__all__ = ["Pulse"]

_SQLITE: Final = "PRAGMA data_version"
"""Changes on a connection whenever another one, of any process, has committed."""
_POSTGRESQL: Final = "SELECT pg_current_snapshot()::text"
"""Changes whenever a transaction that writes begins or ends: the same snapshot sees the same rows."""


@dataclass(slots=True)
class Pulse:
    """Watches one database over a connection of its own; equal answers of `feel` mean equal contents.

    It also sees that a SQLite file was taken away or replaced: its open connections would go on reading the old one,
    so they are given up and new ones read what lies there now.
    """

    url: URL
    engine: Engine
    _line: Connection | None = field(default=None, init=False, repr=False)
    _file: tuple[int, int] | None = field(default=None, init=False, repr=False)

    def feel(self) -> str:
        """Return the pulse.

        Raises
        ------
        FailedError
            The file is gone, or the server does not answer.
        """
        path = sqlite_path(self.url)
        if path is not None:
            self._look_at(path)
        try:
            with reported(self.url):
                if self._line is None:
                    self._line = self.engine.connect()
                beat = self._line.exec_driver_sql(_POSTGRESQL if path is None else _SQLITE).scalar()
                self._line.rollback()
        except FailedError:
            self.close()
            raise
        return f"{self._file} {beat}"

    def close(self) -> None:
        """Give the connection back."""
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(DBAPIError):
                line.close()

    def _look_at(self, path: Path) -> None:
        try:
            there = path.stat()
        except OSError as error:
            self._forget()
            raise FailedError(
                f"the state database {path} is gone ({error.strerror}): put it back; nothing is written meanwhile"
            ) from error
        file = (there.st_dev, there.st_ino)
        if file != self._file and self._file is not None:
            self._forget()
        self._file = file

    def _forget(self) -> None:
        self.close()
        self.engine.dispose()
        self._file = None
