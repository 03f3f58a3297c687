"""Objectives, and what a trial of settings is worth on purged inner folds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pytest
from tests.evaluation.builders import SmallMarket, small_market
from tests.evaluation.learners import Teller, buy_minus_sell, nan_recipe, recipe_of

from marketloop.core.catalog import Family, Learner, Recipe
from marketloop.core.errors import FailedError, UsageError
from marketloop.core.values import Matrix
from marketloop.dataset import LabelSpec
from marketloop.evaluation.nomination import Contender, Span
from marketloop.evaluation.objectives import OBJECTIVES, objective_of
from marketloop.evaluation.stream import Stream, StreamSpec, advance
from marketloop.evaluation.trials import TrialFolds, stream_returns, trial_folds
from marketloop.labels import Panel
from marketloop.models import builtin_families, builtin_recipes

FAMILIES = {family.name: family for family in builtin_families()}
FAMILY = replace(FAMILIES["price_predictor"], score=buy_minus_sell)
LABEL = LabelSpec(5, 0.02)
RIDGE = builtin_recipes()[0]
NEWEST = (13, 14, 15, 16)


def spec_of(recipe: Recipe, family: Family = FAMILY) -> StreamSpec:
    contender = Contender(recipe, dict(recipe.defaults))
    return StreamSpec(family, (contender,), LABEL, "basic", "rsi10", block=21, validation=63)


def folds_of(recipe: Recipe, matrix: Matrix, panel: Panel, objective: str = "log_loss", **changes: Any) -> TrialFolds:
    spec = spec_of(recipe)
    numbers = trial_folds(matrix, spec, before=panel.last + 1)
    folds = TrialFolds(spec.contenders[0], spec, OBJECTIVES[objective], numbers, **changes)
    return folds.prepare(matrix, panel)


@pytest.fixture(scope="module")
def market() -> SmallMarket:
    return small_market(sessions=480, tickers=14, planted=0.3, first=600)


@pytest.fixture(scope="module")
def rows(market: SmallMarket) -> Matrix:
    matrix = market.matrix()
    return matrix.take(np.isfinite(matrix.label))


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("price_predictor", {"log_loss", "rank_ic", "accuracy", "f1"}),
        ("momentum_ranker", {"rank_ic", "rmse"}),
        ("price_regressor", {"rank_ic", "rmse"}),
        ("regime_classifier", {"log_loss", "accuracy", "f1"}),
    ],
)
def test_families_have_the_objectives_that_are_defined_for_them(family: str, names: set[str]) -> None:
    assert {o.name for o in OBJECTIVES.values() if o.suits(FAMILIES[family])} == names
    assert objective_of(FAMILIES[family]).name == FAMILIES[family].objective


def test_objective_that_is_misspelt_is_named() -> None:
    with pytest.raises(UsageError, match=r"unknown objective of price_predictor .*Did you mean \"accuracy\""):
        objective_of(FAMILY, "acuracy")
    with pytest.raises(UsageError, match=r"needs 10 of them, not 1: collect more, or choose --objective rmse"):
        objective_of(FAMILIES["momentum_ranker"], tickers=1)


def test_objectives_are_the_figures_that_their_names_say(rows: Matrix) -> None:
    few = replace(rows.take(np.arange(4)), label=np.array([0, 1, 2, 2], np.float32))
    said = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.7, 0.2, 0.1]])
    value = {name: o.value(said, few, FAMILY) for name, o in OBJECTIVES.items() if o.kind == "classes"}
    assert value["log_loss"] == pytest.approx(-np.log([0.5, 0.8, 0.6, 0.1]).mean())
    assert value["accuracy"] == 0.75
    assert value["f1"] == pytest.approx((2 / 3 + 1 + 2 * 2 / 3) / 4)
    assert OBJECTIVES["rmse"].value(np.array([0.0, 1, 2, 0]), few, FAMILIES["price_regressor"]) == 1.0
    assert [o.maximise for o in OBJECTIVES.values()] == [False, True, False, True, True]


def test_rank_ic_of_the_truth_is_one(rows: Matrix) -> None:
    truth = rows.target.astype(np.float64)
    assert OBJECTIVES["rank_ic"].value(truth, rows, FAMILIES["momentum_ranker"]) == pytest.approx(1.0)


def test_log_loss_of_a_certain_error_is_large_and_finite(rows: Matrix) -> None:
    one = replace(rows.take(np.arange(1)), label=np.array([0], np.float32))
    assert 20 < OBJECTIVES["log_loss"].value(np.array([[0.0, 0.0, 1.0]]), one, FAMILY) < 40


def test_trials_are_scored_on_the_newest_settled_folds(rows: Matrix, market: SmallMarket) -> None:
    # Sessions 600..1079; 125 to learn from; folds of 63: 12 is 756..818, 16 is 1008..1070, known at 1075.
    def found(before: int) -> list[tuple[int, int]]:
        return [(span.number, span.length) for span in trial_folds(rows, spec_of(RIDGE), before=before)]

    assert found(1076) == [(13, 63), (14, 63), (15, 63), (16, 63)]
    assert found(1075) == [(12, 63), (13, 63), (14, 63), (15, 63)]


def test_short_history_is_cut_into_shorter_folds(rows: Matrix) -> None:
    def found(before: int) -> list[tuple[int, int]]:
        return [(span.number, span.length) for span in trial_folds(rows, spec_of(RIDGE), before=before)]

    assert found(825) == [(35, 21), (36, 21), (37, 21), (38, 21)]  # one fold of 63 only
    assert found(761) == [(35, 21)]
    assert found(760) == []


def test_value_is_the_mean_over_the_folds_so_far_and_comes_with_accuracy(rows: Matrix, market: SmallMarket) -> None:
    found = list(folds_of(RIDGE, rows, market.panel()).values({}))
    assert len(found) == 4
    assert all(0.5 < step.value < 1.5 and 0.2 < step.figures["accuracy"] < 0.9 for step in found)
    alone = [next(iter(fold_of(number).prepare(rows, market.panel()).values({}))) for number in NEWEST]
    means = np.cumsum([step.value for step in alone]) / np.arange(1, 5)
    assert [step.value for step in found] == pytest.approx(means.tolist())


def fold_of(number: int) -> TrialFolds:
    spec = spec_of(RIDGE)
    return TrialFolds(spec.contenders[0], spec, OBJECTIVES["log_loss"], (Span(number, 63, 5),))


def test_returns_are_one_per_session_and_positive_where_the_scores_are_right(market: SmallMarket, rows: Matrix) -> None:
    right, wrong = (recipe_of("teller", lambda sign=sign: Teller(sign)) for sign in (1.0, -1.0))  # type: ignore[misc]
    earned = [
        np.concatenate([step.returns for step in folds_of(recipe, rows, market.panel()).values({})])
        for recipe in (right, wrong)
    ]
    assert len(earned[0]) == 4 * (63 - 5)
    assert earned[0].mean() > 0 > earned[1].mean()
    assert earned[0] == pytest.approx(-earned[1])


def test_stream_is_measured_by_the_same_portfolio() -> None:
    market = small_market(sessions=560, tickers=14, planted=0.3, first=600)
    spec = spec_of(recipe_of("teller", Teller))
    stream = advance(Stream(spec.fingerprint), market.matrix(), market.panel(), spec)
    series = stream_returns(stream, market.panel(), 5)
    first = int(stream.scores["session"].min())  # type: ignore[arg-type]
    assert series.session.tolist() == list(range(first + 5, market.panel().last + 1))
    assert series.value.mean() > 0


def test_trial_learns_nothing_that_was_not_known_before_its_folds(market: SmallMarket, rows: Matrix) -> None:
    start = NEWEST[0] * 63
    late = (rows.known_on >= start) & (rows.session < start)
    garbled = replace(
        rows,
        label=np.where(late, (rows.label + 1) % 3, rows.label).astype(np.float32),
        target=np.where(late, -rows.target, rows.target).astype(np.float32),
    )
    plain, other = (next(iter(folds_of(RIDGE, m, market.panel()).values({}))) for m in (rows, garbled))
    assert plain == other


def test_recipe_that_predicts_nan_fails_by_name(market: SmallMarket, rows: Matrix) -> None:
    with pytest.raises(FailedError, match="the recipe blank predicted NaN"):
        list(folds_of(nan_recipe(), rows, market.panel()).values({}))


@dataclass
class Counting(Teller):
    """Counts how often rows are prepared; `coarse` is something that the prepared form depends on."""

    coarse: int = 0

    def preparation(self) -> int:
        return self.coarse

    def prepare(self, train: Matrix) -> Matrix:
        PREPARED.append(len(train))
        return train

    def fit_prepared(self, prepared: Matrix) -> Self:
        return self.fit(prepared)


PREPARED: list[int] = []


def counting_recipe() -> Recipe:
    def build(params: Mapping[str, Any], seed: int, threads: int) -> Learner:
        return Counting(coarse=params["coarse"])

    return Recipe("counting", build, {"coarse": 1, "sign": 1.0}, from_parts=lambda _: Counting())


def test_rows_are_prepared_once_per_fold_and_form_for_all_trials(market: SmallMarket, rows: Matrix) -> None:
    PREPARED.clear()
    folds = folds_of(counting_recipe(), rows, market.panel())
    for params in ({}, {"sign": 2.0}, {}):
        list(folds.values(params))
    assert len(PREPARED) == 4
    list(folds.values({"coarse": 2}))
    assert len(PREPARED) == 8
    alone = folds_of(counting_recipe(), rows, market.panel(), shares=False)
    list(alone.values({}))
    assert len(PREPARED) == 8


def test_trees_are_worth_the_same_on_shared_and_on_own_rows(market: SmallMarket, rows: Matrix) -> None:
    recipe = next(r for r in builtin_recipes() if r.name == "xgboost")
    small = {"n_estimators": 10, "max_depth": 3}
    values = [
        [step.value for step in folds_of(recipe, rows, market.panel(), shares=shares).values(small)]
        for shares in (True, False)
    ]
    assert values[0] == values[1]
    assert all(math.isfinite(value) for value in values[0])
