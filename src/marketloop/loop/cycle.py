"""One turn of the wheel: ingest, observe, decide, assemble, train, examine, promote."""

from __future__ import annotations

import datetime as dt
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from marketloop.core.errors import MarketLoopError, UsageError
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE
from marketloop.evaluation.stream import StreamSpec
from marketloop.loop.checks import LeakReports, leak_check, learner_check
from marketloop.loop.conditions import skipped, why_not
from marketloop.loop.context import MissingContextError
from marketloop.loop.examining import examine_candidate, make_candidate
from marketloop.loop.flight import BusyError, Flight, single_flight
from marketloop.loop.harm import watch_champion
from marketloop.loop.house import House, enabled_families
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.mirroring import drain_mirrors
from marketloop.loop.preparing import Choices, Prepared, choose, prepare
from marketloop.loop.promoting import promote, record_failure, refuse_leak
from marketloop.loop.reporting import report_turn
from marketloop.loop.results import CycleResult, FamilyResult, best_outcome
from marketloop.loop.tuned import with_tuned
from marketloop.runtime.logging import get_logger

__all__ = ["CycleRequest", "run_cycle"]

Telling = Callable[[str, int, int], None]
"""Progress: what is being done, how many steps of it are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class CycleRequest:
    """What is wanted of a cycle.

    Parameters
    ----------
    families : names, all enabled ones when empty
    reason : str
        Why; with `force` it is demanded.
    force : bool
        Skip the skill test, the comparison with the champion and the conditions; never the hard checks.
    choices : Choices
        Recipes and hyperparameters for this cycle.
    collect : CollectRequest, optional
        Which bars to fetch; None repeats the last collection.
    """

    families: tuple[str, ...] = ()
    trigger: str = "manual"
    reason: str = ""
    force: bool = False
    choices: Choices = field(default_factory=Choices)
    collect: CollectRequest | None = None

    def __post_init__(self) -> None:
        if self.force and not self.reason.strip():
            raise UsageError('--force needs --reason "why": it is audited')


def run_cycle(house: House, request: CycleRequest, *, tell: Telling | None = None) -> CycleResult:
    """Run one cycle and return what came of it; the ledger holds the same.

    Raises
    ------
    UsageError
        A family, recipe, hyperparameter or feature set is unknown.
    RefusedError
        Another cycle is running.
    MarketLoopError
        The bars could not be brought up to date; the cycle is recorded as failed.
    """
    tell = tell or _silent
    families = request.families or enabled_families(house)
    if not request.families and request.choices != Choices() and len(families) > 1:
        raise UsageError(
            f"recipes, hyperparameters and labels belong to one family, and {', '.join(families)} would be retrained: "
            "name the family"
        )
    for family in families:
        choose(house, family, request.choices)  # what is misspelt is said before anything is done
    house.project.check_writable()
    try:
        result = _fly(house, families, request, tell)
    except BusyError as error:
        return CycleResult(
            None, "skipped", dt.timedelta(0), tuple(skipped(f, str(error), code="busy") for f in families)
        )
    drain_mirrors(house)
    return result


def _fly(house: House, families: Sequence[str], request: CycleRequest, tell: Telling) -> CycleResult:
    with single_flight(house, trigger=request.trigger, reason=request.reason) as flight:

        def tell_and_beat(what: str, done: int, total: int) -> None:
            flight.beat(house)
            tell(what, done, total)

        fresh = ingest(house, request.collect, tell=tell_and_beat)
        asked = LeakReports()
        turns = [_guarded_turn(house, family, request, flight, tell_and_beat, asked) for family in families]
        results = tuple(replace(turn, warnings=(*turn.warnings, *fresh.warnings)) for turn in turns)
        result = CycleResult(flight.id, best_outcome(results), house.clock.now() - flight.cycle.started_at, results)
        flight.outcome, flight.document = result.outcome, result.document()
    return result


def _turn(
    house: House, family: str, request: CycleRequest, flight: Flight, tell: Telling, asked: LeakReports
) -> FamilyResult:
    """Take one family down the road, from its matrix to its verdict."""
    spec = choose(house, family, request.choices)
    try:
        prepared = prepare(house, spec)
    except MissingContextError as error:
        return skipped(family, str(error))
    spec = with_tuned(house, replace(spec, small=len(prepared.panel.tickers) < SMALL_UNIVERSE), request.choices)
    alarms = watch_champion(house, prepared, spec, flight)
    result = _judge(house, request, flight, tell, spec=spec, prepared=prepared, asked=asked)
    return replace(result, warnings=(*alarms, *result.warnings))


def _judge(
    house: House,
    request: CycleRequest,
    flight: Flight,
    tell: Telling,
    *,
    spec: StreamSpec,
    prepared: Prepared,
    asked: LeakReports,
) -> FamilyResult:
    """Make a candidate, if one is due, and let the gate speak."""
    family = spec.family.name
    reason = why_not(house, family, spec, prepared, force=request.force)
    if reason is not None:
        return skipped(family, reason)
    leak = leak_check(asked.of(prepared, closely=house.catalog.plugin_features))
    if not leak.passed:
        return refuse_leak(house, family, flight, leak)
    learners = learner_check(house.catalog, spec.contenders, prepared.matrix)
    if not learners.passed:
        return refuse_leak(house, family, flight, learners, what="recipes")
    candidate = make_candidate(house, spec, prepared, tell=tell)
    examined = examine_candidate(house, candidate, leak=leak, tell=tell)
    result = promote(house, examined, flight, force=request.force, reason=request.reason)
    report, notes = report_turn(house, examined)
    return replace(result, report=report, warnings=(*result.warnings, *notes))


def _guarded_turn(
    house: House, family: str, request: CycleRequest, flight: Flight, tell: Telling, asked: LeakReports
) -> FamilyResult:
    """Run a family's turn; whatever goes wrong is recorded and never stops the other families."""
    log = get_logger("loop")
    try:
        return _turn(house, family, request, flight, tell, asked)
    except MarketLoopError as error:
        log.error("family failed", family=family, cycle=flight.id, error=str(error))
        return record_failure(house, family, flight, str(error))
    except Exception as error:  # noqa: BLE001 -- the outermost edge of a cycle: recorded, never lost
        log.error("family failed", family=family, cycle=flight.id, traceback=traceback.format_exc())
        return record_failure(house, family, flight, f"{type(error).__name__}: {error}")


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
