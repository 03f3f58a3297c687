"""Feature selection inside the fold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.extras import recipes_named

from marketloop.core.catalog import Recipe
from marketloop.core.errors import UsageError
from marketloop.core.values import Matrix
from marketloop.dataset import with_past
from marketloop.models import builtin_recipes, checked_parameters
from marketloop.models.selection import SELECTIONS, choose_features

NAMES = ("noise_1", "signal", "twin_of_signal", "noise_2", "constant", "noise_3", "noise_4", "noise_5")


def rows_of(sessions: int = 60, tickers: int = 20) -> Matrix:
    rng = np.random.default_rng(8)
    n = sessions * tickers
    session = np.repeat(np.arange(sessions, dtype=np.int32), tickers)
    X = rng.normal(size=(n, len(NAMES))).astype(np.float32)
    X[:, 2] = X[:, 1] + 0.05 * X[:, 2]
    X[:, 4] = 1.0
    outcome = X[:, 1] + 0.5 * rng.normal(size=n)
    return Matrix(
        X=X,
        names=NAMES,
        session=session,
        ticker=np.tile(np.arange(tickers, dtype=np.int32), sessions),
        tickers=tuple(f"T{i:02d}" for i in range(tickers)),
        label=(1 + np.sign(outcome) * (np.abs(outcome) > 0.7)).astype(np.float32),
        target=(outcome / 10).astype(np.float32),
        known_on=session + 5,
        weight=np.ones(n, np.float32),
        missing=np.zeros((sessions, len(NAMES)), np.float32),
        missing_sessions=np.arange(sessions, dtype=np.int32),
        missing_rows=np.full(sessions, tickers, np.int32),
        ranks=X - 0.5,
        classes=("SELL", "HOLD", "BUY"),
    )


def few_trees(recipe: Recipe) -> dict[str, Any]:
    few = {"n_estimators": 5, "max_trees": 5, "early_stopping_rounds": 0, "folds": 1, "epochs": 2}
    return {name: value for name, value in few.items() if name in recipe.defaults}


@pytest.mark.parametrize("label", ["classes", "value"])
@pytest.mark.parametrize("method", SELECTIONS)
def test_selection_keeps_the_feature_that_carries_the_signal(method: str, label: str) -> None:
    rows = rows_of()
    rows = rows if label == "classes" else replace(rows, label=rows.target, classes=())
    kept = choose_features(rows, method, k=2, seed=0)
    assert "signal" in kept
    assert list(kept) == [name for name in NAMES if name in kept]


def test_k_best_keeps_as_many_as_asked() -> None:
    assert choose_features(rows_of(), "kbest", k=2, seed=0) == ("signal", "twin_of_signal")


def test_correlation_drops_the_later_twin_and_what_never_moves() -> None:
    kept = choose_features(rows_of(), "correlation", k=30, seed=0)
    assert set(NAMES) - set(kept) == {"twin_of_signal", "constant"}


@pytest.mark.parametrize("name", recipes_named(recipe.name for recipe in builtin_recipes()))
@pytest.mark.parametrize("method", SELECTIONS)
def test_selection_fitted_in_a_fold_does_not_know_what_comes_after(name: str, method: str) -> None:
    recipe = next(r for r in builtin_recipes() if r.name == name)
    params = checked_parameters(recipe, {"select": method, "select_k": 3, **few_trees(recipe)})
    rows = rows_of()
    late = rows.session >= 40
    X = rows.X.copy()
    X[late] = np.random.default_rng(1).normal(size=X[late].shape) * 100
    other = replace(rows, X=X)
    before = [with_past(r).take(r.known_on < 40) for r in (rows, other)]
    here, there = (recipe.build(params, 0, 1).fit(train) for train in before)
    assert here.parts() == there.parts()


@pytest.mark.parametrize("method", SELECTIONS)
def test_selection_on_the_full_sample_is_caught_by_comparing_with_the_fold(method: str) -> None:
    rows = rows_of()
    late = rows.session >= 30
    X = rows.X.copy()
    X[~late, 1] = np.random.default_rng(2).normal(size=(~late).sum())  # the signal begins in session 30
    X[~late, 2] = np.random.default_rng(3).normal(size=(~late).sum())
    if method == "correlation":  # the twins part in session 30
        X = rows.X.copy()
        X[late, 2] = np.random.default_rng(3).normal(size=late.sum())
    changed = replace(rows, X=X)
    inside = choose_features(changed.take(changed.known_on < 30), method, k=2, seed=0)
    outside = choose_features(changed, method, k=2, seed=0)
    assert inside != outside


@pytest.mark.parametrize("name", recipes_named(recipe.name for recipe in builtin_recipes()))
def test_selecting_learner_reads_back_from_its_parts(name: str) -> None:
    recipe = next(r for r in builtin_recipes() if r.name == name)
    params = checked_parameters(recipe, {"select": "kbest", "select_k": 2, **few_trees(recipe)})
    rows = with_past(rows_of())
    learner = recipe.build(params, 0, 1).fit(rows)
    again = recipe.from_parts(learner.parts())
    assert np.array_equal(again.predict(rows), learner.predict(rows))
    assert set(learner.importance()) == {"signal", "twin_of_signal"}


def test_unknown_selection_is_named_with_the_nearest() -> None:
    recipe = builtin_recipes()[0]
    with pytest.raises(UsageError, match='Did you mean "kbest"'):
        recipe.build({**recipe.defaults, "select": "kbst"}, 0, 1)
