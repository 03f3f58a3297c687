"""One family's part of a cycle, from its matrix to its verdict; loaded only when a family is due."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from marketloop.core.errors import MarketLoopError
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE
from marketloop.evaluation.stream import StreamSpec
from marketloop.loop.checks import LeakReports, label_check, leak_check, learner_check
from marketloop.loop.conditions import skipped, why_not
from marketloop.loop.context import MissingContextError
from marketloop.loop.examining import examine_candidate, make_candidate
from marketloop.loop.flight import Flight
from marketloop.loop.guard import watch_promotion
from marketloop.loop.harm import watch_champion
from marketloop.loop.house import House
from marketloop.loop.predicting import keep_journals
from marketloop.loop.preparing import Prepared, choose, prepare
from marketloop.loop.promoting import promote, record_failure, refuse_leak
from marketloop.loop.reporting import report_turn
from marketloop.loop.results import FamilyResult
from marketloop.loop.tuned import with_tuned
from marketloop.runtime.logging import get_logger

if TYPE_CHECKING:  # the cycle loads this module, not the other way round
    from marketloop.loop.cycle import CycleRequest

__all__ = ["LeakReports", "guarded_turn", "keep_journals"]

Telling = Callable[[str, int, int], None]


def guarded_turn(
    house: House, family: str, request: CycleRequest, flight: Flight, tell: Telling, asked: LeakReports
) -> FamilyResult:
    """Run a family's turn; whatever goes wrong is recorded and never stops the other families."""
    log = get_logger("loop")
    try:
        return _turn(house, family, request, flight, tell, asked)
    except MarketLoopError as error:
        why = {} if error.__cause__ is None else {"traceback": traceback.format_exc()}
        log.error("family failed", family=family, cycle=flight.id, error=str(error), **why)
        return record_failure(house, family, flight, str(error))
    except Exception as error:  # noqa: BLE001 -- the outermost edge of a cycle: recorded, never lost
        log.error("family failed", family=family, cycle=flight.id, traceback=traceback.format_exc())
        return record_failure(house, family, flight, f"{type(error).__name__}: {error}")


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
    # Going back to a version that was trusted is better than falling silent: the guard speaks before the harm alarm.
    alarms = (*watch_promotion(house, prepared, spec, flight), *watch_champion(house, prepared, spec, flight))
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
    label = label_check(house.catalog, spec.label, prepared.panel)
    if not label.passed:
        return refuse_leak(house, family, flight, label, what="labels")
    learners = learner_check(house.catalog, spec.contenders, prepared.matrix)
    if not learners.passed:
        return refuse_leak(house, family, flight, learners, what="recipes")
    candidate = make_candidate(house, spec, prepared, tell=tell)
    examined = examine_candidate(house, candidate, leak=leak, tell=tell)
    result = promote(house, examined, flight, force=request.force, reason=request.reason)
    report, notes = report_turn(house, examined)
    return replace(result, report=report, warnings=(*result.warnings, *notes))
