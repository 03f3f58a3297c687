"""Between cycles: when bars or a champion change, champions speak of the newest session and the journal is settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from marketloop.loop.early import lagging
from marketloop.loop.house import House
from marketloop.loop.settling import ACCURACY, news
from marketloop.loop.sidework import Sidework
from marketloop.runtime.clock import ticks
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
    work: Sidework = field(init=False)
    _seen: Mapping[str, Any] | None = None
    _again: float | None = None

    def __post_init__(self) -> None:
        self.work = Sidework(self.house, "the journal is behind", self.environ)

    @property
    def busy(self) -> bool:
        """Whether its process is running."""
        return self.work.busy

    def look(self) -> bool:
        """Begin what there is to do, unless a cycle or its own process runs; return whether it was begun."""
        self._reap(self.work.reap())
        if self.work.busy:
            return False
        found = news(self.house)
        if found == self._seen and (self._again is None or ticks() < self._again):
            return False
        if not self.work.may_begin():
            return False
        behind = self._is_behind(found)
        if behind:
            self.work.begin("accuracy", "--refresh")
        self._seen, self._again = found, None  # only now: what went wrong before is tried again in the next round
        return behind

    def stop(self, *, patience: float) -> None:
        """End its process, if one runs; what it had written stays."""
        self.work.stop(patience=patience)

    def wait(self, seconds: float) -> None:
        """Wait up to `seconds` for its process."""
        self._reap(self.work.wait(seconds))

    def _reap(self, done: bool | None) -> None:
        if done is False:
            self._again = ticks() + AGAIN_S

    def _is_behind(self, found: Mapping[str, Any]) -> bool:
        with self.house.state.read() as db:
            last = heartbeats.last(db, ACCURACY)
        if not found["slots"]:
            return False  # nobody has ever spoken
        return last is None or last.document.get("news") != found or bool(lagging(self.house))
