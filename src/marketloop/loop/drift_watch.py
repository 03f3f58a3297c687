"""The daily scan for drift, in a process apart while no cycle runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from marketloop.loop.aftermath import running_elsewhere
from marketloop.loop.children import Child, stop_all
from marketloop.loop.house import House
from marketloop.loop.schedules import drift_schedule
from marketloop.runtime.logging import get_logger
from marketloop.state import heartbeats, this_process

__all__ = ["BOOK", "DriftWatch", "due_scan"]

BOOK: Final = "drift"
"""Name of the heartbeat that remembers the slot up to which scans were begun."""
LOOKBACK: Final = dt.timedelta(days=40)


def due_scan(house: House, *, at: dt.datetime) -> dt.datetime | None:
    """Return the newest slot of the schedule that has passed since the last scan was begun; None when there is none.

    The schedule begins with the first look at it. Of slots that nobody looked at in time only the newest counts:
    a scan is of now.
    """
    schedule = drift_schedule(house.settings)
    if schedule is None:
        return None
    with house.state.read() as db:
        last = heartbeats.last(db, BOOK)
    if last is None:
        _begun(house, at, at=at)
        return None
    since = min(dt.datetime.fromisoformat(last.document["until"]), at)
    slots = list(schedule.slots(max(since, at - LOOKBACK), at))
    return slots[-1] if slots else None


def _begun(house: House, slot: dt.datetime, *, at: dt.datetime) -> None:
    with house.state.write() as db:
        heartbeats.beat(db, BOOK, document={"until": slot.isoformat()}, process=this_process(), at=at)


@dataclass
class DriftWatch:
    """Begins the scan when it is due; one that fails is logged, and the next slot tries again.

    Parameters
    ----------
    house : House
    environ : mapping, optional
        Variables for the process beside our own.
    """

    house: House
    environ: Mapping[str, str] = field(default_factory=dict)
    _child: Child | None = None

    @property
    def busy(self) -> bool:
        """Whether a scan is running."""
        return self._child is not None

    def look(self) -> bool:
        """Begin a scan that is due, unless a cycle or a scan runs; return whether one was begun."""
        self._reap()
        if self._child is not None:
            return False
        at = self.house.clock.now()
        slot = due_scan(self.house, at=at)
        if slot is None:
            return False
        with self.house.state.write() as db:
            if running_elsewhere(db, at) is not None:
                return False  # looked at again when it has ended
        _begun(self.house, slot, at=at)
        arguments = ("--project", str(self.house.project.root), "drift", "--only-new", "--tied", "--json")
        self._child = Child.start(arguments, self.environ)
        return True

    def stop(self, *, patience: float) -> None:
        """End the scan, if one runs; what it had recorded stays."""
        if self._child is not None:
            stop_all([self._child], patience=patience)
            self._child.close()
            self._child = None

    def wait(self, seconds: float) -> None:
        """Wait up to `seconds` for the scan."""
        if self._child is not None:
            self._child.wait(seconds)
            self._reap()

    def _reap(self) -> None:
        if self._child is None or self._child.exit_code is None:
            return
        if self._child.exit_code != 0:
            get_logger("loop").warning("the scan for drift failed", reason=self._child.last_words())
        self._child.close()
        self._child = None
