"""The families that come with the product: what each predicts, by which recipes, and how it is judged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Family

__all__ = ["builtin_families"]

Array = NDArray[np.float64]


def builtin_families() -> tuple[Family, ...]:
    """Return the families; the first recipe of each is the strongly shrunk one, with which noise should be answered."""
    return (
        Family(
            name="price_predictor",
            label="direction",
            classes=("SELL", "HOLD", "BUY"),
            horizon=5,
            threshold=0.02,
            recipes=("rank_ridge", "small_trees", "xgboost"),
            score=_last_minus_first,
            description="does the price move by more than 2 % within 5 sessions, and which way",
        ),
        Family(
            name="momentum_ranker",
            label="rank",
            classes=(),
            horizon=5,
            threshold=None,
            recipes=("rank_ridge", "small_trees", "lightgbm"),
            score=_value,
            objective="rank_ic",
            description="which tickers do better than the others over the next 5 sessions",
        ),
        Family(
            name="regime_classifier",
            label="regime",
            classes=("Risk-Off", "Neutral", "Risk-On"),
            horizon=20,
            threshold=None,
            recipes=("random_forest",),
            score=_last_minus_first,
            minimum_rows=500,
            unit="session",
            statistic="log_loss",
            cadence="quarterly",
            block=63,
            description="is the market heading for a drawdown, a gain or neither over the next 20 sessions",
        ),
        Family(
            name="verdict_classifier",
            label="trade",
            classes=("avoid", "watch", "buy"),
            horizon=20,
            threshold=None,
            recipes=("rank_ridge", "small_trees", "random_forest"),
            score=_last_minus_first,
            cadence="weekly",
            by_default=False,
            description="does a trade entered at the next open gain 2 ATR before it loses 1",
        ),
        Family(
            name="price_regressor",
            label="return",
            classes=(),
            horizon=5,
            threshold=None,
            recipes=("rank_ridge", "small_trees"),
            score=_value,
            objective="rmse",
            cadence="weekly",
            by_default=False,
            description="the return over the next 5 sessions, with an interval",
        ),
    )


def _last_minus_first(probabilities: Array) -> Array:
    difference: Array = probabilities[:, -1] - probabilities[:, 0]
    return difference


def _value(prediction: Array) -> Array:
    return prediction
