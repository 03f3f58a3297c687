"""Tell the loop what was found out elsewhere; it is told or not, what was found out stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from marketloop.core.errors import MarketLoopError
from marketloop.loop.events import Event, EventType, publish
from marketloop.loop.house import House
from marketloop.runtime.logging import get_logger

__all__ = ["announce_backtest"]

_FIGURES: Final = (
    "total_return",
    "annual_return",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "win_rate",
    "turnover",
    "exposure",
)
_MOST_TICKERS: Final = 2000


def announce_backtest(house: House, document: Mapping[str, Any], tickers: Sequence[str]) -> None:
    """Publish BACKTEST_COMPLETED for a `backtest` document; a ledger that cannot be written is logged only."""
    data = {
        "families": [document["family"]],
        "version": document["version"],
        "tickers": list(tickers)[:_MOST_TICKERS],
        "results": {name: document[name] for name in _FIGURES if name in document},
        "report": document["report"],
    }
    try:
        publish(Event(EventType.BACKTEST_COMPLETED, data), house, source="cli")
    except MarketLoopError as error:
        get_logger("loop").warning("the backtest was not announced", reason=str(error))
