"""The hyperparameters of the recipes: what they are unless somebody says otherwise, and how far they may be moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["DEFAULTS", "RANGES", "SHARED", "VOTES"]

Params = Mapping[str, Any]
Ranges = Mapping[str, tuple[float, float]]

OPTIONS: Final[Params] = {"select": "none", "select_k": 30, "calibrate": "none", "calibrate_tail": 0.2}
"""Every recipe may select features (`models.selection`) and calibrate its probabilities (`models.calibration`) inside
its fold; none does unless it is asked to."""

SHARED: Final[Params] = {"balanced": False}
"""What an ensemble hands on to those of its members that know it."""

VOTES: Final[Mapping[str, float]] = {"xgboost": 2.0, "random_forest": 1.0, "gradient_boosting": 1.0, "lightgbm": 1.5}
"""Members of the ensembles and the weight of each one's vote."""

_XGBOOST: Final[Params] = {
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
    **OPTIONS,
}

DEFAULTS: Final[Mapping[str, Params]] = {
    "rank_ridge": {"penalty": 6.0, "thin_by": 5, "tail": 0.2, **OPTIONS},
    "small_trees": {
        "n_estimators": 60,
        "num_leaves": 4,
        "learning_rate": 0.05,
        "min_data_in_leaf": 1000,
        "feature_fraction": 0.3,
        "bagging_fraction": 1.0,
        "lambda_l2": 0.0,
        "max_bin": 63,
        "early_stopping_rounds": 0,
        "tail": 0.2,
        "thin_by": 5,
        "balanced": False,
        **OPTIONS,
    },
    "lightgbm": {
        "n_estimators": 200,
        "num_leaves": 31,
        "learning_rate": 0.05,
        "min_data_in_leaf": 200,
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "lambda_l2": 1.0,
        "max_bin": 63,
        "early_stopping_rounds": 50,
        "tail": 0.15,
        "thin_by": 5,
        "balanced": False,
        **OPTIONS,
    },
    "xgboost": _XGBOOST,
    "xgboost_regularised": {
        **_XGBOOST,
        "max_depth": 5,
        "subsample": 0.7,
        "colsample_bytree": 0.7,
        "min_child_weight": 5.0,
    },
    "random_forest": {
        "n_estimators": 100,
        "max_depth": 6,
        "min_samples_leaf": 20,
        "max_features": 0.3,
        "row_share": 0.25,
        "max_rows": 10_000,
        "thin_by": 1,
        "balanced": False,
        **OPTIONS,
    },
    "gradient_boosting": {
        "n_estimators": 200,
        "max_leaf_nodes": 15,
        "learning_rate": 0.05,
        "min_samples_leaf": 200,
        "l2_regularization": 1.0,
        "max_features": 0.8,
        "max_bins": 63,
        "early_stopping_rounds": 50,
        "tail": 0.15,
        "thin_by": 5,
        "balanced": False,
        **OPTIONS,
    },
    "lstm": {
        "steps": 20,
        "hidden": 16,
        "epochs": 30,
        "epoch_rows": 10_000,
        "batch_rows": 256,
        "learning_rate": 0.005,
        "weight_decay": 0.01,
        "early_stopping_rounds": 5,
        "tail": 0.15,
        "thin_by": 1,
        "balanced": False,
        **OPTIONS,
    },
    "ensemble": {**VOTES, "max_trees": 500, **SHARED, **OPTIONS},
    "stacking": {"folds": 3, "shrink": 0.01, "max_trees": 500, **SHARED, **OPTIONS},
}
"""Hyperparameters by recipe."""

RANGES: Final[Ranges] = {
    "penalty": (1e-6, 1e6),
    "n_estimators": (1, 100_000),
    "max_depth": (1, 16),
    "num_leaves": (2, 4096),
    "max_leaf_nodes": (2, 4096),
    "learning_rate": (1e-6, 1.0),
    "subsample": (0.01, 1.0),
    "colsample_bytree": (0.01, 1.0),
    "feature_fraction": (0.01, 1.0),
    "bagging_fraction": (0.01, 1.0),
    "max_features": (0.001, 1.0),
    "min_child_weight": (0.0, 1e9),
    "min_data_in_leaf": (1, 1e9),
    "min_samples_leaf": (1, 1e9),
    "lambda_l2": (0.0, 1e9),
    "l2_regularization": (0.0, 1e9),
    "max_rows": (2, 1e9),
    "row_share": (0.001, 1.0),
    "max_bin": (2, 65_535),
    "max_bins": (2, 255),
    "early_stopping_rounds": (0, 100_000),
    "thin_by": (1, 250),
    "tail": (0.01, 0.9),
    "calibrate_tail": (0.01, 0.9),
    "steps": (1, 250),
    "hidden": (1, 512),
    "epochs": (1, 10_000),
    "epoch_rows": (1, 1e9),
    "batch_rows": (1, 65_536),
    "weight_decay": (0.0, 1.0),
    "folds": (1, 20),
    "max_trees": (1, 100_000),
    "shrink": (1e-9, 1e9),
    **dict.fromkeys(VOTES, (0.0, 1e6)),
}
"""Lowest and highest value that a person may set, by hyperparameter; it means the same in every recipe."""
