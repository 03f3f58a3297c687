"""A file of records, one JSON object a line: several processes append to it, and any of them may die meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from marketloop.core.errors import FailedError, RefusedError
from marketloop.runtime.faults import step
from marketloop.runtime.files import disk_errors, ensure_folder, write_atomic
from marketloop.runtime.locks import lock, unlock

__all__ = ["FileJournal", "alone"]

Record = dict[str, Any]


@dataclass(slots=True)
class FileJournal:
    """An append-only file whose first line says what it is about.

    A record that a killed process left half-written is cut off by the next one that appends; whole records are never
    changed. Nothing is flushed to disk record by record: a power cut may cost the newest ones.

    Parameters
    ----------
    path : Path
    header : mapping
        What the file is about; a file about something else is not read.
    """

    path: Path
    header: Mapping[str, Any]
    _places: list[int] = field(default_factory=list, repr=False)

    def open(self) -> FileJournal:
        """Create the file if it is missing, else check that it is about the same; return the journal.

        Raises
        ------
        FailedError
            The file is about something else, or no journal at all; it is left as it is.
        """
        with disk_errors(self.path):
            exists = self.path.exists()
        if not exists:
            ensure_folder(self.path.parent)
            write_atomic(self.path, _line(self.header))
        with disk_errors(self.path), self.path.open("rb") as file:
            first = file.readline()
        if _parsed(first) != json.loads(_line(self.header)):
            raise FailedError(
                f'"{self.path}" is not the journal that belongs here: it was written by another version or is damaged; '
                "move it away and run the command again"
            )
        return self

    def read(self, start: int = 0) -> list[Record]:
        """Return the records from number `start` on; a half-written last one is not there yet.

        Raises
        ------
        FailedError
            A record in the middle cannot be read.
        """
        places = self._places
        with disk_errors(self.path), self.path.open("rb") as file:
            if not places:
                places.append(len(file.readline()))
            known = min(start, len(places) - 1)
            file.seek(places[known])
            lines = file.read().split(b"\n")
        del lines[-1]  # what follows the last line end is empty, or half a record
        del places[known + 1 :]
        for line in lines:
            places.append(places[-1] + len(line) + 1)
        records = []
        for number, line in enumerate(lines[start - known :], start=start):
            record = _parsed(line)
            if record is None:
                raise FailedError(
                    f'"{self.path}" is damaged in line {number + 2}: move it away and run the command again; '
                    "what the earlier runs found is lost then"
                )
            records.append(record)
        return records

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Append `records` as a whole, after those of every other process."""
        content = b"".join(map(_line, records))
        with disk_errors(self.path), self.path.open("r+b") as file, _locked(file):
            end = file.seek(0, os.SEEK_END)
            whole = _last_line_end(file, end)
            if whole < end:
                file.truncate(whole)
            file.seek(whole)
            with step("file.write"):
                file.write(content)
                file.flush()


@contextmanager
def alone(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock file `path` for the length of the block; it is free again when this process ends in any way.

    Raises
    ------
    RefusedError
        Another process holds it; `doing` says what it does.
    """
    ensure_folder(path.parent)
    with disk_errors(path):
        file = path.open("a+b")
    with file:
        try:
            lock(file, wait=False)
        except OSError as error:
            raise RefusedError(f"{doing} in another process already: wait until it is done") from error
        yield


@contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    lock(file, wait=True)
    try:
        yield
    finally:
        unlock(file)


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(record), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _last_line_end(file: IO[bytes], end: int) -> int:
    """Return where the last whole line ends."""
    step = 64 * 1024
    while end > 0:
        start = max(0, end - step)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0
