"""Outcomes, each with the session on which it becomes known, and the weights that overlap gives them."""

from __future__ import annotations

from marketloop.labels.neutral import neutralise
from marketloop.labels.outcomes import BUY, HOLD, SELL, UNKNOWN, Outcomes, direction_classes, forward_outcomes
from marketloop.labels.panel import Panel, build_panel
from marketloop.labels.weights import average_uniqueness, recency_weights, uniqueness_weights

__all__ = [
    "BUY",
    "HOLD",
    "SELL",
    "UNKNOWN",
    "Outcomes",
    "Panel",
    "average_uniqueness",
    "build_panel",
    "direction_classes",
    "forward_outcomes",
    "neutralise",
    "recency_weights",
    "uniqueness_weights",
]
