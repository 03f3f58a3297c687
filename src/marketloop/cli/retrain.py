"""``marketloop retrain``: one whole turn of the wheel, gate and promotion included."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import CollectFlags, FeatureFlags, RecipeFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import checks_table, figures_table, warning_lines

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
) -> Answer:
    """Refresh the bars, train, examine, and promote what passes the gate.

    The exit code follows the outcome: 0 promoted, provisional or skipped, 1 refused, 3 failed.
    """
    cycle, ingesting, preparing = map(call.room, ("loop.cycle", "loop.ingesting", "loop.preparing"))
    request = cycle.CycleRequest(
        families=tuple(dict.fromkeys(families or ())),
        reason=reason,
        force=force,
        choices=preparing.Choices(**recipe.choices()),
        collect=ingesting.CollectRequest(**wanted.request()) if wanted.given else None,
    )
    with call.open_house(features.settings()) as house, call.telling("retraining") as tell:
        result = cycle.run_cycle(house, request, tell=tell)
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
