"""The daily scan for drift, in a process apart while no cycle runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from marketloop.loop.house import House
from marketloop.loop.schedules import drift_schedule
from marketloop.loop.sidework import Sidework
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
    work: Sidework = field(init=False)

    def __post_init__(self) -> None:
        self.work = Sidework(self.house, "the scan for drift failed", self.environ)

    @property
    def busy(self) -> bool:
        """Whether a scan is running."""
        return self.work.busy

    def look(self) -> bool:
        """Begin a scan that is due, unless a cycle or a scan runs; return whether one was begun."""
        self.work.reap()
        if self.work.busy:
            return False
        at = self.house.clock.now()
        slot = due_scan(self.house, at=at)
        if slot is None or not self.work.may_begin():
            return False
        self.work.begin("drift", "--only-new")
        _begun(self.house, slot, at=at)
        return True

    def stop(self, *, patience: float) -> None:
        """End the scan, if one runs; what it had recorded stays."""
        self.work.stop(patience=patience)

    def wait(self, seconds: float) -> None:
        """Wait up to `seconds` for the scan."""
        self.work.wait(seconds)
