"""``marketloop validate``: the evidence about one version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import checks_table, features_table, figures_table, parts_table, warning_lines

__all__ = ["command"]


def command(
    call: Call,
    features: FeatureFlags,
    family: Annotated[str | None, typer.Argument(help="Family; the primary one by default.")] = None,
    version: Annotated[int | None, typer.Option("--version", min=1, help="The newest by default.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Also write the HTML report.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where to; in the project's reports by default.")
    ] = None,
) -> Answer:
    """Print each check of a version with value and threshold, its top features, and a recommendation.

    The exit code is 1 when the gate refused the version.
    """
    with call.open_house(features.settings()) as house:
        found = call.room("loop.validating").validate(house, family, version)
        document: dict[str, Any] = found.document()
        if report or output is not None:
            path = output.expanduser().absolute() if output is not None else None
            slot, number = found.version.slot, found.version.version
            document["report"] = call.room("loop.reporting").report_on_demand(house, slot.family, number, path)

    def show(screen: Screen) -> None:
        name = f"{document['family']} v{document['version']} ({document['config_key']})"
        screen.heading(f"{name}: {document['verdict'] or 'not examined'}")
        screen.line(document["reason"])
        if document["harm"] is not None:
            screen.line(f"harm alarm: {document['harm']['reason']}", style="bold red")
        figures_table(screen, document["metrics"], document["baseline"])
        checks_table(screen, document["checks"])
        parts_table(screen, document["parts"])
        if document["grades"]:
            rows = [list(grade.values()) for grade in document["grades"]]
            screen.table(("grade", "value", "threshold", "result"), rows)
        if document["features"]:
            features_table(screen, document["features"], title="top features")
        if document["trials"] is not None:
            plain = {k: v for k, v in document["trials"].items() if not isinstance(v, dict | list)}
            screen.heading("trials (recorded, never deciding)")
            screen.pairs(plain)
        warning_lines(screen, document["warnings"])
        if "report" in document:
            screen.line(f"report: {document['report']}")
        screen.line(f"recommendation: {document['recommendation']}", style="bold")

    return Answer(document, show, exit_code=found.exit_code)
