"""``marketloop retrain``: one whole turn of the wheel, gate and promotion included."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import CollectFlags, FeatureFlags, RecipeFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import checks_table, figures_table, warning_lines
from marketloop.core.errors import UsageError

__all__ = ["command", "show_cycle"]

_STYLES = {"promoted": "bold green", "provisional": "bold yellow", "refused": "bold red", "failed": "bold red"}


def command(
    call: Call,
    wanted: CollectFlags,
    features: FeatureFlags,
    recipe: RecipeFlags,
    families: Annotated[list[str] | None, typer.Argument(metavar="[FAMILY...]", help="All enabled ones.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overrule all but the hard checks; needs --reason.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")] = "",
    queue: Annotated[bool, typer.Option("--queue", help="Only record the request; the loop runs it.")] = False,
    asked: Annotated[
        str | None, typer.Option("--request", metavar="ID", help="Run a recorded request here, as the loop does.")
    ] = None,
    tied: Annotated[bool, typer.Option("--tied", help="End when standard input ends.", hidden=True)] = False,
) -> Answer:
    """Refresh the bars, train, examine, and promote what passes the gate.

    The exit code follows the outcome: 0 promoted, provisional or skipped, 1 refused, 3 failed.
    """
    if asked is not None:
        if families or force or reason or queue or wanted.given or recipe != RecipeFlags():
            raise UsageError("--request says itself what is wanted: leave all else out")
        return _run_recorded(call, features, asked, tied=tied)
    cycle, ingesting, preparing = map(call.room, ("loop.cycle", "loop.ingesting", "loop.preparing"))
    request = cycle.CycleRequest(
        families=tuple(dict.fromkeys(families or ())),
        reason=reason,
        force=force,
        choices=preparing.Choices(**recipe.choices()),
        collect=ingesting.CollectRequest(**wanted.request()) if wanted.given else None,
    )
    if queue:
        return _record(call, features, request)
    with call.open_house(features.settings()) as house, call.telling("retraining") as tell:
        result = cycle.run_cycle(house, request, tell=tell)
    document: dict[str, Any] = result.document()
    return Answer(document, lambda screen: show_cycle(screen, document), exit_code=result.exit_code)


def _record(call: Call, features: FeatureFlags, request: Any) -> Answer:
    """Write the request and say its number, as the API does."""
    if features != FeatureFlags():
        raise UsageError("a queued retraining follows the project's settings: set features and periods there")
    with call.open_house() as house:
        recorded = call.room("loop.fulfilling").queue(house, request, by="cli")
    document = {
        "job_id": recorded.id,
        "status": "started",
        "message": "Retraining job started in background",
        "families": list(recorded.families),
    }
    return Answer(document, lambda screen: screen.line(f"request {recorded.id} is recorded; the loop runs it"))


def _run_recorded(call: Call, features: FeatureFlags, request_id: str, *, tied: bool) -> Answer:
    """Fulfil a recorded request; SIGTERM stops it in order."""
    stopping = call.room("runtime.stopping")
    stopping.raise_on_signals()
    if tied:
        stopping.tie_to_parent()
    with call.open_house(features.settings()) as house, call.telling("retraining") as tell:
        claiming = call.room("loop.claiming")
        if tied:
            claiming.give_way()
        request = claiming.claim(house, request_id)
        result = call.room("loop.fulfilling").fulfil(house, request, tell=tell)
    document: dict[str, Any] = result.document()
    return Answer(document, lambda screen: show_cycle(screen, document), exit_code=result.exit_code)


def show_cycle(screen: Screen, document: dict[str, Any]) -> None:
    """Print what came of each family: the word and why, figures beside their baseline, checks, what it would take."""
    for family in document["families"]:
        version = f" v{family['version']}" if family["version"] is not None else ""
        screen.line(f"{family['family']}{version}: {family['verdict']}", style=_STYLES.get(family["verdict"], "bold"))
        screen.line(f"{family['reason_code']}: {family['reason']}")
        if family["rows"] is not None:
            screen.line(f"learned from {family['rows']:,} rows of {family['tickers']} tickers", style="dim")
        figures_table(screen, family["metrics"], family["baseline"], title="out of sample, walking forward")
        checks_table(screen, family["checks"])
        needed = family["record"].get("to_pass", "passed")
        if needed != "passed":
            screen.line(f"to pass the skill test it would take {needed}")
        warning_lines(screen, family["warnings"])
        if family["report"]:
            screen.line(f"report: {family['report']}", style="dim")
    screen.line(
        f"outcome: {document['outcome']} in {document['duration_s']:.1f} s ({document['cycle_id']})", style="dim"
    )
