"""``marketloop demo``: the whole road on real sample data."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.predict import show_predictions
from marketloop.cli.render import Screen
from marketloop.cli.retrain import show_cycle
from marketloop.cli.tables import quality_lines

__all__ = ["command"]


def command(
    call: Call,
    directory: Annotated[Path, typer.Option("--dir", help="Folder of the demonstration's project.")] = Path("demo"),
) -> Answer:
    """Take five real tickers through the whole road: collect, features, training, gate, prediction.

    No network and no keys are needed. A second run uses the project of the first again.
    """
    loop = call.room("loop.demo")
    project = loop.demo_project(call.named or directory)
    inside = dataclasses.replace(call, named=project.root)
    with inside.open_house() as house, inside.telling("demonstrating") as tell:
        demo = loop.run_demo(house, tell=tell)
    document: dict[str, Any] = demo.document()

    def show(screen: Screen) -> None:
        _show(screen, document)
        screen.line(demo.last_line)

    return Answer(document, show)


def _show(screen: Screen, document: dict[str, Any]) -> None:
    collected, quality, features = document["collect"], document["quality"], document["features"]
    screen.heading("1. bars")
    screen.line(
        f"{', '.join(collected['tickers'])}: {collected['new_rows']:,} new daily bars, adjusted for splits and "
        f"dividends; {quality['accepted']:,} stored, {quality['quarantined']:,} set aside"
    )
    quality_lines(screen, quality)
    screen.heading("2. features")
    fed = features["count"] - len(features["unfed"])
    screen.line(f"{fed} of the {features['count']} features of the set {features['feature_set']} were computed")
    if features["unfed"]:
        screen.line(
            f"the sample cannot feed {', '.join(features['unfed'])}: it has no VIX and no yield, no sectors, "
            "and too few tickers for breadth; these stay empty and are dropped",
            style="yellow",
        )
    screen.heading("3. training, examination, gate")
    show_cycle(screen, document["retrain"])
    screen.heading("4. predictions")
    show_predictions(screen, document["predict"])
    screen.line(f'look around: marketloop --project "{document["project"]}" status', style="dim")
