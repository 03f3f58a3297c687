"""``marketloop regime``: what the champion says of the market, and what no skill would say."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.render import Screen
from marketloop.cli.tables import warning_lines

__all__ = ["command"]

_FACTS = {
    "drawdown_60": "below the peak of 60 sessions",
    "drawdown_252": "below the peak of 252 sessions",
    "return": "return over the look-back",
    "volatility": "volatility a year, over the look-back",
}


def command(
    call: Call,
    lookback: Annotated[
        int | None, typer.Option("--lookback", min=5, max=250, help="Sessions that the model should look back on.")
    ] = None,
) -> Answer:
    """Show the probability of each regime of the S&P 500 over the next 20 sessions, beside that of no skill.

    Risk-Off is a drawdown of 5 % or more, Risk-On a gain with a drawdown below 3 %, Neutral the rest.
    """
    with call.open_house() as house, call.progress("predicting") as update:
        update(0, None)
        document = call.room("loop.regime_view").regime_view(house, lookback=lookback).document()
    return Answer(document, lambda screen: _show(screen, document))


def _show(screen: Screen, document: dict[str, Any]) -> None:
    title = (
        f"as of {document['as_of']}, the next {document['horizon']} sessions: {document['family']} "
        f"v{document['model_version']} ({document['config_key']}, look-back {document['lookback']})"
    )
    usual = document["no_skill"]
    rows = [(name, share, usual.get(name)) for name, share in document["probabilities"].items()]
    screen.table(("regime", "model", "no skill says"), rows, title=title)
    last = document["last_known"]
    if last is not None:
        screen.line(f"last known regime: {last['regime']}, of {last['session']}, known since {last['known_on']}")
    now = document["now"]
    facts: dict[str, Any] = {text: f"{now[name]:.1%}" for name, text in _FACTS.items() if now.get(name) is not None}
    if now.get("vix") is not None:
        facts["VIX"] = now["vix"]
    figures, none = document["figures"], document["baseline"]
    if figures.get("accuracy") is not None and none.get("accuracy") is not None:
        facts["accuracy walking forward"] = f"{figures['accuracy']:.1%}, no skill {none['accuracy']:.1%}"
    screen.pairs({**facts, "trained through": document["trained_through"]})
    notes = list(document["warnings"])
    if document["provisional"]:
        notes.append("the champion is provisional: it is not shown that it knows more than the last regime tells")
    if document["stale"]:
        notes.append("the newest session is old: bring the market series up to date")
    warning_lines(screen, notes)
