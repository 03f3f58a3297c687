"""Hyperparameters given by a person."""

from __future__ import annotations

from typing import Any

import pytest

from marketloop.core.errors import UsageError
from marketloop.models import builtin_recipes, checked_parameters

RIDGE, BOOSTED = (next(r for r in builtin_recipes() if r.name == name) for name in ("rank_ridge", "xgboost"))


def test_values_are_laid_over_the_defaults_in_the_kind_of_the_default() -> None:
    params = checked_parameters(BOOSTED, {"n_estimators": "300", "learning_rate": "0.1", "balanced": "true"})
    assert params == {**BOOSTED.defaults, "n_estimators": 300, "learning_rate": 0.1, "balanced": True}
    assert isinstance(params["n_estimators"], int)
    assert checked_parameters(RIDGE, {}) == dict(RIDGE.defaults)


def test_unknown_hyperparameter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r'"n_estimator": expected one of .* Did you mean "n_estimators"\?'):
        checked_parameters(BOOSTED, {"n_estimator": 5})


@pytest.mark.parametrize(
    ("name", "value"), [("n_estimators", "many"), ("n_estimators", 3.5), ("balanced", "perhaps"), ("subsample", None)]
)
def test_value_of_another_kind_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{name} = .* for the recipe xgboost: expected a value of type"):
        checked_parameters(BOOSTED, {name: value})


@pytest.mark.parametrize(
    ("recipe", "name", "value"),
    [
        ("rank_ridge", "penalty", 0.0),
        ("rank_ridge", "penalty", -1.0),
        ("rank_ridge", "tail", 1.0),
        ("rank_ridge", "penalty", float("nan")),
        ("xgboost", "n_estimators", 0),
        ("xgboost", "max_depth", -2),
        ("xgboost", "learning_rate", 0.0),
        ("xgboost", "subsample", 1.5),
        ("xgboost", "thin_by", 0),
    ],
)
def test_value_out_of_range_is_refused_before_anything_is_fitted(recipe: str, name: str, value: float) -> None:
    chosen = {"rank_ridge": RIDGE, "xgboost": BOOSTED}[recipe]
    with pytest.raises(UsageError, match=f"{name} = .* for the recipe {recipe}: expected .* to "):
        chosen.build(checked_parameters(chosen, {name: value}), 0, 1)
