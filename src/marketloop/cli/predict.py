"""``marketloop predict``: what the champion says of tickers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.flags import FeatureFlags
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines

__all__ = ["command", "show_predictions"]


def command(
    call: Call,
    features: FeatureFlags,
    tickers: Annotated[list[str] | None, typer.Argument(metavar="[TICKER...]", help="All when none is named.")] = None,
    family: Annotated[str | None, typer.Option("--family", help="The primary one by default.")] = None,
) -> Answer:
    """Show the champion's prediction for each TICKER, as of the newest stored session."""
    names = tuple(dict.fromkeys(part for text in tickers or () for part in text.split(",") if part))
    with call.open_house(features.settings()) as house, call.progress("predicting") as update:
        update(0, None)
        document = call.room("loop.predicting").predict(house, names, family=family).document()
    return Answer(document, lambda screen: show_predictions(screen, document))


def show_predictions(screen: Screen, document: dict[str, Any]) -> None:
    """Print predictions, and what a reader must know of them."""
    answers = document["predictions"]
    classes = tuple(answers[0]["classes"]) if answers else ()
    if classes:
        columns = ("ticker", "signal", "likeliest", "probability", *(f"P({c})" for c in classes))
        rows = [
            (p["ticker"], p["signal"], p["class"], p["probability"], *(p["classes"].get(name) for name in classes))
            for p in answers
        ]
    else:
        ends = ("low", "high") if any(p["low"] is not None for p in answers) else ()
        columns = ("ticker", "signal", "score", *ends)
        rows = [(p["ticker"], p["signal"], p["score"], *(p[end] for end in ends)) for p in answers]
    title = f"as of {document['as_of']}"
    if answers:
        title += f", {answers[0]['family']} v{answers[0]['model_version']} ({answers[0]['config_key']})"
    screen.table(columns, rows, title=title)
    if any(p["low"] is not None for p in answers):
        screen.line("low and high: the conformal interval that should hold nine outcomes of ten", style="dim")
    notes = []
    if any(p["provisional"] for p in answers):
        notes.append("the champion is provisional: no skill is proven, so every signal is HOLD")
    unsure = sum(p["abstained"] and not p["provisional"] for p in answers)
    if unsure:
        least = "the likeliest class has less than the `confidence` of its family, so the signal is HOLD"
        notes.append(f"abstained from {unsure} of {len(answers)}: {least}")
    if any(p["fallback"] for p in answers):
        notes.append("another configuration answered than the one asked for")
    if any(p["stale"] for p in answers):
        notes.append("the newest bars are old: run marketloop collect")
    warning_lines(screen, notes)
