"""What tuning searches, by recipe: the ranges that a project may narrow or widen in its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from marketloop.core.catalog import Dimension

__all__ = ["SPACES"]

XGBOOST: Final = (
    Dimension("n_estimators", 100, 1000, "int"),
    Dimension("max_depth", 3, 10, "int"),
    Dimension("learning_rate", 0.01, 0.3, log=True),
    Dimension("subsample", 0.6, 1.0),
    Dimension("colsample_bytree", 0.6, 1.0),
)

SPACES: Final[Mapping[str, tuple[Dimension, ...]]] = {
    "rank_ridge": (Dimension("penalty", 0.05, 50.0, log=True),),
    "small_trees": (
        Dimension("n_estimators", 20, 200, "int"),
        Dimension("num_leaves", 2, 8, "int"),
        Dimension("learning_rate", 0.01, 0.2, log=True),
        Dimension("min_data_in_leaf", 200, 5000, "int", log=True),
        Dimension("feature_fraction", 0.1, 1.0),
    ),
    "lightgbm": (
        Dimension("n_estimators", 100, 1000, "int"),
        Dimension("num_leaves", 4, 63, "int", log=True),
        Dimension("learning_rate", 0.01, 0.3, log=True),
        Dimension("feature_fraction", 0.6, 1.0),
        Dimension("bagging_fraction", 0.6, 1.0),
        Dimension("min_data_in_leaf", 50, 2000, "int", log=True),
    ),
    "xgboost": XGBOOST,
    "xgboost_regularised": XGBOOST,
    "random_forest": (
        Dimension("n_estimators", 100, 500, "int"),
        Dimension("max_depth", 3, 10, "int"),
        Dimension("min_samples_leaf", 10, 200, "int", log=True),
        Dimension("max_features", 0.1, 1.0),
    ),
    "gradient_boosting": (
        Dimension("n_estimators", 100, 1000, "int"),
        Dimension("max_leaf_nodes", 4, 63, "int", log=True),
        Dimension("learning_rate", 0.01, 0.3, log=True),
        Dimension("min_samples_leaf", 50, 2000, "int", log=True),
        Dimension("l2_regularization", 0.01, 100.0, log=True),
        Dimension("max_features", 0.6, 1.0),
    ),
    "lstm": (
        Dimension("steps", 5, 60, "int", log=True),
        Dimension("hidden", 4, 64, "int", log=True),
        Dimension("learning_rate", 0.0005, 0.05, log=True),
        Dimension("weight_decay", 0.0001, 1.0, log=True),
    ),
    "stacking": (Dimension("shrink", 0.001, 1.0, log=True),),
}
