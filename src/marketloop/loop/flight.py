"""Exactly one cycle at a time: the lease, the cycle's row, and their end whatever happens."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from marketloop.core.errors import MarketLoopError, RefusedError
from marketloop.loop.events import publish_end_of_cycle
from marketloop.loop.house import House
from marketloop.runtime.clock import ticks
from marketloop.runtime.redact import redact_text
from marketloop.state import Connection, cycles, lease, requests, streams, this_process, versions
from marketloop.state.lease import Lease

__all__ = ["BusyError", "Flight", "beating", "single_flight", "take_cycle"]

BETWEEN_BEATS = 30.0
"""Seconds between two signs of life."""


class BusyError(RefusedError):
    """Another cycle is running: this one was never started."""


@dataclass(slots=True)
class Flight:
    """A running cycle: its row, its lease, and what it will be remembered as."""

    cycle: cycles.Cycle
    held: Lease
    outcome: str = "failed"
    document: Mapping[str, Any] = field(default_factory=lambda: {"error": "interrupted"})
    beaten: float | None = None

    def beat(self, house: House) -> None:
        """Renew the lease, at most twice a minute; raise `FailedError` when somebody else has taken it over.

        The minute is one of the steady clock: that of the wall may be put back while a cycle runs.
        """
        tick = ticks()
        if self.beaten is not None and tick - self.beaten < BETWEEN_BEATS:
            return
        with house.state.write() as db:
            lease.renew(db, self.held, at=house.clock.now())
        self.beaten = tick

    @property
    def id(self) -> str:
        """Id of the cycle."""
        return self.cycle.id


@contextmanager
def single_flight(house: House, *, trigger: str, reason: str) -> Iterator[Flight]:
    """Hold the lease while the block runs; its row ends as what it was, also by an error or Ctrl-C.

    A cycle whose process died is recorded as failed first, and what it left half-done is deleted. Whatever the block
    writes into the ledger is written only while the lease is held (`State.fenced`).

    Raises
    ------
    BusyError
        Another cycle is running.
    LeaseLostError
        This one slept for so long that a process of another host took over; nothing of it was written since.
    """
    here, at = this_process(), house.clock.now()
    with house.state.write() as db:
        held, before = take_cycle(db, at=at)
        if held is not None:
            flight = Flight(cycles.start(db, trigger=trigger, reason=reason, process=here, at=at), held)
    if held is None:
        raise BusyError(_busy(before))
    try:
        with house.state.fenced(held), beating(house, held):
            house.registry.recover()
            with house.state.read() as db:
                known = streams.paths(db)
            house.stream_files.recover(known)
            yield flight
    except BaseException as error:
        flight.document = {"error": redact_text(f"{type(error).__name__}: {error}")}
        # What went wrong is what the caller must hear, not that its record cannot be kept either.
        with suppress(MarketLoopError):
            _land(house, flight)
        raise
    else:
        _land(house, flight)
    finally:
        lease.let_go(held, house.state.ledger.engine.url)


@contextmanager
def beating(house: House, held: Lease) -> Iterator[None]:
    """Give signs of life in the background, so that a long fit does not look dead from another host."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(BETWEEN_BEATS):
            # A database that is away may come back; a lease that is lost is noticed by whoever writes next.
            with suppress(MarketLoopError), house.state.write() as db:
                lease.renew(db, held, at=house.clock.now())

    thread = threading.Thread(target=beat, name=f"lease {held.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)


def take_cycle(db: Connection, *, at: dt.datetime) -> tuple[Lease | None, Lease | None]:
    """Take the lease of a cycle, and bury what a dead holder left; return it, or None, and the one that was there."""
    before = lease.holder(db, "cycle")
    held = lease.acquire(db, "cycle", process=this_process(), at=at)
    if held is not None:
        _bury(db, before, at=at)
    return held, before


def _bury(db: Connection, before: Lease | None, *, at: dt.datetime) -> None:
    """Record as failed what the holder before left running; who holds the lease now knows that nothing runs."""
    for cycle_id in cycles.fail_running(db, at=at):
        publish_end_of_cycle(db, cycle_id, at=at)
    if before is None or before.process == this_process():
        return
    requests.release_of(db, before.process, at=at)
    for row in versions.listing(db):
        if row.state == "writing" and row.process == before.process:
            versions.mark(db, row.slot, row.version, "abandoned")  # `recover` deletes its folder


def _land(house: House, flight: Flight) -> None:
    """Record the end of the cycle and give the lease back; a cycle that was overtaken is recorded as failed already."""
    at = house.clock.now()
    with house.state.write() as db:
        lease.check(db, flight.held)
        cycles.finish(db, flight.id, outcome=flight.outcome, document=flight.document, at=at)
        publish_end_of_cycle(db, flight.id, at=at)
        lease.release(db, flight.held, at=at)


def _busy(holder: Lease | None) -> str:
    who = f" ({holder.process})" if holder else ""
    return f"another cycle is running{who}: wait for it, or look at `marketloop status`"
