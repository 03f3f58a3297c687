"""``marketloop export``: copy a version's files out, or write the file views again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen
from marketloop.cli.rollback import ConfigOption
from marketloop.cli.tables import warning_lines
from marketloop.core.errors import UsageError

__all__ = ["command"]


def command(
    call: Call,
    family: Annotated[str | None, typer.Argument(help="The family whose version is copied.")] = None,
    version: Annotated[int | None, typer.Option("--version", metavar="N", help="The champion by default.")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="A new or empty folder.")] = None,
    views: Annotated[bool, typer.Option("--views", help="Write the files under models/ again instead.")] = False,
    config: ConfigOption = None,
) -> Answer:
    """Copy a version, every hash checked, to FOLDER; or check and repair every view under models/."""
    exporting = call.room("loop.exporting")
    if views:
        if family is not None or to is not None or version is not None:
            raise UsageError("--views writes all files under models/: leave FAMILY, --version and --to out")
        with call.open_helm() as helm:
            document = exporting.export_views(helm)
    else:
        if family is None or to is None:
            raise UsageError("expected FAMILY --to FOLDER, or --views")
        with call.open_helm() as helm:
            document = exporting.export_version(helm, family, version, to=to, config_key=config)

    def show(screen: Screen) -> None:
        for name in document["files"]:
            screen.line(name)
        if views:
            screen.line(f"{len(document['files'])} views in {document['folder']}", style="bold")
            warning_lines(screen, [*document["repaired"], *document["troubles"]])
        else:
            screen.line(f"{document['family']} v{document['version']} in {document['folder']}", style="bold")

    return Answer(document, show)
