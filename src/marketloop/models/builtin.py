"""The recipes and families that come with the product, on one screen."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Family, Learner, Recipe
from marketloop.models.parameters import require_ranges
from marketloop.models.ridge import RankRidge

__all__ = ["builtin_families", "builtin_recipes"]

Ranges = Mapping[str, tuple[float, float]]

RIDGE_RANGES: Ranges = {"penalty": (1e-6, 1e6), "thin_by": (1, 250), "tail": (0.01, 0.9)}
BOOSTED_RANGES: Ranges = {
    "n_estimators": (1, 100_000),
    "max_depth": (1, 16),
    "learning_rate": (1e-6, 1.0),
    "subsample": (0.01, 1.0),
    "colsample_bytree": (0.01, 1.0),
    "min_child_weight": (0.0, 1e9),
    "early_stopping_rounds": (0, 100_000),
    "tail": (0.01, 0.9),
    "thin_by": (1, 250),
    "max_bin": (2, 65_536),
}
"""Lowest and highest value of each hyperparameter that a person may set."""

NO_SELECTION: Mapping[str, Any] = {"select": "none", "select_k": 30}
"""Every recipe may select features inside its fold (`models.selection`); none does unless it is asked to."""


def builtin_recipes() -> tuple[Recipe, ...]:
    """Return the recipes; the strongly shrunk one first, since it is what noise should be answered with."""
    return (
        Recipe(
            name="rank_ridge",
            build=_ridge,
            defaults={"penalty": 1.5, "thin_by": 5, "tail": 0.2, **NO_SELECTION},
            from_parts=RankRidge.from_parts,
            needs_ranks=True,
            grid=({"penalty": 1.5}, {"penalty": 0.4}, {"penalty": 6.0}),
            description="ridge on cross-sectional ranks, strongly shrunk",
        ),
        Recipe(
            name="xgboost",
            build=_boosted,
            defaults={
                "n_estimators": 500,
                "max_depth": 7,
                "learning_rate": 0.05,
                "subsample": 0.8,
                "colsample_bytree": 0.8,
                "min_child_weight": 3.0,
                "early_stopping_rounds": 50,
                "tail": 0.15,
                "thin_by": 5,
                "max_bin": 64,
                "balanced": False,
                **NO_SELECTION,
            },
            from_parts=_boosted_from_parts,
            description="500 trees of depth 7, stopped early on a purged tail",
        ),
    )


def builtin_families() -> tuple[Family, ...]:
    """Return the families."""
    return (
        Family(
            name="price_predictor",
            classes=("SELL", "HOLD", "BUY"),
            horizon=5,
            threshold=0.02,
            recipes=("rank_ridge", "xgboost"),
            score=_buy_minus_sell,
            minimum_rows=1000,
            description="does the price move by more than 2 % within 5 sessions, and which way",
        ),
    )


def _buy_minus_sell(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    difference: NDArray[np.float64] = probabilities[:, 2] - probabilities[:, 0]
    return difference


def _ridge(params: Mapping[str, Any], seed: int, threads: int) -> Learner:
    del threads  # closed form: nothing to spread
    require_ranges("rank_ridge", params, RIDGE_RANGES)
    ridge = RankRidge(penalty=float(params["penalty"]), thin_by=int(params["thin_by"]), tail=float(params["tail"]))
    return _selecting(ridge, params, seed)


def _boosted(params: Mapping[str, Any], seed: int, threads: int) -> Learner:
    require_ranges("xgboost", params, BOOSTED_RANGES)
    learner: Learner = _door("boosted").BoostedClassifier(params=dict(params), seed=seed, threads=threads)
    return _selecting(learner, params, seed)


def _boosted_from_parts(parts: Mapping[str, bytes]) -> Learner:
    learner: Learner = _door("boosted").BoostedClassifier.from_parts(parts)
    return learner


def _selecting(learner: Learner, params: Mapping[str, Any], seed: int) -> Learner:
    if params["select"] == "none":
        return learner
    chosen: Learner = _door("selection").selecting(learner, params, seed)
    return chosen


def _door(module: str) -> Any:
    """Import a module of learners when one is built: listing names must not cost the seconds that XGBoost takes."""
    return importlib.import_module(f"marketloop.models.{module}")
