"""``marketloop config``: the settings that hold, and where each was given."""

from __future__ import annotations

from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen
from marketloop.core.errors import UsageError, did_you_mean
from marketloop.runtime.redact import redact

__all__ = ["command"]


def command(
    call: Call,
    key: Annotated[
        str | None, typer.Argument(help="Only this setting or section, e.g. gate.alpha_skill.", show_default=False)
    ] = None,
) -> Answer:
    """Show the settings that hold and where each was given: default, file and line, environment, or flag."""
    settings = call.settings()
    flat = settings.flat()
    kept = {k: v for k, v in flat.items() if key is None or k == key or k.startswith(f"{key}.")}
    if key is not None and not kept:
        raise UsageError(f'unknown setting "{key}": marketloop config lists all.{did_you_mean(key, flat)}')
    shown = {k: (redact(k, v), settings.origin(k)) for k, v in kept.items()}
    document = {k: {"value": value, "origin": str(origin)} for k, (value, origin) in shown.items()}

    def show(screen: Screen) -> None:
        screen.table(("setting", "value", "from"), [(k, value, str(origin)) for k, (value, origin) in shown.items()])

    return Answer({"settings": document}, show)
