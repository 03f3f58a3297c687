"""What every recipe of the product must keep, whatever it learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.evaluation.builders import small_market

from marketloop.core.catalog import Learner, Recipe
from marketloop.core.errors import FailedError, RefusedError, UsageError
from marketloop.core.values import Matrix
from marketloop.models import builtin_families, builtin_recipes

RECIPES = {recipe.name: recipe for recipe in builtin_recipes()}
QUICK: Mapping[str, Mapping[str, Any]] = {"xgboost": {"n_estimators": 25, "early_stopping_rounds": 5}}
every_recipe = pytest.mark.parametrize("name", sorted(RECIPES))


def build(name: str, seed: int = 3, **changes: Any) -> Learner:
    recipe = RECIPES[name]
    return recipe.build({**recipe.defaults, **QUICK.get(name, {}), **changes}, seed, 1)


@pytest.fixture(scope="module")
def market() -> Matrix:
    """Rows of 150 sessions and 14 tickers; the last five sessions have no label yet."""
    return small_market(sessions=150, tickers=14, features=4, planted=0.3).matrix()


@pytest.fixture(scope="module")
def train(market: Matrix) -> Matrix:
    return market.take(market.known_on < 600)


@pytest.fixture(scope="module")
def rows(market: Matrix) -> Matrix:
    return market.take(market.session >= 600)


def assert_probabilities(output: np.ndarray[Any, np.dtype[np.float64]], rows: Matrix) -> None:
    assert output.shape == (len(rows), 3)
    assert output.dtype == np.float64
    assert np.isfinite(output).all()
    assert (output >= 0).all()
    np.testing.assert_allclose(output.sum(axis=1), 1.0, atol=1e-6)


def assert_shares(learner: Learner, names: tuple[str, ...]) -> None:
    shares = learner.importance()
    assert tuple(shares) == names
    assert all(share >= 0 for share in shares.values())
    assert sum(shares.values()) == pytest.approx(1.0) or sum(shares.values()) == 0.0


def test_recipes_are_discovered_and_families_name_existing_ones() -> None:
    assert len(RECIPES) == len(builtin_recipes()) >= 2
    assert {"rank_ridge", "xgboost"} <= set(RECIPES)
    for family in builtin_families():
        assert len(family.recipes) >= 2
        assert set(family.recipes) <= set(RECIPES)


@every_recipe
def test_recipe_describes_itself_and_its_grid_names_hyperparameters_only(name: str) -> None:
    recipe: Recipe = RECIPES[name]
    assert recipe.description
    assert recipe.grid
    for settings in recipe.grid:
        assert set(settings) <= set(recipe.defaults)


@every_recipe
def test_recipe_predicts_probabilities_and_learns_something(name: str, train: Matrix, rows: Matrix) -> None:
    learner = build(name).fit(train)
    output = learner.predict(rows)
    assert_probabilities(output, rows)
    assert len(np.unique(output[:, 2] - output[:, 0])) > 10
    assert sum(learner.importance().values()) == pytest.approx(1.0)
    assert_shares(learner, train.names)


@every_recipe
def test_recipe_finds_a_plain_signal_out_of_sample(name: str, train: Matrix, rows: Matrix) -> None:
    learner = build(name).fit(train)
    output = learner.predict(rows)
    known = np.isfinite(rows.target)
    score = (output[:, 2] - output[:, 0])[known]
    assert np.corrcoef(score, rows.target[known])[0, 1] > 0.1
    shares = learner.importance()
    assert max(shares, key=lambda feature: shares[feature]) == "f0"


@every_recipe
def test_recipe_taken_apart_and_rebuilt_predicts_the_same_bits(name: str, train: Matrix, rows: Matrix) -> None:
    learner = build(name).fit(train)
    parts = learner.parts()
    rebuilt = RECIPES[name].from_parts(parts)
    np.testing.assert_array_equal(rebuilt.predict(rows), learner.predict(rows))
    assert rebuilt.importance() == learner.importance()
    assert rebuilt.parts() == parts


@every_recipe
def test_parts_are_bytes_and_no_pickle(name: str, train: Matrix) -> None:
    for file, content in build(name).fit(train).parts().items():
        assert isinstance(content, bytes)
        assert len(content) > 10
        assert file.endswith((".json", ".ubj", ".txt", ".skops", ".onnx"))
        assert not content.startswith(b"\x80")


@every_recipe
def test_same_seed_makes_the_same_model(name: str, train: Matrix) -> None:
    assert build(name).fit(train).parts() == build(name).fit(train).parts()


@every_recipe
def test_fitting_again_forgets_what_was_learned_before(name: str, train: Matrix) -> None:
    learner = build(name)
    learner.fit(replace(train, label=(2 - train.label).astype(np.float32), target=-train.target))
    assert learner.fit(train).parts() == build(name).fit(train).parts()


@every_recipe
def test_fitting_and_predicting_leave_the_rows_as_they_were(name: str, train: Matrix, rows: Matrix) -> None:
    before = {field: getattr(train, field).copy() for field in ("X", "label", "target", "weight", "ranks")}
    build(name).fit(train).predict(rows)
    for field, values in before.items():
        np.testing.assert_array_equal(getattr(train, field), values)


@every_recipe
def test_prediction_of_a_row_does_not_depend_on_the_rows_beside_it(name: str, train: Matrix, rows: Matrix) -> None:
    learner = build(name).fit(train)
    whole = learner.predict(rows)
    for size in (1, 3, 14, 101):
        parts = [learner.predict(rows.take(slice(at, at + size))) for at in range(0, len(rows), size)]
        np.testing.assert_array_equal(np.vstack(parts), whole)


@every_recipe
@pytest.mark.parametrize("classes", [(0, 1), (1, 2), (0, 2), (1,), (2,)])
def test_recipe_lives_with_classes_that_do_not_occur(
    name: str, classes: tuple[int, ...], train: Matrix, rows: Matrix
) -> None:
    some = train.take(np.isin(train.label, classes))
    learner = build(name).fit(some)
    assert_probabilities(learner.predict(rows), rows)
    assert_shares(learner, train.names)
    np.testing.assert_array_equal(RECIPES[name].from_parts(learner.parts()).predict(rows), learner.predict(rows))


@every_recipe
@pytest.mark.parametrize("value", [np.nan, 0.0, 3.5])
def test_recipe_lives_with_a_feature_that_is_absent_or_constant(
    name: str, value: float, train: Matrix, rows: Matrix
) -> None:
    def flat(matrix: Matrix) -> Matrix:
        X, ranks = matrix.X.copy(), None if matrix.ranks is None else matrix.ranks.copy()
        X[:, 2] = value
        if ranks is not None:
            ranks[:, 2] = 0.0
        return replace(matrix, X=X, ranks=ranks)

    learner = build(name).fit(flat(train))
    assert_probabilities(learner.predict(flat(rows)), rows)
    assert learner.importance()["f2"] == 0.0


@every_recipe
def test_recipe_lives_with_nothing_but_constant_features(name: str, train: Matrix, rows: Matrix) -> None:
    def flat(matrix: Matrix) -> Matrix:
        return replace(matrix, X=np.ones_like(matrix.X), ranks=np.zeros_like(matrix.X))

    learner = build(name).fit(flat(train))
    output = learner.predict(flat(rows))
    assert_probabilities(output, rows)
    assert len(np.unique(output, axis=0)) == 1
    assert learner.importance() == dict.fromkeys(train.names, 0.0)


@every_recipe
def test_recipe_tolerates_missing_values_in_training_and_in_prediction(name: str, train: Matrix, rows: Matrix) -> None:
    rng = np.random.default_rng(0)

    def holed(matrix: Matrix) -> Matrix:
        return replace(matrix, X=np.where(rng.random(matrix.X.shape) < 0.4, np.nan, matrix.X).astype(np.float32))

    learner = build(name).fit(holed(train))
    assert_probabilities(learner.predict(holed(rows)), rows)
    assert_probabilities(learner.predict(replace(rows, X=np.full_like(rows.X, np.nan))), rows)


@every_recipe
def test_recipe_stays_finite_far_outside_what_it_learned_from(name: str, train: Matrix, rows: Matrix) -> None:
    learner = build(name).fit(train)
    for size in (1e6, 1e30):
        assert_probabilities(learner.predict(replace(rows, X=(rows.X * np.float32(size)))), rows)


@every_recipe
@pytest.mark.parametrize("sessions", [1, 2, 8])
def test_recipe_learns_from_a_handful_of_sessions(name: str, sessions: int, train: Matrix, rows: Matrix) -> None:
    few = train.take(train.session < 500 + sessions)
    learner = build(name).fit(few)
    assert_probabilities(learner.predict(rows), rows)
    assert_shares(learner, train.names)


@every_recipe
def test_recipe_refuses_to_learn_from_nothing(name: str, train: Matrix) -> None:
    with pytest.raises(UsageError, match="no labelled rows to learn from"):
        build(name).fit(train.take(slice(0, 0)))


@every_recipe
def test_recipe_predicts_nothing_for_no_rows(name: str, train: Matrix, rows: Matrix) -> None:
    assert build(name).fit(train).predict(rows.take(slice(0, 0))).shape == (0, 3)


@every_recipe
def test_recipe_takes_features_by_name_and_refuses_rows_that_lack_one(name: str, train: Matrix, rows: Matrix) -> None:
    learner = build(name).fit(train)
    expected = learner.predict(rows)
    np.testing.assert_array_equal(learner.predict(rows.select(("f3", "f1", "f0", "f2"))), expected)
    with pytest.raises(RefusedError, match="feature mismatch: the rows lack f1"):
        learner.predict(rows.select(("f0", "f2", "f3")))


@every_recipe
def test_weights_of_rows_matter_by_their_proportions(name: str, train: Matrix, rows: Matrix) -> None:
    rng = np.random.default_rng(1)
    uneven = replace(train, weight=rng.uniform(0.1, 2.0, len(train)).astype(np.float32))
    plain, weighted = build(name).fit(train).predict(rows), build(name).fit(uneven).predict(rows)
    assert not np.array_equal(plain, weighted)
    assert_probabilities(weighted, rows)


@every_recipe
def test_rows_of_no_weight_teach_no_direction(name: str, train: Matrix, rows: Matrix) -> None:
    silent = train.ticker < 4
    weight = np.where(silent, 0.0, 1.0).astype(np.float32)
    shuffled = np.where(silent, -train.target, train.target).astype(np.float32)
    one = build(name).fit(replace(train, weight=weight))
    other = build(name).fit(replace(train, weight=weight, target=shuffled))
    np.testing.assert_allclose(other.predict(rows), one.predict(rows), atol=1e-6)


@every_recipe
def test_damaged_parts_are_reported_as_damage(name: str, train: Matrix) -> None:
    parts = build(name).fit(train).parts()
    for file in parts:
        for damage in (b"", b"{}", parts[file][: len(parts[file]) // 2], b"[1, 2"):
            with pytest.raises(FailedError, match="roll back"):
                RECIPES[name].from_parts({**parts, file: damage})
        with pytest.raises(FailedError, match="roll back"):
            RECIPES[name].from_parts({key: value for key, value in parts.items() if key != file})
