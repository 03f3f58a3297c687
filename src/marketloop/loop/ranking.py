"""The order in which a champion puts the tickers, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marketloop.core.errors import UsageError
from marketloop.loop.house import House
from marketloop.loop.predicting import Answers, predict

__all__ = ["FAMILY", "Ranking", "rank"]

FAMILY = "momentum_ranker"


@dataclass(frozen=True, slots=True)
class Ranking:
    """A champion's answers in falling order of their score; equal scores in the order of the tickers."""

    answers: Answers
    top: int | None = None

    def document(self) -> dict[str, Any]:
        """Return the `rank` document; `percentile` is 1 for the first and 0 for the last of all tickers."""
        whole = self.answers.document()
        rows = sorted(whole["predictions"], key=lambda row: (-row["score"], row["ticker"]))
        last = max(len(rows) - 1, 1)
        champion = self.answers.champion
        return {
            "as_of": whole["as_of"],
            "family": champion.slot.family,
            "model_version": champion.version,
            "config_key": champion.slot.config_key,
            "fallback": self.answers.fallback,
            "provisional": champion.status == "provisional",
            "stale": self.answers.stale,
            "tickers": len(rows),
            "ranking": [
                {
                    "rank": place + 1,
                    "ticker": row["ticker"],
                    "score": row["score"],
                    "percentile": 1 - place / last,
                    "signal": row["signal"],
                    "abstained": row["abstained"],
                }
                for place, row in enumerate(rows[: self.top])
            ],
        }


def rank(house: House, *, family: str = FAMILY, top: int | None = None) -> Ranking:
    """Return the order of the whole universe by the champion of `family`, or the first `top` of it.

    Raises
    ------
    UsageError
        The family is unknown, orders no tickers, or has no champion yet.
    """
    kind = house.catalog.family(family)
    if kind.unit != "ticker":
        raise UsageError(f"{family} speaks of the market as a whole and orders no tickers; expected e.g. {FAMILY}")
    if top is not None and top < 1:
        raise UsageError(f"top {top}: expected at least 1 ticker")
    return Ranking(predict(house, family=family, champion_alone=True), top)
