"""``marketloop quality``: what the rules found in the stored bars."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen

__all__ = ["command"]

_COLUMNS = ("rule", "ticker", "date", "open", "high", "low", "close", "volume", "reason")
_MOST = 200


def command(
    call: Call,
    quarantine: Annotated[bool, typer.Option("--quarantine", help="List the rows that were set aside.")] = False,
) -> Answer:
    """Report on the stored bars: rows accepted and quarantined, by rule, and warnings.

    Bad rows are set aside with rule and reason; jumps, gaps, zero volume and stale tails are warnings, the rows stay.
    """
    loop = call.room("loop.quality")
    with call.open_house() as house:
        document: dict[str, Any] = loop.quality_report(house).document()
        rows = loop.quarantined_rows(house, None if call.json else _MOST) if quarantine else []
    if quarantine:
        document["rows_quarantined"] = rows

    def show(screen: Screen) -> None:
        screen.pairs({name: document[name] for name in ("rows", "accepted", "quarantined")})
        if document["rules"]:
            screen.table(("rule", "rows"), document["rules"].items())
        if document["warnings"]:
            shown = [(w["rule"], w["ticker"], w["date"], w["detail"]) for w in document["warnings"]]
            screen.table(("warning", "ticker", "date", "detail"), shown)
        if rows:
            screen.table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in rows])
            if len(rows) < document["quarantined"]:
                screen.line(f"the first {len(rows)} of {document['quarantined']:,}; all of them: --json", style="dim")

    return Answer(document, show)
