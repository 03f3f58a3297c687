"""Outcomes, each with the session on which it becomes known, and the weights that overlap gives them."""

from __future__ import annotations

from marketloop.labels.builtin import DIRECTION, RANK, REGIME, RETURN, TRADE, builtin_labels
from marketloop.labels.honesty import why_untimely
from marketloop.labels.neutral import neutralise
from marketloop.labels.outcomes import BUY, HOLD, SELL, UNKNOWN, Outcomes, direction_classes, forward_outcomes
from marketloop.labels.panel import Panel, build_panel
from marketloop.labels.regimes import REGIME_CLASSES, regime_classes, regime_outcomes
from marketloop.labels.trades import TRADE_CLASSES, average_true_range, trade_outcomes
from marketloop.labels.weights import average_uniqueness, recency_weights, uniqueness_weights

__all__ = [
    "BUY",
    "DIRECTION",
    "HOLD",
    "RANK",
    "REGIME",
    "REGIME_CLASSES",
    "RETURN",
    "SELL",
    "TRADE",
    "TRADE_CLASSES",
    "UNKNOWN",
    "Outcomes",
    "Panel",
    "average_true_range",
    "average_uniqueness",
    "build_panel",
    "builtin_labels",
    "direction_classes",
    "forward_outcomes",
    "neutralise",
    "recency_weights",
    "regime_classes",
    "regime_outcomes",
    "trade_outcomes",
    "uniqueness_weights",
    "why_untimely",
]
