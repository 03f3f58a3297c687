"""``marketloop models``: every version and what became of it."""

from __future__ import annotations

from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen

__all__ = ["command"]

_FIGURES = ("accuracy", "f1_score", "roc_auc", "rank_ic")


def command(
    call: Call,
    family: Annotated[str | None, typer.Argument(help="Only this family.")] = None,
    best: Annotated[bool, typer.Option("--best", help="Only the best version of each family.")] = False,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="FIGURE", help="Best first by a figure; version or trained_at.")
    ] = None,
) -> Answer:
    """List versions with verdict, status, and their figures beside those of no skill."""
    with call.open_house() as house:
        document = call.room("loop.listing").models(house, family, sort=sort, best=best)

    def show(screen: Screen) -> None:
        if not document["models"]:
            screen.line("no models yet: run marketloop retrain")
            return
        extra = (sort,) if sort and sort not in {*_FIGURES, "version", "trained_at"} else ()
        names = (*_FIGURES, *extra)
        keys = sorted({model["config_key"] for model in document["models"]})
        several = len(keys) > 1
        own = ("family", *(("config_key",) if several else ()), "version", "verdict", "status")
        headings = ("configuration" if name == "config_key" else name for name in own)
        screen.table(
            (*headings, *names, "no skill accuracy", "trained"),
            [
                (
                    *(model[k] or "-" for k in own),
                    *(model["metrics"].get(name) for name in names),
                    model["baseline"].get("accuracy"),
                    model["trained_at"][:16],
                )
                for model in document["models"]
            ],
            title="" if several else f"configuration {keys[0]}",
        )
        examined = {bool(model["verdict"]) for model in document["models"]}
        if examined == {True, False}:
            screen.line(
                "figures of a version without verdict are of the newest tenth of its rows, those of the others of a "
                "walk-forward: other sessions, not to be compared",
                style="dim",
            )

    return Answer(document, show)
