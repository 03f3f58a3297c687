"""``marketloop accuracy``: how good the served predictions turned out to be, and what is to be expected of the rest."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines

__all__ = ["command"]

_USUAL: Final = ("7d", "30d")
_METRICS: Final = {"accuracy": "accuracy", "rank_ic": "rank IC", "rmse": "RMSE"}
_COLUMNS: Final = ("metric", "window", "matured", "value", "no skill", "95 % interval", "immature", "estimated")


def command(
    call: Call,
    family: Annotated[str | None, typer.Argument(metavar="[FAMILY]", help="All that have a champion.")] = None,
    window: Annotated[str, typer.Option("--window", metavar="TIME", help="E.g. 7d, 30d, 1y.")] = "30d",
    refresh: Annotated[
        bool, typer.Option("--refresh", help="First let every champion speak of the newest session.")
    ] = False,
    tied: Annotated[bool, typer.Option("--tied", help="End when standard input ends.", hidden=True)] = False,
) -> Answer:
    """Show accuracy, rank IC or error of the served predictions whose labels ended within the window.

    No skill stands beside it: the best that one answer for all of these rows would have reached. The estimate is of the
    predictions that have not matured, from their own probabilities.
    """
    stopping = call.room("runtime.stopping")
    stopping.raise_on_signals()
    if tied:
        stopping.tie_to_parent()
    with call.open_house() as house, call.progress("joining outcomes") as update:
        update(0, None)
        document: dict[str, Any] = call.room("loop.looking_back").look_back(
            house, family, window=window, usual=_USUAL, refresh=refresh
        )
    return Answer(document, lambda screen: _show(screen, document))


def _show(screen: Screen, document: dict[str, Any]) -> None:
    notes = []
    for family in document["families"]:
        figures = [*family["windows"].values()]
        if family["window"] not in family["windows"]:
            figures.append(family)
        screen.table(_COLUMNS, [_row(f) for f in figures], title=f"{family['family']} ({family['config_key']})")
        if family["through"] is not None:
            screen.line(f"{family['label']}, through {family['through']}", style="dim")
        notes += [f"{family['family']}, {f['window']}: {f['note']}" for f in figures if f["note"]]
    if not document["families"]:
        screen.line("no champion yet: run `marketloop retrain`")
    warning_lines(screen, notes)


def _row(figure: dict[str, Any]) -> tuple[Any, ...]:
    estimated = figure["estimated"]
    return (
        _METRICS[figure["metric"]],
        figure["window"],
        figure["matured"],
        figure["value"],
        figure["baseline"],
        _interval(figure["interval"]),
        figure["immature"],
        None if estimated is None else f"about {estimated:.3f} {_interval(figure['estimated_interval']) or ''}".strip(),
    )


def _interval(pair: list[float] | None) -> str | None:
    return None if pair is None else f"{pair[0]:.3f} .. {pair[1]:.3f}"
