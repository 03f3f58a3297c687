"""The recipes and families that come with the product, on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Family, Recipe
from marketloop.models.boosted import BoostedClassifier
from marketloop.models.ridge import RankRidge

__all__ = ["builtin_families", "builtin_recipes"]


def builtin_recipes() -> tuple[Recipe, ...]:
    """Return the recipes; the strongly shrunk one first, since it is what noise should be answered with."""
    return (
        Recipe(
            name="rank_ridge",
            build=_ridge,
            defaults={"penalty": 1.5, "thin_by": 5, "tail": 0.2},
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
            },
            from_parts=BoostedClassifier.from_parts,
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


def _ridge(params: Mapping[str, Any], seed: int, threads: int) -> RankRidge:
    del seed, threads  # closed form: nothing random, nothing to spread
    return RankRidge(penalty=float(params["penalty"]), thin_by=int(params["thin_by"]), tail=float(params["tail"]))


def _boosted(params: Mapping[str, Any], seed: int, threads: int) -> BoostedClassifier:
    return BoostedClassifier(params=dict(params), seed=seed, threads=threads)
