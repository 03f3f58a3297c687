"""Whether others still live, judged by signs of life that change, not by clocks that nobody agrees on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from marketloop.runtime.clock import ticks
from marketloop.state import lease
from marketloop.state.heartbeats import Heartbeat
from marketloop.state.lease import Lease
from marketloop.state.process import this_process
from marketloop.state.store import State

__all__ = ["Glance", "living_holder"]


def living_holder(state: State, name: str, *, at: datetime, tick: float | None = None) -> Lease | None:
    """Return the lease `name` while its holder lives, None when nobody holds it or the holder is dead.

    On this host a process can be asked. One of another host counts as dead when this host has seen its heartbeat stand
    still for `lease.PATIENCE` of its own steady clock; the look itself is what is written down for the next one.
    """
    here = this_process()
    with state.read() as db:
        held = lease.holder(db, name)
    if held is None or held.process.is_dead(here):
        return None
    if held.process.host == here.host:
        return held
    with state.write() as db:
        return lease.in_the_way(db, name, process=here, at=at, tick=tick)


@dataclass(slots=True)
class Glance:
    """What this process has seen of one heartbeat, by its own steady clock; it begins with nothing."""

    seen: datetime | None = None
    tick: float = 0.0
    moved: bool = False

    def is_alive(self, beat: Heartbeat | None, *, at: datetime, fresh: timedelta, tick: float | None = None) -> bool:
        """Say whether a heartbeat is one of somebody who lives.

        A farewell is not, nor is that of a process that died on this host. Otherwise it must have changed within
        `fresh`; who has never seen it change can only compare its time with `at`, and two hosts' clocks may differ.
        """
        if beat is None or beat.document.get("stopped") or beat.process.is_dead(this_process()):
            return False
        now = ticks() if tick is None else tick
        if beat.at != self.seen:
            self.moved, self.seen, self.tick = self.seen is not None, beat.at, now
        still = timedelta(seconds=now - self.tick)
        return still <= fresh and (self.moved or abs(at - beat.at) <= fresh)
