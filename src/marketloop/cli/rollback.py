"""``marketloop rollback``: let an earlier version serve again, at once."""

from __future__ import annotations

from typing import Annotated

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen
from marketloop.cli.tables import figures_table, warning_lines

__all__ = ["ConfigOption", "ReasonOption", "command"]

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is recorded.")]
ConfigOption = Annotated[
    str | None, typer.Option("--config", metavar="KEY", help="Configuration, e.g. rsi14_vol30_support50.")
]


def command(
    call: Call,
    family: Annotated[str, typer.Argument(help="The family that goes back.")],
    to: Annotated[int | None, typer.Option("--to", metavar="N", help="Any version that served; else the last.")] = None,
    reason: ReasonOption = "",
    config: ConfigOption = None,
) -> Answer:
    """Let the version before the champion, or version N, serve again, with its own figures; needs --reason.

    What was known by now speaks against it no more: the next comparison begins with later sessions.
    """
    with call.open_helm() as helm:
        document = call.room("loop.steering").roll_back(helm, family, to=to, reason=reason, config_key=config)
        call.room("loop.mirroring").drain_views(helm)
        call.room("loop.ringing").ring(helm)

    def show(screen: Screen) -> None:
        screen.line(
            f"{document['family']}: version {document['to']} serves again ({document['status']}), "
            f"version {document['from']} does not",
            style="bold",
        )
        figures_table(screen, document["metrics"], document["baseline"])
        stale = f"its predictions are as of {document['as_of'] or 'no session yet'}: the next predict scores it anew"
        warning_lines(screen, [stale] if document["stale"] else [])

    return Answer(document, show)
