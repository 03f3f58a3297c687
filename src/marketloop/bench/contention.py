"""Many processes try the same slots, are killed at random and disagree about the time: each slot has one cycle."""

from __future__ import annotations

import datetime as dt
import fcntl
import multiprocessing
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, Final, cast

from marketloop.core.errors import FailedError, UsageError
from marketloop.loop.flight import BusyError, Flight, single_flight
from marketloop.loop.house import House
from marketloop.registry import Registry, StreamFiles
from marketloop.runtime.clock import SystemClock
from marketloop.state import Slot, State, champions, cycles, decisions, lease, requests, this_process
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision
from marketloop.state.requests import Request, Wish

__all__ = ["Skewed", "Yard", "run", "verdict"]

SLOT: Final = Slot("price_predictor", "rsi10_vol20_support20")
SKEW_MINUTES: Final = 30.0
"""No two clocks differ by more than twice this."""
EVERY_NTH_TOO_LATE: Final = 20
"""Every such slot is recorded as skipped at once, with a reason, by whoever comes first."""


@dataclass(slots=True)
class Skewed:
    """The machine's clock, some minutes wrong; now and then it jumps."""

    chance: random.Random
    offset: dt.timedelta = dt.timedelta(0)

    def now(self) -> dt.datetime:
        """Return what this process takes for the present."""
        if self.offset == dt.timedelta(0) or self.chance.random() < 0.02:
            self.offset = dt.timedelta(minutes=self.chance.uniform(-SKEW_MINUTES, SKEW_MINUTES))
        return SystemClock().now() + self.offset


@dataclass
class Yard:
    """As much of a house as a cycle without a model needs: ledger, clock, registry and stream files in a folder."""

    folder: Path
    url: str
    clock: Skewed = field(default_factory=lambda: Skewed(random.Random(0)))  # noqa: S311 - reproducible, no secret

    @cached_property
    def state(self) -> State:
        """The ledger and the scoreboards."""
        return State.open(self.url)

    @cached_property
    def registry(self) -> Registry:
        """No artefacts, no mirrors."""
        return Registry(self.folder / "registry", self.state, ())

    @cached_property
    def stream_files(self) -> StreamFiles:
        """No streams."""
        return StreamFiles(self.folder / "streams")

    @property
    def house(self) -> House:
        """The yard itself: `single_flight` uses nothing else of a house."""
        return cast("House", self)


def run(
    *, processes: int = 8, slots: int = 200, kills: int = 100, seed: int = 0, url: str | None = None
) -> dict[str, Any]:
    """Let `processes` try each of `slots` while `kills` of them are killed and begun again; say what was wrong.

    Every slot is a request with one key. Whoever claims it takes the real lease and promotes by compare-and-swap what
    it read before; half of the kills are aimed at the holder of the lease. Clocks differ by up to an hour and jump.

    Parameters
    ----------
    url : str, optional
        An empty database; by default a SQLite file in a temporary folder.

    Returns
    -------
    dict
        ``{"name", "figures": {...}, "violations": [...]}``; none are expected.
    """
    if processes < 1 or slots < 1 or kills < 0:
        raise UsageError(f"contention: {processes} processes, {slots} slots, {kills} kills: expected at least 1, 1, 0")
    chance = random.Random(seed)  # noqa: S311 - reproducible, no secret
    with tempfile.TemporaryDirectory(prefix="marketloop-contention-") as folder:
        yard = Yard(Path(folder), url or f"sqlite:///{folder}/state.db")
        begun = time.perf_counter()
        with yard.state:
            killed, aimed = _contend(yard, processes=processes, slots=slots, kills=kills, chance=chance)
            _tidy(yard)
            seconds = time.perf_counter() - begun
            figures, violations = verdict(yard, slots)
    return {
        "name": "contention",
        "seconds": round(seconds, 2),
        "figures": {
            "processes": processes,
            "slots": slots,
            "triggers": processes * slots,
            "kills": killed,
            "kills_of_the_holder": aimed,
            "database": "sqlite" if url is None else url.split(":")[0],
            **figures,
            "violations": len(violations),
        },
        "violations": violations,
    }


def verdict(yard: Yard, slots: int) -> tuple[dict[str, int], list[str]]:
    """Read the ledger when all is over: figures, and a sentence for everything that should not be."""
    with yard.state.read() as db:
        asked = {request.key: request for request in requests.recent(db, limit=10 * slots)}
        flown = cycles.recent(db, limit=10 * slots)
        ledger = champions.history(db, SLOT)[::-1]
        decided = {decision.id: decision for decision in decisions.history(db, SLOT, limit=10 * slots)}
    by_slot = Counter(cycle.reason for cycle in flown if cycle.trigger == "schedule")
    served = Counter(decided[entry.decision_id].reason for entry in ledger)
    wrong = [f"{key}: never asked for" for key in _keys(slots) if key not in asked]
    for key, request in sorted(asked.items()):
        wrong += _faults(request, by_slot[key], served[key])
    wrong += [f"cycle {cycle.id} still runs" for cycle in flown if cycle.outcome == cycles.RUNNING]
    wrong += [f"cycles beyond those asked for: {key}" for key in by_slot if key not in asked]
    if [entry.entry for entry in ledger] != list(range(1, len(ledger) + 1)):
        wrong.append("the entries of the champion ledger are not 1, 2, 3, ...")
    if [entry.version for entry in ledger] != list(range(1, len(ledger) + 1)):
        wrong.append("a promotion was compared with another champion than the one that it followed")
    tokens = [int(decided[entry.decision_id].record["token"]) for entry in ledger]
    if tokens != sorted(set(tokens)):
        wrong.append("the promotions do not follow the tokens of their leases")
    overlaps = yard.folder / "overlaps"
    wrong += overlaps.read_text().splitlines() if overlaps.exists() else []
    states = Counter(request.state for request in asked.values())
    figures = {"cycles": len(flown), "promotions": len(ledger), **{f"requests_{k}": n for k, n in states.items()}}
    return figures, wrong


def _faults(request: Request, flown: int, promotions: int) -> Iterator[str]:
    if request.state in {requests.WAITING, requests.RUNNING}:
        yield f"{request.key}: {request.state} when all is over"
    if flown > 1 or promotions > 1:
        yield f"{request.key}: {flown} cycles and {promotions} promotions, expected one"
    if request.state == requests.DONE and (flown, promotions) != (1, 1):
        yield f"{request.key}: done with {flown} cycles and {promotions} promotions"
    if request.state == requests.SKIPPED and (flown, promotions) != (0, 0):
        yield f"{request.key}: skipped with {flown} cycles and {promotions} promotions"
    if request.state != requests.DONE and not request.why_not:
        yield f"{request.key}: {request.state} without a reason"


def _keys(slots: int) -> list[str]:
    first = dt.datetime(2026, 1, 1, 7, tzinfo=dt.UTC)
    return [f"schedule:nightly:{(first + dt.timedelta(days=n)).isoformat()}" for n in range(slots)]


def _contend(yard: Yard, *, processes: int, slots: int, kills: int, chance: random.Random) -> tuple[int, int]:
    """Run the processes to their end, killing as many as asked on the way; return kills, and those of the holder."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    running = [_start(context, yard, slots, chance) for _ in range(processes)]
    killed = aimed = 0
    try:
        while any(process.is_alive() for process in running):
            time.sleep(chance.uniform(0.01, 0.15))
            if killed >= kills:
                continue
            holder = _holder(yard) if chance.random() < 0.5 else None
            victims = [n for n, process in enumerate(running) if process.is_alive()]
            at = [n for n in victims if running[n].pid == holder] or victims
            if not at:
                break
            number = chance.choice(at)
            running[number].kill()
            running[number].join()
            killed += 1
            aimed += running[number].pid == holder
            running[number] = _start(context, yard, slots, chance)
    finally:
        for process in running:
            if process.is_alive():
                process.kill()
            process.join()
    if failed := [process.exitcode for process in running if process.exitcode != 0]:
        raise FailedError(f"contention: processes ended with {failed}, expected 0; what they said is above")
    return killed, aimed


def _start(context: ForkServerContext, yard: Yard, slots: int, chance: random.Random) -> ForkServerProcess:
    process = context.Process(target=_child, args=(str(yard.folder), yard.url, slots, chance.randrange(2**32)))
    process.start()
    return process


def _holder(yard: Yard) -> int | None:
    with yard.state.read() as db:
        held = lease.holder(db, "cycle")
    return None if held is None else held.process.pid


def _child(folder: str, url: str, slots: int, seed: int) -> None:
    """Try every slot, in an order of its own, until each has ended."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, no secret
    yard = Yard(Path(folder), url, Skewed(random.Random(chance.random())))  # noqa: S311
    left = _keys(slots)
    chance.shuffle(left)
    with yard.state:
        while left:
            left = [key for key in left if not _try(yard, key, chance)]
            with yard.state.write() as db:
                requests.release_dead(db, this_process(), at=yard.clock.now())
            time.sleep(chance.uniform(0.0, 0.02))


def _try(yard: Yard, key: str, chance: random.Random) -> bool:
    """Ask for a slot and run it if nobody else does; return whether it has ended."""
    late = _number(key) % EVERY_NTH_TOO_LATE == EVERY_NTH_TOO_LATE - 1
    wish = Wish("schedule", key, key=key, requested_by="nightly")
    why_not = "more than a day late" if late else None
    with yard.state.write() as db:
        request, _ = requests.ask(db, wish, process=this_process(), at=yard.clock.now(), why_not=why_not)
        if request.state not in {requests.WAITING, requests.RUNNING}:
            return True
        taken = requests.begin(db, request.id, process=this_process(), at=yard.clock.now())
    if taken is None:
        return False
    try:
        with single_flight(yard.house, trigger="schedule", reason=key) as flight, _alone(yard, key):
            _promote(yard, flight, key, chance)
    except BusyError:
        with yard.state.write() as db:
            requests.put_back(db, request.id)
        time.sleep(chance.uniform(0.0, 0.02))
        return False
    with yard.state.write() as db:
        requests.settle(
            db, request.id, state=requests.DONE, outcome="promoted", at=yard.clock.now(), cycle_id=flight.id
        )
    return True


def _number(key: str) -> int:
    day = dt.datetime.fromisoformat(key.removeprefix("schedule:nightly:"))
    return (day.date() - dt.date(2026, 1, 1)).days


def _promote(yard: Yard, flight: Flight, key: str, chance: random.Random) -> None:
    """Promote what was compared with the champion that was read before some work."""
    with yard.state.read() as db:
        before = champions.current(db, SLOT)
    time.sleep(chance.uniform(0.0, 0.03))
    entry, at = before.entry if before else 0, yard.clock.now()
    record = {"token": flight.held.token}
    with yard.state.write() as db:
        lease.check(db, flight.held)
        decision = decisions.record(
            db, Decision(SLOT, entry + 1, "promoted", "superior", key, at, cycle_id=flight.id, record=record)
        )
        new = Champion(SLOT, entry + 1, "promote", "champion", True, at, at, at, "1", "0" * 64, decision.id)
        champions.append(db, new, expected=entry)
    flight.outcome, flight.document = "promoted", {"slot": key}


@contextmanager
def _alone(yard: Yard, key: str) -> Iterator[None]:
    """Note when another process is inside at the same time; the kernel opens the lock of a killed one."""
    with (yard.folder / "inside").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with (yard.folder / "overlaps").open("a") as overlaps:
                overlaps.write(f"two cycles at once: process {os.getpid()} with {key}\n")
        yield


def _tidy(yard: Yard) -> None:
    """Do what the next cycle and the next worker do: record as failed what died."""
    with single_flight(yard.house, trigger="manual", reason="the last one") as flight:
        flight.outcome = "skipped"
    with yard.state.write() as db:
        requests.release_dead(db, this_process(), at=yard.clock.now())
