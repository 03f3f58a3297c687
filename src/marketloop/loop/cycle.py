"""One turn of the wheel: ingest, observe, decide, assemble, train, examine, promote."""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from marketloop.core.errors import UsageError
from marketloop.loop.conditions import skipped
from marketloop.loop.early import nothing_new
from marketloop.loop.events import drain_events
from marketloop.loop.flight import BusyError, Flight, single_flight
from marketloop.loop.house import House, enabled_families
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.mirroring import drain_mirrors
from marketloop.loop.preparing import Choices, choose
from marketloop.loop.results import CycleResult, FamilyResult, best_outcome
from marketloop.loop.retaining import retain
from marketloop.loop.ringing import ring
from marketloop.loop.settling import settle_carefully

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
    except BaseException:
        ring(house)  # a failed cycle is told of, and raised on
        raise
    settle_carefully(house)
    drain_events(house)
    drain_mirrors(house)
    ring(house)
    return result


def _fly(house: House, families: Sequence[str], request: CycleRequest, tell: Telling) -> CycleResult:
    with single_flight(house, trigger=request.trigger, reason=request.reason) as flight:

        def tell_and_beat(what: str, done: int, total: int) -> None:
            flight.beat(house)
            tell(what, done, total)

        fresh = ingest(house, request.collect, tell=tell_and_beat)
        idle = nothing_new(house, families, request)
        due = [family for family in families if family not in idle]
        done = {family: skipped(family, reason) for family, reason in idle.items()}
        done |= _turns(house, due, request, flight, tell_and_beat) if due else {}
        turns = [done[family] for family in families]
        results = tuple(replace(turn, warnings=(*turn.warnings, *fresh.warnings)) for turn in turns)
        result = CycleResult(flight.id, best_outcome(results), house.clock.now() - flight.cycle.started_at, results)
        flight.outcome, flight.document = result.outcome, result.document()
    return result


def _turns(
    house: House, families: Sequence[str], request: CycleRequest, flight: Flight, tell: Telling
) -> dict[str, FamilyResult]:
    """Take each family from its matrix to its verdict; what learns and examines is loaded here, and not before."""
    turn = importlib.import_module("marketloop.loop.turn")
    asked = turn.LeakReports()
    done = {family: turn.guarded_turn(house, family, request, flight, tell, asked) for family in families}
    turn.keep_journals(house, house.catalog.families)
    retain(house, families)
    return done


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
