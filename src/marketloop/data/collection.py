"""What a project collects: recorded by the first `collect`, repeated by the later ones."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from marketloop.core.errors import FailedError
from marketloop.runtime.files import ensure_folder, write_atomic

__all__ = ["Collection"]

_FILE: Final = "collection.json"


@dataclass(frozen=True, slots=True)
class Collection:
    """What was asked for.

    Parameters
    ----------
    source : str
        Name of the source.
    path : str, optional
        What the source reads, where it reads something.
    tickers : tuple of str
        Empty for all tickers of the universe.
    universe : str, optional
    start : date, optional
        First day wanted, the pre-roll of the features not included.
    options : mapping
        Options of the source.
    settings : mapping
        What ``[data]`` said when this was recorded, as JSON; empty in a record of an earlier version.
    """

    source: str
    path: str | None = None
    tickers: tuple[str, ...] = ()
    universe: str | None = None
    start: dt.date | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write ``collection.json`` in `folder`, as a whole or not at all."""
        values = dataclasses.asdict(self) | {"start": self.start.isoformat() if self.start else None}
        ensure_folder(folder)
        write_atomic(folder / _FILE, (json.dumps(values, indent=2, sort_keys=True) + "\n").encode())

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read ``collection.json`` of `folder`; None where nothing was collected yet.

        Raises
        ------
        FailedError
            The file is damaged.
        """
        path = folder / _FILE
        if not path.is_file():
            return None
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            start = dt.date.fromisoformat(values["start"]) if values["start"] else None
            return cls(**{**values, "start": start, "tickers": tuple(values["tickers"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FailedError(
                f'"{path}" is damaged ({error}); remove it and name the source again: marketloop collect --source NAME'
            ) from None
