"""The labels that come with the product: what becomes of a ticker after a close, and when that is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Label, LabelValues
from marketloop.core.errors import UsageError
from marketloop.labels.outcomes import direction_classes, forward_outcomes
from marketloop.labels.panel import Panel
from marketloop.labels.regimes import REGIME_CLASSES, regime_outcomes
from marketloop.labels.trades import TRADE_CLASSES, trade_outcomes

__all__ = ["DIRECTION", "RANK", "REGIME", "RETURN", "TRADE", "builtin_labels"]

Array = NDArray[np.float64]


def _direction(panel: Panel, horizon: int, threshold: float | None) -> LabelValues:
    if threshold is None:
        raise UsageError("the label direction needs a threshold, e.g. 0.02 for 2 %")
    outcomes = forward_outcomes(panel, horizon)
    return LabelValues(direction_classes(outcomes.returns, threshold), outcomes.known_on)


def _rank(panel: Panel, horizon: int, threshold: float | None) -> LabelValues:
    del threshold  # an order has none
    outcomes = forward_outcomes(panel, horizon)
    return LabelValues(outcomes.rank, outcomes.known_on)


def _return(panel: Panel, horizon: int, threshold: float | None) -> LabelValues:
    del threshold  # a number has none
    outcomes = forward_outcomes(panel, horizon)
    return LabelValues(outcomes.returns, outcomes.known_on)


def _trade(panel: Panel, horizon: int, threshold: float | None) -> LabelValues:
    del threshold  # the barriers are multiples of the average true range
    return trade_outcomes(panel, horizon)


def _regime(panel: Panel, horizon: int, threshold: float | None) -> LabelValues:
    del threshold  # the limits of a drawdown are part of the definition
    return regime_outcomes(panel, horizon)


DIRECTION = Label(
    "direction", _direction, ("SELL", "HOLD", "BUY"), "a move beyond the threshold within the horizon, and which way"
)
RANK = Label("rank", _rank, (), "rank of the neutralised forward return within the session, -0.5..0.5")
RETURN = Label("return", _return, (), "forward return as a fraction")
TRADE = Label("trade", _trade, TRADE_CLASSES, "which barrier a simulated trade meets first")
REGIME = Label("regime", _regime, REGIME_CLASSES, "drawdown and return over the horizon")


def builtin_labels() -> tuple[Label, ...]:
    """Return the labels, the default first."""
    return (DIRECTION, RANK, RETURN, TRADE, REGIME)
