"""Fulfil a claimed request: run its cycle in this process, say how far it is, and record how it ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

from marketloop.core.errors import FailedError, MarketLoopError, UsageError
from marketloop.loop.by_hand import promote_by_hand
from marketloop.loop.conditions import why_not_now
from marketloop.loop.cycle import CycleRequest, run_cycle
from marketloop.loop.flight import BusyError, beating
from marketloop.loop.house import House, enabled_families
from marketloop.loop.mirroring import drain_mirrors
from marketloop.loop.preparing import Choices, choose
from marketloop.loop.results import CycleResult, FamilyResult
from marketloop.loop.tuning import TuneRequest, tune_family
from marketloop.runtime.logging import get_logger
from marketloop.state import cycles, lease, requests, this_process
from marketloop.state.lease import Lease, LeaseLostError
from marketloop.state.requests import Request, Wish

__all__ = ["cycle_request", "fulfil", "queue"]

BETWEEN_TELLS = dt.timedelta(seconds=1)
Telling = Callable[[str, int, int], None]


def queue(house: House, wanted: CycleRequest, *, by: str) -> Request:
    """Record a request for the loop and return it; it is checked as a cycle would check it.

    Raises
    ------
    UsageError
        A family, recipe or hyperparameter is unknown, or bars are named: these are collected first.
    """
    if wanted.collect is not None:
        raise UsageError(
            "a queued retraining repeats the last collection: leave --tickers, --region, --source and the like out, "
            "or run `marketloop collect` with them first"
        )
    for family in wanted.families or enabled_families(house):
        choose(house, family, wanted.choices)
    if not wanted.families and wanted.choices != Choices():
        raise UsageError("recipes, hyperparameters and labels belong to one family: name it")
    own = {name: value for name, value in asdict(wanted.choices).items() if value != getattr(Choices(), name)}
    wish = Wish(wanted.trigger, wanted.reason, wanted.families, force=wanted.force, choices=own, requested_by=by)
    with house.state.write() as db:
        return requests.ask(db, wish, process=this_process(), at=house.clock.now())[0]


def fulfil(house: House, request: Request, *, tell: Telling | None = None) -> CycleResult:
    """Run the cycle that a claimed request asks for and return what came of it; the request ends as the cycle did.

    A request that finds another cycle running waits again, unless its time is a slot of a schedule: that slot is
    skipped.

    Raises
    ------
    LeaseLostError
        This process slept for so long that the request was recorded as failed by another host.
    MarketLoopError
        As `run_cycle`; the request is recorded as failed.
    """
    with _holding(house, request) as held:
        progress = _Progress(house, request.id, held, tell)
        try:
            if "promote" in request.choices:
                with house.state.read() as db:
                    lease.check(db, held)
                result = _promote(house, request)
                _settle(house, request, result, held)
                return result
            wanted = cycle_request(request)
            if request.choices.get("tune"):
                _tune(house, request, wanted, progress)
                with house.state.read() as db:
                    lease.check(db, held)
            result = run_cycle(house, wanted, tell=progress)
        except BaseException as error:
            with suppress(MarketLoopError):  # a ledger that is away is told by the worker, which finds us dead
                _end(house, request.id, requests.FAILED, "failed", why_not=_sentence(error), cycle_id=progress.cycle_id)
            raise
        _settle(house, request, result, held)
    return result


@contextmanager
def _holding(house: House, request: Request) -> Iterator[Lease]:
    """Give signs of life for a claimed request, so that other hosts know that it is not left alone; then let it go."""
    with house.state.read() as db:
        held = lease.holder(db, requests.lease_of(request.id))
    if held is None or held.process != this_process():
        raise FailedError(f'request "{request.id}" is not held by this process: claim it first')
    try:
        with beating(house, held):
            yield held
    finally:
        lease.let_go(held, house.state.ledger.engine.url)
        with suppress(MarketLoopError), house.state.write() as db:
            lease.release(db, held, at=house.clock.now())


def cycle_request(request: Request) -> CycleRequest:
    """Return what a stored request wants of a cycle.

    Raises
    ------
    FailedError
        Its choices are not such as this version knows.
    """
    known = {field.name for field in fields(Choices)}
    given = {name: value for name, value in request.choices.items() if name != "tune"}
    if unknown := sorted(set(given) - known):
        raise FailedError(f'request "{request.id}" asks for {", ".join(unknown)}: this MarketLoop knows no such choice')
    given["recipes"] = tuple(given.get("recipes") or ())
    return CycleRequest(
        families=request.families,
        trigger=request.trigger,
        reason=request.reason or request.requested_by,
        force=request.force,
        choices=Choices(**given),
    )


@dataclass(slots=True)
class _Progress:
    """Tells how far a cycle is, to the ledger at most once a second, and to whoever started it."""

    house: House
    request_id: str
    held: Lease
    further: Telling | None = None
    told_at: dt.datetime | None = None
    cycle_id: str | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        now = self.house.clock.now()
        if self.told_at is None or not dt.timedelta(0) <= now - self.told_at < BETWEEN_TELLS:
            self.told_at = now
            with self.house.state.write() as db:
                lease.check(db, self.held)
                self.cycle_id = self.cycle_id or _running_here(db)
                step: Mapping[str, Any] = {"what": what, "done": done, "total": total, "at": now}
                requests.tell(db, self.request_id, progress=step, cycle_id=self.cycle_id)
        if self.further is not None:
            self.further(what, done, total)


def _running_here(db: Any) -> str | None:
    here = this_process()
    return next((c.id for c in cycles.recent(db, limit=3) if c.outcome == cycles.RUNNING and c.process == here), None)


def _tune(house: House, request: Request, wanted: CycleRequest, tell: Telling) -> None:
    """Search the hyperparameters of every family that is due; what cannot be tuned is trained as it is."""
    log = get_logger("loop")
    for family in wanted.families or enabled_families(house):
        reason = why_not_now(house, family, trigger=request.trigger, at=house.clock.now())
        if reason is not None:
            log.info("no search", family=family, reason=reason)
            continue
        try:
            tune_family(house, family, TuneRequest(), tell=tell)
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 -- a plugin's recipe may raise anything; the training goes on
            log.warning("no search", family=family, reason=_sentence(error))


def _promote(house: House, request: Request) -> CycleResult:
    """Make the version that a request names the champion, past the gate's opinion, never past a hard check."""
    begun = house.clock.now()
    family, version = request.families[0], int(request.choices["promote"])
    key = request.choices.get("config_key", house.slot(family).config_key)
    if key != house.slot(family).config_key:
        raise UsageError(
            f"version {version} belongs to the configuration {key}; this project serves {house.slot(family)}"
        )
    try:
        done = promote_by_hand(house, family, version, reason=f"{request.reason} ({request.requested_by})")
    except BusyError as error:  # it waits until the cycle that runs has ended
        busy = FamilyResult(family, "skipped", "busy", str(error))
        return CycleResult(None, "skipped", house.clock.now() - begun, (busy,))
    with suppress(MarketLoopError):  # it serves; mirrors that are away are fed by the loop later
        drain_mirrors(house)
    told = FamilyResult(
        family,
        done["verdict"],
        done["reason_code"],
        done["reason"],
        version=version,
        metrics=done["metrics"],
        baseline=done["baseline"],
    )
    return CycleResult(None, done["verdict"], house.clock.now() - begun, (told,))


def _settle(house: House, request: Request, result: CycleResult, held: Lease) -> None:
    reasons = "; ".join(dict.fromkeys(f"{turn.family}: {turn.reason}" for turn in result.families))
    if result.cycle_id is None and any(turn.reason_code == "busy" for turn in result.families):
        if request.trigger == "schedule":
            _end(house, request.id, requests.SKIPPED, "skipped", why_not=result.families[0].reason)
            return
        with house.state.write() as db:
            requests.put_back(db, request.id)
            lease.release(db, held, at=house.clock.now())  # together: whoever claims it next needs both
        return
    state = {"skipped": requests.SKIPPED, "failed": requests.FAILED}.get(result.outcome, requests.DONE)
    why = "" if state == requests.DONE else reasons
    _end(house, request.id, state, result.outcome, why_not=why, cycle_id=result.cycle_id)


def _end(
    house: House, request_id: str, state: str, outcome: str, *, why_not: str = "", cycle_id: str | None = None
) -> None:
    with house.state.write() as db:
        at = house.clock.now()
        requests.settle(db, request_id, state=state, outcome=outcome, at=at, cycle_id=cycle_id, why_not=why_not)


def _sentence(error: BaseException) -> str:
    if isinstance(error, MarketLoopError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return f"stopped: the process was asked to end ({error or 'Ctrl-C'}); the champion is as it was, ask again"
    return f"{type(error).__name__}: {error}"
