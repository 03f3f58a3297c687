"""Between cycles: when bars or a champion change, champions speak of the newest session and the journal is settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from marketloop.loop.aftermath import running_elsewhere
from marketloop.loop.children import Child, stop_all
from marketloop.loop.early import lagging
from marketloop.loop.house import House
from marketloop.loop.settling import ACCURACY, news
from marketloop.runtime.clock import ticks
from marketloop.runtime.logging import get_logger
from marketloop.state import heartbeats

__all__ = ["Upkeep"]

AGAIN_S: Final = 600.0
"""Seconds until what failed is tried again, when nothing has changed meanwhile."""


@dataclass
class Upkeep:
    """Keeps the journal of predictions at the newest session while no cycle runs; models are asked in a process apart.

    A rollback, a promotion, a pin or a roll-out by hand, and bars that somebody else collected, are seen within a round
    of the worker. A cycle does the same for itself at its end.

    Parameters
    ----------
    house : House
    environ : mapping, optional
        Variables for the process beside our own.
    """

    house: House
    environ: Mapping[str, str] = field(default_factory=dict)
    _child: Child | None = None
    _seen: Mapping[str, Any] | None = None
    _again: float | None = None

    @property
    def busy(self) -> bool:
        """Whether its process is running."""
        return self._child is not None

    def look(self) -> bool:
        """Begin what there is to do, unless a cycle or its own process runs; return whether it was begun."""
        self._reap()
        if self._child is not None:
            return False
        found = news(self.house)
        if found == self._seen and (self._again is None or ticks() < self._again):
            return False
        with self.house.state.write() as db:
            if running_elsewhere(db, self.house.clock.now()) is not None:
                return False  # looked at again when it has ended
        self._seen, self._again = found, None
        if not self._is_behind(found):
            return False
        arguments = ("--project", str(self.house.project.root), "accuracy", "--refresh", "--tied", "--json")
        self._child = Child.start(arguments, self.environ)
        return True

    def stop(self, *, patience: float) -> None:
        """End its process, if one runs; what it had written stays."""
        if self._child is not None:
            stop_all([self._child], patience=patience)
            self._child.close()
            self._child = None

    def wait(self, seconds: float) -> None:
        """Wait up to `seconds` for its process."""
        if self._child is not None:
            self._child.wait(seconds)
            self._reap()

    def _reap(self) -> None:
        if self._child is None or self._child.exit_code is None:
            return
        if self._child.exit_code != 0:
            get_logger("loop").warning("the journal is behind", reason=self._child.last_words())
            self._again = ticks() + AGAIN_S
        self._child.close()
        self._child = None

    def _is_behind(self, found: Mapping[str, Any]) -> bool:
        with self.house.state.read() as db:
            last = heartbeats.last(db, ACCURACY)
        if not found["slots"]:
            return False  # nobody has ever spoken
        return last is None or last.document.get("news") != found or bool(lagging(self.house))
