"""Learners that prepare their rows once make the same model of them as those that start afresh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.evaluation.builders import small_market

from marketloop.core.catalog import Preparing, Recipe
from marketloop.core.values import Matrix
from marketloop.models import builtin_recipes

RECIPES = {recipe.name: recipe for recipe in builtin_recipes()}
PREPARING = ("small_trees", "lightgbm", "xgboost")
SHORT = {"n_estimators": 12}


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    whole = small_market(sessions=260, tickers=30, planted=0.3, features=6).matrix()
    return whole.take(np.isfinite(whole.label))


def fitted(recipe: Recipe, params: Mapping[str, Any]) -> Preparing:
    learner = recipe.build({**recipe.defaults, **SHORT, **params}, 0, 1)
    assert isinstance(learner, Preparing)
    return learner


@pytest.mark.parametrize("label", ["classes", "values"])
@pytest.mark.parametrize("name", PREPARING)
def test_prepared_rows_are_shared_by_learners_of_other_settings(name: str, label: str, matrix: Matrix) -> None:
    if label == "values":
        matrix = replace(matrix, label=matrix.target, classes=())
    train, test = matrix.take(matrix.known_on < 680), matrix.take(matrix.session >= 680)
    recipe = RECIPES[name]
    shared = fitted(recipe, {}).prepare(train)
    leaves = {"num_leaves": 7, "min_data_in_leaf": 10} if "num_leaves" in recipe.defaults else {"max_depth": 3}
    for params in ({}, {"learning_rate": 0.2}, leaves, {}):
        alone = recipe.build({**recipe.defaults, **SHORT, **params}, 0, 1).fit(train)
        together = fitted(recipe, params).fit_prepared(shared)
        assert np.array_equal(alone.predict(test), together.predict(test))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", PREPARING)
def test_preparation_names_what_the_rows_depend_on_and_nothing_that_is_searched(name: str) -> None:
    recipe = RECIPES[name]
    usual = fitted(recipe, {}).preparation()
    for params in ({"thin_by": 3}, {"tail": 0.3}, {"max_bin": 20}, {"balanced": True}):
        assert fitted(recipe, params).preparation() != usual
    searched = {d.name: (round(d.high) if d.kind == "int" else d.high) for d in recipe.space}
    assert fitted(recipe, searched).preparation() == usual
    assert hash(usual) == hash(fitted(recipe, {}).preparation())


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.space])
def test_space_lies_within_what_the_recipe_takes(name: str) -> None:
    recipe = RECIPES[name]
    for end in ("low", "high"):
        values = {d.name: round(getattr(d, end)) if d.kind == "int" else getattr(d, end) for d in recipe.space}
        assert values.keys() <= recipe.defaults.keys()
        recipe.build({**recipe.defaults, **values}, 0, 1)


def test_space_of_xgboost_is_the_usual_one() -> None:
    space = {d.name: (d.low, d.high, d.kind, d.log) for d in RECIPES["xgboost"].space}
    assert space == {
        "n_estimators": (100, 1000, "int", False),
        "max_depth": (3, 10, "int", False),
        "learning_rate": (0.01, 0.3, "float", True),
        "subsample": (0.6, 1.0, "float", False),
        "colsample_bytree": (0.6, 1.0, "float", False),
    }
