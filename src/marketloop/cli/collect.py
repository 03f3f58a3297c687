"""``marketloop collect``: bring the stored bars up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import CollectFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import quality_lines

__all__ = ["command"]


def command(
    call: Call,
    wanted: CollectFlags,
    output: Annotated[
        Path | None, typer.Option("--output", help="Also write a copy: FILE.parquet.", show_default=False)
    ] = None,
) -> Answer:
    """Fetch the bars that are missing, examine them, and store them.

    The first call records source, path, tickers and universe; later calls without flags refresh exactly these.
    """
    loop = call.room("loop.ingesting")
    request = loop.CollectRequest(**wanted.request(), output=output.expanduser().absolute() if output else None)
    with call.open_house() as house, call.telling("collecting") as tell:
        ingested = loop.ingest(house, request, tell=tell)
    document = ingested.document()

    def show(screen: Screen) -> None:
        _show(screen, document)
        if output is not None:
            screen.line(f"a copy is in {output}")

    return Answer(document, show)


def _show(screen: Screen, document: dict[str, Any]) -> None:
    tickers, sessions = document["tickers"], document["sessions"]
    if document["up_to_date"]:
        screen.line(
            f"nothing new: {len(tickers)} tickers x {sessions} sessions from {document['source']} are up to date"
        )
    else:
        revised = f", {document['revised_rows']:,} revised" if document["revised_rows"] else ""
        screen.line(
            f"{len(tickers)} tickers x {sessions} sessions ({document['first']} to {document['last']}) "
            f"from {document['source']}: {document['new_rows']:,} new rows{revised}"
        )
    quality_lines(screen, document["quality"])
    for name, reason in document["failures"].items():
        screen.line(f"failed  {name}: {reason}", style="yellow")
    for text in document["warnings"]:
        screen.line(f"note: {text}", style="yellow")
