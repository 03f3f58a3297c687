"""Exactly one cycle at a time: the lease, the cycle's row, and their end whatever happens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from marketloop.core.errors import RefusedError
from marketloop.loop.house import House
from marketloop.state import cycles, lease, streams, this_process
from marketloop.state.lease import Lease

__all__ = ["BusyError", "Flight", "single_flight"]


BETWEEN_BEATS = dt.timedelta(seconds=30)


class BusyError(RefusedError):
    """Another cycle is running: this one was never started."""


@dataclass(slots=True)
class Flight:
    """A running cycle: its row, its lease, and what it will be remembered as."""

    cycle: cycles.Cycle
    held: Lease
    outcome: str = "failed"
    document: Mapping[str, Any] = field(default_factory=lambda: {"error": "interrupted"})
    beaten_at: dt.datetime | None = None

    def beat(self, house: House) -> None:
        """Renew the lease, at most twice a minute; raise `FailedError` when somebody else has taken it over."""
        now = house.clock.now()
        if self.beaten_at is not None and now - self.beaten_at < BETWEEN_BEATS:
            return
        self.beaten_at = now
        with house.state.write() as db:
            lease.renew(db, self.held, at=now)

    @property
    def id(self) -> str:
        """Id of the cycle."""
        return self.cycle.id


@contextmanager
def single_flight(house: House, *, trigger: str, reason: str) -> Iterator[Flight]:
    """Hold the lease while the block runs; its row ends as what it was, also by an error or Ctrl-C.

    A cycle whose process died is recorded as failed first, and what it left half-done is deleted.

    Raises
    ------
    BusyError
        Another cycle is running.
    """
    here, at = this_process(), house.clock.now()
    with house.state.write() as db:
        cycles.fail_dead(db, here, at=at)
        held = lease.acquire(db, "cycle", process=here, at=at)
        if held is None:
            raise BusyError(_busy(lease.holder(db, "cycle")))
        flight = Flight(cycles.start(db, trigger=trigger, reason=reason, process=here, at=at), held)
    try:
        house.registry.recover()
        with house.state.read() as db:
            known = streams.paths(db)
        house.stream_files.recover(known)
        yield flight
    except BaseException as error:
        flight.document = {"error": f"{type(error).__name__}: {error}"}
        raise
    finally:
        with house.state.write() as db:
            cycles.finish(db, flight.id, outcome=flight.outcome, document=flight.document, at=house.clock.now())
            lease.release(db, held, at=house.clock.now())


def _busy(holder: Lease | None) -> str:
    who = f" ({holder.process})" if holder else ""
    return f"another cycle is running{who}: wait for it, or look at `marketloop status`"
