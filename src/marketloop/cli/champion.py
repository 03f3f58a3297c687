"""``marketloop champion``: who serves, now or at an earlier time."""

from __future__ import annotations

from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import moment
from marketloop.cli.render import Screen

__all__ = ["command"]


def command(
    call: Call,
    family: Annotated[str | None, typer.Argument(help="Only this family.")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="DATE", help="As it was at the end of that day.")] = None,
) -> Answer:
    """Show the version that serves each family and configuration, and since when."""
    when = None if at is None else moment("--at", at)
    with call.open_helm() as helm:  # the catalog, which knows the families that were never trained, takes a second
        document = call.room("registry.documents").champion_document(helm.state, family=family, at=when)
    if family is not None and not document["champions"]:
        with call.open_house() as house:
            document = call.room("loop.listing").champions(house, family, when)

    def show(screen: Screen) -> None:
        if not document["champions"]:
            screen.line("no champion then" if at else "no champion yet: run marketloop retrain")
            return
        columns = ("family", "configuration", "version", "status", "skill proven", "pinned", "promoted", "trained")
        keys = ("family", "config_key", "version", "status", "skill_proven", "pinned", "promoted_at", "trained_at")
        rows = [[entry[key] for key in keys] for entry in document["champions"]]
        screen.table(columns, [[*row[:6], row[6][:16], row[7][:16]] for row in rows])

    return Answer(document, show)
