"""``marketloop validate``: the evidence about one version."""

from __future__ import annotations

from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import checks_table, figures_table, warning_lines

__all__ = ["command"]


def command(
    call: Call,
    features: FeatureFlags,
    family: Annotated[str | None, typer.Argument(help="Family; the primary one by default.")] = None,
    version: Annotated[int | None, typer.Option("--version", min=1, help="The newest by default.")] = None,
) -> Answer:
    """Print each check of a version with value and threshold, its top features, and a recommendation.

    The exit code is 1 when the gate refused the version.
    """
    with call.open_house(features.settings()) as house:
        found = call.room("loop.validating").validate(house, family, version)
    document = found.document()

    def show(screen: Screen) -> None:
        name = f"{document['family']} v{document['version']} ({document['config_key']})"
        screen.heading(f"{name}: {document['verdict'] or 'not examined'}")
        screen.line(document["reason"])
        figures_table(screen, document["metrics"], document["baseline"])
        checks_table(screen, document["checks"])
        if document["grades"]:
            rows = [list(grade.values()) for grade in document["grades"]]
            screen.table(("grade", "value", "threshold", "result"), rows)
        if document["features"]:
            shares = [list(feature.values()) for feature in document["features"]]
            screen.table(("feature", "share", "SHAP share", "rank IC lost"), shares, title="top features")
        warning_lines(screen, document["warnings"])
        screen.line(f"recommendation: {document['recommendation']}", style="bold")

    return Answer(document, show, exit_code=found.exit_code)
