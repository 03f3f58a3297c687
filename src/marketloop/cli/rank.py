"""``marketloop rank``: the tickers in the order of the champion's score."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags
from marketloop.cli.render import Screen

__all__ = ["command"]


def command(
    call: Call,
    features: FeatureFlags,
    family: Annotated[str, typer.Option("--family", help="Family whose champion is asked.")] = "momentum_ranker",
    top: Annotated[int | None, typer.Option("--top", min=1, help="Only the first N.", show_default=False)] = None,
) -> Answer:
    """Order the universe by the champion's score, best first, as of the newest session.

    While the slot's skill is unproven the order is shown and every signal is HOLD.
    """
    with call.open_house(features.settings()) as house:
        document: dict[str, Any] = call.room("loop.ranking").rank(house, family=family, top=top).document()
    return Answer(document, lambda screen: _show(screen, document))


def _show(screen: Screen, document: dict[str, Any]) -> None:
    name = f"{document['family']} v{document['model_version']} ({document['config_key']})"
    shown, tickers = len(document["ranking"]), document["tickers"]
    screen.line(f"{name}: {shown} of {tickers} tickers as of {document['as_of']}")
    columns = ("rank", "ticker", "score", "percentile", "signal")
    screen.table(columns, [[row[column] for column in columns] for row in document["ranking"]])
    if document["provisional"]:
        screen.line("provisional: no skill shown yet, so every signal is HOLD and the order is not to be traded")
    if document["stale"]:
        screen.line("stale: newer sessions are missing; run marketloop collect")
    if document["fallback"]:
        screen.line("another configuration answered: this one has no champion yet")
