"""``marketloop init``: a new project directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen
from marketloop.core.errors import UsageError
from marketloop.runtime.project import create_project
from marketloop.runtime.settings import load_settings

__all__ = ["command"]


def command(
    call: Call,
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="New or existing folder.", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the project; the folder's by default.")] = None,
    source: Annotated[str | None, typer.Option(help="Where bars come from: sample, synthetic or folder.")] = None,
    path: Annotated[Path | None, typer.Option(help="File or folder of bars, for the source folder.")] = None,
    calendar: Annotated[str | None, typer.Option(help='Trading calendar, e.g. XNYS or "24/7".')] = None,
) -> Answer:
    """Make a project directory: commented settings and the folders for data, models, reports and logs.

    Nothing is overwritten.
    """
    root = directory or call.named
    if root is None:
        raise UsageError('no folder was named: expected "marketloop init DIR"')
    given = {
        "project.name": name,
        "project.calendar": calendar,
        "data.source": source or ("folder" if path else None),
        "data.path": path.expanduser().absolute() if path else None,
    }
    given = {key: value for key, value in given.items() if value is not None}
    load_settings(None, environ={}, flags=given)  # wrong values are named before anything is written
    if calendar is not None:
        call.room("data.calendar").load_timezone(calendar)
    project = create_project(root, settings=given)

    def show(screen: Screen) -> None:
        screen.line(f"made {project.root}")
        screen.line("next: edit marketloop.toml there, then run: marketloop collect", style="dim")

    return Answer({"project": project.root, "settings": project.settings_file, "folders": project.folders}, show)
