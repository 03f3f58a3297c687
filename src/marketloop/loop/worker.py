"""The worker: plans what is due, reacts to events, runs one request at a time, and survives whatever goes wrong."""

from __future__ import annotations

import datetime as dt
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from marketloop.core.errors import MarketLoopError
from marketloop.loop.aftermath import close_request, record_stopped, running_elsewhere
from marketloop.loop.alarms import enter, raise_alarm, went_wrong
from marketloop.loop.children import Child, stop_all
from marketloop.loop.drift_watch import DriftWatch
from marketloop.loop.due import due_slots
from marketloop.loop.events import drain_events, publish_end_of_cycle
from marketloop.loop.feeding import MIRRORED, feed_mirrors
from marketloop.loop.house import House
from marketloop.loop.pulse import LEASE
from marketloop.loop.reacting import react
from marketloop.loop.runs import cycle_arguments
from marketloop.loop.status import plan_document
from marketloop.loop.upkeep import Upkeep
from marketloop.runtime.clock import ticks
from marketloop.runtime.logging import get_logger
from marketloop.runtime.redact import redact_text
from marketloop.state import cycles, events, heartbeats, lease, outbox, requests, this_process
from marketloop.state.lease import Lease
from marketloop.state.pruning import prune
from marketloop.state.requests import Request, Wish

__all__ = ["Worker"]

PAUSE_S: Final = 10.0
"""Seconds from one round to the next, when nothing wakes the worker."""
STOP_S: Final = 4.0
"""Seconds that a running cycle has to end by itself when the worker is stopped; then it is killed."""
_PATIENCE: Final = dt.timedelta(minutes=2)
MIRROR_PAUSE_S: Final = 30.0
PLAN_S: Final = 60.0
"""Seconds for which the plans in a heartbeat hold."""
ALARMING: Final = 3
"""Rounds that failed in a row for a known reason before somebody is told; an unforeseen one is told at once."""
_LONGEST_PAUSE_S: Final = 60.0
_AGAIN_S: Final = 30.0
_TIDY_S: Final = 86_400.0
_AT_ONCE: Final = 500
Saying = Callable[[str, Mapping[str, Any]], None]


def _silent(what: str, about: Mapping[str, Any]) -> None:
    """Tell nobody."""


@dataclass
class Worker:
    """One worker of a project; of several the one that holds the lease ``loop`` is in charge, the others stand by.

    A cycle runs in a process of its own, so that it can be stopped, or die, without the worker.

    Parameters
    ----------
    house : House
    environ : mapping, optional
        Variables for the cycles beside our own: settings that were given to this worker only.
    say : function of a word and its details, optional
        Told what happens.
    """

    house: House
    environ: Mapping[str, str] = field(default_factory=dict)
    say: Saying = _silent
    _held: Lease | None = None
    _child: Child | None = None
    _request: Request | None = None
    _mirrors: threading.Thread | None = None
    _mirrored: float | None = None
    _left: int = 0
    _planned: float | None = None
    _plans: Mapping[str, Any] = field(default_factory=dict)
    _failures: int = 0
    _standing_by: bool = False
    _not_before: float = 0.0
    _tidied: float | None = None
    _upkeep: Upkeep = field(init=False)
    _drift: DriftWatch = field(init=False)

    def __post_init__(self) -> None:
        self._upkeep = Upkeep(self.house, self.environ)
        self._drift = DriftWatch(self.house, self.environ)

    @property
    def busy(self) -> bool:
        """Whether a cycle of this worker is running."""
        return self._child is not None

    def tick(self) -> bool:
        """Do one round and return whether this worker is in charge; a cycle that is begun goes on by itself.

        Raises
        ------
        MarketLoopError
            The ledger is away, or the settings of a schedule are wrong.
        """
        if not self._take_charge():
            return False
        troubles = []
        begin = (self._reap, self._plan, self._react, self._begin, self._beat)
        steps = (*begin, self._keep_up, self._watch, self._mirror, self._tidy)
        for step in steps:
            try:
                step()
            except Exception as error:  # noqa: BLE001 -- a schedule or a plugin that fails must not keep requests waiting
                troubles.append(error)
        if troubles:
            raise troubles[0]
        return True

    def run(self, until: Callable[[], bool], *, pause: float = PAUSE_S) -> None:
        """Do rounds until `until` says so, at most `pause` seconds apart; whatever goes wrong is told, then it goes on.

        A request, an event, or the end of a cycle begins the next round within a second. At the end a running cycle is
        stopped and recorded.
        """
        try:
            while not until():
                self._rest(until, self._careful_tick(pause))
        finally:
            self.stop()

    def wait(self, until: Callable[[], bool] = lambda: False) -> None:
        """Wait for the cycle that runs, and record how it ended."""
        while self._child is not None and self._child.exit_code is None and not until():
            time.sleep(0.1)
        if self._child is not None and self._child.exit_code is not None:
            self._reap()
        self._upkeep.wait(30.0)
        self._drift.wait(30.0)
        if self._mirrors is not None:
            self._mirrors.join(timeout=30.0)

    def stop(self) -> None:
        """Stop the cycle that runs, record it as failed, and hand the lease over; the champion is as it was."""
        child, request = self._child, self._request
        self._child = self._request = None
        try:
            self._upkeep.stop(patience=STOP_S / 2)
            self._drift.stop(patience=STOP_S / 4)
            if child is not None:
                killed = bool(stop_all([child], patience=STOP_S))
                with self.house.state.write() as db:
                    record_stopped(db, child, request, killed=killed, at=self.house.clock.now())
                child.close()
                self.say("cycle stopped", {"request_id": request.id if request else None, "killed": killed})
            if self._held is not None:
                with self.house.state.write() as db:
                    at = self.house.clock.now()
                    heartbeats.beat(db, LEASE, document={"stopped": True}, process=this_process(), at=at)
                    lease.release(db, self._held, at=at)
        except MarketLoopError as error:  # the ledger is away: the next worker finds us dead
            get_logger("loop").warning("stopped without a word to the ledger", reason=str(error))
        finally:
            if self._held is not None:
                lease.let_go(self._held, self.house.state.ledger.engine.url)
            self._held = None
        if self._mirrors is not None:
            self._mirrors.join(timeout=1.0)

    def _take_charge(self) -> bool:
        """Take or renew the lease ``loop``."""
        at = self.house.clock.now()
        with self.house.state.write() as db:
            if self._held is not None:
                try:
                    lease.renew(db, self._held, at=at)
                except MarketLoopError as error:
                    get_logger("loop").warning("no longer in charge", reason=str(error))
                    self._held = None
            if self._held is None:
                self._held = lease.acquire(db, LEASE, process=this_process(), at=at, patience=_PATIENCE)
            holder = None if self._held is not None else lease.holder(db, LEASE)
        if self._held is None and not self._standing_by:
            self.say("standing by", {"in_charge": str(holder.process) if holder else "another worker"})
        self._standing_by = self._held is None
        return self._held is not None

    def _reap(self) -> None:
        """Record what came of our own cycle, and as failed what died on this host."""
        here = this_process()
        child = self._child if self._child is not None and self._child.exit_code is not None else None
        with self.house.state.write() as db:
            at = self.house.clock.now()
            for cycle_id in cycles.fail_dead(db, here, at=at):
                publish_end_of_cycle(db, cycle_id, at=at)
                said = "its process died; the champion is as it was"
                enter(
                    db, self.house, went_wrong("A retraining died", key=f"cycle:{cycle_id}", error=said, cycle=cycle_id)
                )
                self.say("cycle died", {"cycle_id": cycle_id})
            if child is not None and self._request is not None:
                close_request(db, self.house, self._request, child)
            for request_id in requests.release_dead(db, here, at=at):
                self.say("request died", {"request_id": request_id})
            ended = None if child is None or self._request is None else requests.get(db, self._request.id)
        if child is not None:
            child.close()
            self._child = self._request = None
        if ended is not None and ended.state == requests.WAITING:  # it found another cycle running
            self._not_before = ticks() + _AGAIN_S
        if ended is not None:
            about = {"request_id": ended.id, "outcome": ended.outcome or ended.state, "why_not": ended.why_not}
            self.say("cycle ended", {**about, "cycle_id": ended.cycle_id})

    def _plan(self) -> None:
        """Make a request of every slot that is due, or a skipped one that says why not."""
        at = self.house.clock.now()
        due = due_slots(self.house, at=at)
        if not due:
            return
        with self.house.state.write() as db:
            for slot in due:
                wish = Wish(
                    "schedule",
                    f"schedule {slot.name}",
                    slot.families,
                    choices={"tune": True} if slot.tune else {},
                    requested_by=slot.name,
                    key=slot.key,
                )
                request, new = requests.ask(db, wish, process=this_process(), at=at, why_not=slot.why_not)
                if new:
                    self.say("due", {"schedule": slot.name, "slot": slot.slot_at.isoformat(), **_told(request)})

    def _react(self) -> None:
        drain_events(self.house)
        for reaction in react(self.house, at=self.house.clock.now()):
            self.say("event", {"event_id": reaction.event_id, "type": reaction.type, **reaction.document()})

    def _begin(self) -> None:
        """Start the request that has waited longest, unless a cycle runs."""
        if self._child is not None or ticks() < self._not_before:
            return
        with self.house.state.read() as db:
            request = requests.next_waiting(db)
        if request is None:
            return
        with self.house.state.write() as db:
            busy = running_elsewhere(db, self.house.clock.now())
        if busy is None:
            self._child, self._request = Child.start(cycle_arguments(self.house, request), self.environ), request
            self.say("cycle begins", {**_told(request), "trigger": request.trigger, "pid": self._child.pid})
        elif request.trigger == "schedule":
            with self.house.state.write() as db:
                at = self.house.clock.now()
                requests.settle(db, request.id, state=requests.SKIPPED, outcome="skipped", at=at, why_not=busy)
            self.say("skipped", {"request_id": request.id, "why_not": busy})

    def _beat(self) -> None:
        """Tell that we live, what runs next and why not; the plans are made anew once a minute.

        Plans that cannot be made are trouble, and no reason to look dead: the heartbeat says it instead of them.
        """
        at, trouble = self.house.clock.now(), None
        if self._planned is None or not 0 <= ticks() - self._planned < PLAN_S:
            self._planned = ticks()
            try:
                self._plans = plan_document(self.house, at=at)
            except Exception as error:  # noqa: BLE001 -- a plugin's condition may raise anything; raised again below
                trouble, self._plans = error, {"trouble": redact_text(f"{type(error).__name__}: {error}")}
        document = {
            **self._plans,
            "request": None if self._request is None else _told(self._request),
            "failures": self._failures,
        }
        with self.house.state.write() as db:
            heartbeats.beat(db, LEASE, document=document, process=this_process(), at=at)
        if trouble is not None:
            raise trouble

    def _keep_up(self) -> None:
        """Let the champions speak of what is new, and settle what has matured, while no cycle of ours runs."""
        if self._child is None and self._upkeep.look():
            self.say("journal", {"doing": "champions speak of the newest session, outcomes are joined"})

    def _watch(self) -> None:
        """Scan the champions for drift when it is due, while nothing else of ours runs."""
        if self._child is None and not self._upkeep.busy and self._drift.look():
            self.say("drift", {"doing": "champions are scanned for drift"})

    def _tidy(self) -> None:
        """Once a day delete what was done with long ago; as many rounds as it takes, some rows in each."""
        if self._tidied is not None and 0 <= ticks() - self._tidied < _TIDY_S:
            return
        with self.house.state.write() as db:
            gone = prune(db, at=self.house.clock.now(), limit=_AT_ONCE)
        if gone < _AT_ONCE:
            self._tidied = ticks()

    def _mirror(self) -> None:
        """Feed mirrors and channels on a thread of their own: a server that hangs must not stop the heartbeat."""
        if self._mirrors is not None and self._mirrors.is_alive():
            return
        moment = ticks()
        rested = self._mirrored is None or moment - self._mirrored >= MIRROR_PAUSE_S
        if not rested:
            with self.house.state.read() as db:
                if outbox.waiting(db, MIRRORED) <= self._left:
                    return
        first, self._mirrored = self._mirrored is None, moment
        self._mirrors = threading.Thread(target=self._feed, kwargs={"first": first}, name="mirrors", daemon=True)
        self._mirrors.start()

    def _feed(self, *, first: bool) -> None:
        try:
            self._left = feed_mirrors(self.house, repair=first)
        except Exception as error:  # noqa: BLE001 -- the edge of a thread: told, tried again
            get_logger("loop").warning("the mirrors are behind", reason=f"{type(error).__name__}: {error}")

    def _careful_tick(self, pause: float) -> float:
        """Do a round and return how long to rest; an error is told, and the rest grows with each in a row."""
        try:
            in_charge = self.tick()
        except Exception as error:  # noqa: BLE001 -- the outermost edge of the worker: told, and it goes on
            self._failures += 1
            said = str(error) if isinstance(error, MarketLoopError) else f"{type(error).__name__}: {error}"
            get_logger("loop").error("a round of the loop failed", error=said, traceback=traceback.format_exc())
            self.say("trouble", {"error": said, "in_a_row": self._failures})
            if self._failures >= ALARMING or not isinstance(error, MarketLoopError):
                raise_alarm(self.house, went_wrong("The loop is in trouble", key="loop:round", error=said))
            return min(_LONGEST_PAUSE_S, pause * 2.0 ** min(self._failures - 1, 10))
        self._failures = 0
        return pause if in_charge else min(pause, 2.0)

    def _rest(self, until: Callable[[], bool], seconds: float) -> None:
        """Sleep, but wake within a second when there is something to do."""
        begun = looked = ticks()
        while not until() and ticks() - begun < seconds:
            time.sleep(min(0.2, seconds))
            if self._failures == 0 and self._child is not None and self._child.exit_code is not None:
                return
            if ticks() - looked >= 1.0:
                looked = ticks()
                if self._failures == 0 and not self._standing_by and self._has_news():
                    return

    def _has_news(self) -> bool:
        try:
            with self.house.state.read() as db:
                if self._child is None and requests.next_waiting(db) is not None:
                    return True
                return events.has_new(db)
        except MarketLoopError:
            return False


def _told(request: Request) -> dict[str, Any]:
    told = {"request_id": request.id, "families": list(request.families), "reason": request.reason}
    return {**told, "why_not": request.why_not} if request.why_not else told
