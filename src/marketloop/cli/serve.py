"""``marketloop serve``: the API."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call

__all__ = ["command"]

WRITER_WAITS_S = 5.0
"""Seconds until who asks for a change hears that the database is locked; a person waits no longer."""


def command(
    call: Call,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="8000 by default.")] = None,
    tied: Annotated[bool, typer.Option("--tied", help="End when standard input ends.", hidden=True)] = False,
) -> Answer:
    """Serve predictions, status and jobs over HTTP until it is stopped."""
    if tied:
        call.room("runtime.stopping").tie_to_parent()
    settings = call.settings({"serve.host": host, "serve.port": port})
    project = call.project()
    server, helm = call.room("web.server"), call.room("loop.helm")
    call.room("runtime.logging").set_up_logging(project.logs, verbosity=call.verbose, file="server.log")
    clock = call.room("runtime.clock").SystemClock()

    def open_state() -> Any:
        return helm.open_state(project, settings, busy_timeout_s=WRITER_WAITS_S)

    premises = server.premises_for(project, settings, clock, open_state)
    server.serve(premises)
    raise typer.Exit
