"""Whether a loop runs: the heartbeat of the worker in charge, and how old it may be."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from marketloop.loop.helm import Helm
from marketloop.state import heartbeats, this_process
from marketloop.state.heartbeats import Heartbeat

if TYPE_CHECKING:
    from marketloop.loop.house import House

__all__ = ["FRESH", "LEASE", "is_fresh", "pulse"]

LEASE: Final = "loop"
"""Name of the lease and of the heartbeat of the worker in charge."""
FRESH: Final = dt.timedelta(seconds=60)
"""Age up to which a heartbeat says that a loop runs."""


def is_fresh(beat: Heartbeat | None, at: dt.datetime) -> bool:
    """Return whether a heartbeat says that a loop runs: young, of a living process, and not a farewell."""
    if beat is None or beat.document.get("stopped") or beat.process.is_dead(this_process()):
        return False
    return abs(at - beat.at) <= FRESH


def pulse(place: House | Helm) -> dict[str, Any]:
    """Return the `loop --health` document: whether a loop runs, and when it was seen last."""
    with place.state.read() as db:
        beat = heartbeats.last(db, LEASE)
    return {
        "running": is_fresh(beat, place.clock.now()),
        "last_seen": None if beat is None else beat.at.isoformat(),
        "process": None if beat is None else str(beat.process),
    }
