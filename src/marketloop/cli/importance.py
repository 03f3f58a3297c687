"""``marketloop importance``: what a version leans on, seen three ways."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import features_table, warning_lines

__all__ = ["command"]


def command(
    call: Call,
    features: FeatureFlags,
    family: Annotated[str | None, typer.Argument(help="Family; the primary one by default.")] = None,
    version: Annotated[int | None, typer.Option("--version", min=1, help="The newest by default.")] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many features to show.")] = 20,
) -> Answer:
    """Show the features that a version leans on most: by gain, by contribution (SHAP) and by permutation.

    Warns when the five largest hold less than half (weak), or one holds more than 30 % (dominant).
    """
    with call.open_house(features.settings()) as house:
        document: dict[str, Any] = call.room("loop.importance").importance(house, family, version, top=top)
    return Answer(document, lambda screen: _show(screen, document))


def _show(screen: Screen, document: dict[str, Any]) -> None:
    screen.heading(f"{document['family']} v{document['version']} ({document['config_key']}), {document['recipe']}")
    features = document["features"]
    if features:
        features_table(screen, features)
        shown = f"{len(features)} of {document['total']} features"
        screen.line(f"{shown}; the top five hold {document['top_share']:.0%} of the gain")
    else:
        screen.line("the recipe says nothing about its features")
    if document["sessions"]:
        screen.line(
            f"SHAP and shuffle: {document['sessions']} labelled sessions that the fit had not seen", style="dim"
        )
    elif features:
        screen.line("SHAP and shuffle are measured when the gate is asked: marketloop retrain", style="dim")
    warning_lines(screen, document["warnings"])
