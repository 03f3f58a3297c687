"""Drift, decay, calibration and freshness as pure functions of frames and arrays."""

from __future__ import annotations

from marketloop.monitoring.correlation import CorrelationShift
from marketloop.monitoring.features import ALPHA, WINDOW, FeatureDrift, FeatureScan, scan_features
from marketloop.monitoring.finding import (
    PLAN_DAYS,
    Action,
    Finding,
    by_error,
    by_features,
    by_points,
    by_rank_ic,
    most_severe,
)
from marketloop.monitoring.null import adjusted
from marketloop.monitoring.performance import Judged, Performance, calibration_now, judge, regime_lag

__all__ = [
    "ALPHA",
    "PLAN_DAYS",
    "WINDOW",
    "Action",
    "CorrelationShift",
    "FeatureDrift",
    "FeatureScan",
    "Finding",
    "Judged",
    "Performance",
    "adjusted",
    "by_error",
    "by_features",
    "by_points",
    "by_rank_ic",
    "calibration_now",
    "judge",
    "most_severe",
    "regime_lag",
    "scan_features",
]
