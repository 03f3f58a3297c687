"""What every recipe of the product must keep, whatever it learns: classes or a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluation.builders import small_market
from tests.extras import recipes_named

from marketloop.core.catalog import Learner, Recipe
from marketloop.core.errors import FailedError, RefusedError, UsageError
from marketloop.core.values import Matrix
from marketloop.models import builtin_families, builtin_recipes, checked_parameters
from marketloop.models.defaults import RANGES

RECIPES = {recipe.name: recipe for recipe in builtin_recipes()}
QUICK: Mapping[str, Mapping[str, Any]] = {
    "small_trees": {"n_estimators": 25},
    "lightgbm": {"n_estimators": 25, "early_stopping_rounds": 5},
    "xgboost": {"n_estimators": 25, "early_stopping_rounds": 5},
    "xgboost_regularised": {"n_estimators": 25, "early_stopping_rounds": 5},
    "random_forest": {"n_estimators": 15},
    "gradient_boosting": {"n_estimators": 15, "early_stopping_rounds": 5},
    "lstm": {"steps": 4, "hidden": 6, "epochs": 8, "batch_rows": 64, "learning_rate": 0.02},
    "ensemble": {"max_trees": 12},
    "stacking": {"max_trees": 12, "folds": 2},
}
CLASSES = ("SELL", "HOLD", "BUY")
every_recipe = pytest.mark.parametrize("name", recipes_named(sorted(RECIPES)))
every_label = pytest.mark.parametrize("kind", ["classes", "values"])
Array = NDArray[np.float64]


def build(name: str, seed: int = 3, **changes: Any) -> Learner:
    recipe = RECIPES[name]
    return recipe.build({**recipe.defaults, **QUICK.get(name, {}), **changes}, seed, 1)


def labelled(matrix: Matrix, kind: str) -> Matrix:
    """Rows as they are, or with the forward return's rank, in another unit, as a value to predict."""
    if kind == "classes":
        return matrix
    return replace(matrix, label=(matrix.target * 0.1 + 0.01).astype(np.float32), classes=())


def with_features(matrix: Matrix, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Matrix:
    """Rows with other features, now and in their past."""
    assert matrix.past is not None
    past = replace(matrix.past, X=change(matrix.past.X))
    return replace(matrix, X=change(matrix.X), past=past)


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


@pytest.fixture(scope="module")
def learners() -> dict[tuple[str, str], Learner]:
    return {}


@pytest.fixture
def fitted(name: str, kind: str, train: Matrix, learners: dict[tuple[str, str], Learner]) -> Learner:
    """The recipe, having learned from the plain rows: once for all tests that only ask it."""
    if (name, kind) not in learners:
        learners[name, kind] = build(name).fit(labelled(train, kind))
    return learners[name, kind]


def assert_sound(output: Array, rows: Matrix, kind: str) -> None:
    assert output.shape == ((len(rows), 3) if kind == "classes" else (len(rows),))
    assert output.dtype == np.float64
    assert np.isfinite(output).all()
    if kind == "classes":
        assert (output >= 0).all()
        np.testing.assert_allclose(output.sum(axis=1), 1.0, atol=1e-6)


def assert_shares(learner: Learner, names: tuple[str, ...]) -> None:
    shares = learner.importance()
    assert tuple(shares) == names
    assert all(share >= 0 for share in shares.values())
    assert sum(shares.values()) == pytest.approx(1.0) or sum(shares.values()) == 0.0


def score(output: Array) -> Array:
    return output if output.ndim == 1 else output[:, -1] - output[:, 0]


def test_recipes_are_discovered_and_families_name_existing_ones() -> None:
    assert len(RECIPES) == len(builtin_recipes()) >= 10
    assert {"rank_ridge", "small_trees", "lightgbm", "xgboost", "random_forest", "ensemble", "lstm"} <= set(RECIPES)
    assert len(builtin_families()) >= 5
    for family in builtin_families():
        assert family.recipes
        assert set(family.recipes) <= set(RECIPES)


@every_recipe
def test_recipe_describes_itself_and_its_grid_and_space_name_hyperparameters_only(name: str) -> None:
    recipe: Recipe = RECIPES[name]
    assert recipe.description
    assert recipe.grid
    for settings in recipe.grid:
        assert set(settings) <= set(recipe.defaults)
    for dimension in recipe.space:
        kind = type(recipe.defaults[dimension.name]).__name__
        assert dimension.kind == kind
        low, high = RANGES[dimension.name]
        assert low <= dimension.low < dimension.high <= high
        for end in (dimension.low, dimension.high):
            recipe.build(checked_parameters(recipe, {dimension.name: end}), 0, 1)


@every_recipe
def test_recipe_refuses_a_hyperparameter_out_of_its_range(name: str) -> None:
    recipe = RECIPES[name]
    checked = [key for key, value in recipe.defaults.items() if type(value) in {int, float} and key != "select_k"]
    assert checked
    for key in checked:
        for value in (RANGES[key][0] - 1, RANGES[key][1] * 2 + 1, float("nan")):
            with pytest.raises(UsageError, match=f"{key} = .* for the recipe {name}: expected .* to "):
                recipe.build({**recipe.defaults, key: value}, 0, 1)


@every_label
@every_recipe
def test_recipe_predicts_what_the_label_is_and_learns_something(
    name: str, kind: str, fitted: Learner, train: Matrix, rows: Matrix
) -> None:
    output = fitted.predict(rows)
    assert_sound(output, rows, kind)
    assert len(np.unique(score(output))) > 10
    assert sum(fitted.importance().values()) == pytest.approx(1.0)
    assert_shares(fitted, train.names)


@every_label
@every_recipe
def test_recipe_finds_a_plain_signal_out_of_sample(name: str, kind: str, fitted: Learner, rows: Matrix) -> None:
    known = np.isfinite(rows.target)
    assert np.corrcoef(score(fitted.predict(rows))[known], rows.target[known])[0, 1] > 0.1
    shares = fitted.importance()
    assert max(shares, key=lambda feature: shares[feature]) == "f0"


@every_recipe
def test_values_come_in_the_unit_of_the_label(name: str, train: Matrix, rows: Matrix) -> None:
    values = labelled(train, "values")
    far = replace(values, label=(values.label * 50 + 7).astype(np.float32))
    output = build(name).fit(far).predict(rows)
    assert output.mean() == pytest.approx(7.5, abs=0.5)
    assert 0.01 < output.std() < 2.0


@every_label
@every_recipe
def test_recipe_taken_apart_and_rebuilt_predicts_the_same_bits(
    name: str, kind: str, fitted: Learner, rows: Matrix
) -> None:
    parts = fitted.parts()
    rebuilt = RECIPES[name].from_parts(parts)
    np.testing.assert_array_equal(rebuilt.predict(rows), fitted.predict(rows))
    assert rebuilt.importance() == fitted.importance()
    assert rebuilt.parts() == parts


@every_label
@every_recipe
def test_parts_are_bytes_and_no_pickle(name: str, kind: str, fitted: Learner) -> None:
    for file, content in fitted.parts().items():
        assert isinstance(content, bytes)
        assert len(content) > 10
        assert file.endswith((".json", ".ubj", ".txt", ".skops", ".onnx"))
        assert not content.startswith(b"\x80")


@every_label
@every_recipe
def test_same_seed_makes_the_same_model(name: str, kind: str, fitted: Learner, train: Matrix) -> None:
    assert build(name).fit(labelled(train, kind)).parts() == fitted.parts()


@every_label
@every_recipe
def test_fitting_again_forgets_what_was_learned_before(name: str, kind: str, fitted: Learner, train: Matrix) -> None:
    learner = build(name)
    turned = replace(train, label=(2 - train.label).astype(np.float32), target=-train.target)
    learner.fit(labelled(turned, "values" if kind == "classes" else "classes"))
    assert learner.fit(labelled(train, kind)).parts() == fitted.parts()


@every_label
@every_recipe
def test_fitting_and_predicting_leave_the_rows_as_they_were(name: str, kind: str, train: Matrix, rows: Matrix) -> None:
    own = labelled(train, kind)
    before = {field: getattr(own, field).copy() for field in ("X", "label", "target", "weight", "ranks")}
    build(name).fit(own).predict(rows)
    for field, values in before.items():
        np.testing.assert_array_equal(getattr(own, field), values)


@every_label
@every_recipe
def test_prediction_of_a_row_does_not_depend_on_the_rows_beside_it(
    name: str, kind: str, fitted: Learner, rows: Matrix
) -> None:
    whole = fitted.predict(rows)
    for size in (1, 3, 14, 101):
        starts = range(0, min(len(rows), 60 * size), size)
        parts = [fitted.predict(rows.take(slice(at, at + size))) for at in starts]
        np.testing.assert_array_equal(np.concatenate(parts), whole[: starts[-1] + size])


@every_recipe
@pytest.mark.parametrize("classes", [(0, 1), (1, 2), (0, 2), (1,), (2,)])
def test_recipe_lives_with_classes_that_do_not_occur(
    name: str, classes: tuple[int, ...], train: Matrix, rows: Matrix
) -> None:
    some = train.take(np.isin(train.label, classes))
    learner = build(name).fit(some)
    output = learner.predict(rows)
    assert_sound(output, rows, "classes")
    assert max(output[:, k].mean() for k in range(3) if k not in classes) < 0.15
    assert_shares(learner, train.names)
    np.testing.assert_array_equal(RECIPES[name].from_parts(learner.parts()).predict(rows), output)


@every_recipe
def test_recipe_takes_any_number_of_classes_or_says_that_it_cannot(name: str, train: Matrix, rows: Matrix) -> None:
    for classes in (("no", "yes"), ("a", "b", "c", "d")):
        code = np.minimum(train.label, len(classes) - 1) + (train.ticker % 2 if len(classes) == 4 else 0)
        some = replace(train, label=code.astype(np.float32), classes=classes)
        if name == "rank_ridge":
            with pytest.raises(UsageError, match="orders three classes or predicts a value, and the label has"):
                build(name).fit(some)
            continue
        learner = build(name).fit(some)
        output = learner.predict(rows)
        assert output.shape == (len(rows), len(classes))
        np.testing.assert_allclose(output.sum(axis=1), 1.0, atol=1e-6)
        np.testing.assert_array_equal(RECIPES[name].from_parts(learner.parts()).predict(rows), output)


@every_label
@every_recipe
@pytest.mark.parametrize("value", [np.nan, 3.5])
def test_recipe_lives_with_a_feature_that_is_absent_or_constant(
    name: str, kind: str, value: float, train: Matrix, rows: Matrix
) -> None:
    def still(X: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where(np.arange(X.shape[1]) == 2, np.float32(value), X)

    def flat(matrix: Matrix) -> Matrix:
        ranks = None if matrix.ranks is None else matrix.ranks.copy()
        if ranks is not None:
            ranks[:, 2] = 0.0
        return replace(with_features(matrix, still), ranks=ranks)

    learner = build(name).fit(flat(labelled(train, kind)))
    assert_sound(learner.predict(flat(rows)), rows, kind)
    assert learner.importance()["f2"] == 0.0


@every_label
@every_recipe
def test_recipe_lives_with_nothing_but_constant_features(name: str, kind: str, train: Matrix, rows: Matrix) -> None:
    def flat(matrix: Matrix) -> Matrix:
        return replace(with_features(matrix, np.ones_like), ranks=np.zeros_like(matrix.X))

    learner = build(name).fit(flat(labelled(train, kind)))
    output = learner.predict(flat(rows))
    assert_sound(output, rows, kind)
    assert len(np.unique(output, axis=0)) == 1
    assert learner.importance() == dict.fromkeys(train.names, 0.0)


@every_label
@every_recipe
def test_recipe_lives_with_a_label_that_never_changes(name: str, kind: str, train: Matrix, rows: Matrix) -> None:
    still = replace(labelled(train, kind), label=np.ones(len(train), np.float32))
    output = build(name).fit(still).predict(rows)
    assert_sound(output, rows, kind)
    expected = output[:, 1] if kind == "classes" else output
    np.testing.assert_allclose(expected, 1.0, atol=0.05)


@every_label
@every_recipe
@pytest.mark.parametrize("order", [0.0, np.nan])
def test_recipe_lives_with_a_single_ticker_which_has_no_order(
    name: str, kind: str, order: float, train: Matrix, rows: Matrix
) -> None:
    def alone(matrix: Matrix) -> Matrix:
        one = matrix.take(matrix.ticker == 0)
        return replace(one, ranks=np.zeros_like(one.X))

    own = alone(labelled(train, kind))
    learner = build(name).fit(replace(own, target=np.full(len(own), order, np.float32)))
    assert_sound(learner.predict(alone(rows)), alone(rows), kind)
    assert_shares(learner, train.names)


@every_label
@every_recipe
def test_recipe_tolerates_missing_values_in_training_and_in_prediction(
    name: str, kind: str, train: Matrix, rows: Matrix
) -> None:
    rng = np.random.default_rng(0)

    def holed(matrix: Matrix) -> Matrix:
        return with_features(matrix, lambda X: np.where(rng.random(X.shape) < 0.4, np.nan, X).astype(np.float32))

    learner = build(name).fit(holed(labelled(train, kind)))
    assert_sound(learner.predict(holed(rows)), rows, kind)
    assert_sound(learner.predict(with_features(rows, lambda X: np.full_like(X, np.nan))), rows, kind)


@every_label
@every_recipe
def test_recipe_stays_finite_far_outside_what_it_learned_from(
    name: str, kind: str, fitted: Learner, rows: Matrix
) -> None:
    for far in (
        with_features(rows, lambda X: X * np.float32(1e6)),
        with_features(rows, lambda X: X * np.float32(1e30)),
    ):
        assert_sound(fitted.predict(far), rows, kind)


@every_label
@every_recipe
@pytest.mark.parametrize("sessions", [1, 2, 8])
def test_recipe_learns_from_a_handful_of_sessions(
    name: str, kind: str, sessions: int, train: Matrix, rows: Matrix
) -> None:
    few = train.take(train.session < 500 + sessions)
    learner = build(name).fit(labelled(few, kind))
    assert_sound(learner.predict(rows), rows, kind)
    assert_shares(learner, train.names)


@every_label
@every_recipe
def test_recipe_refuses_to_learn_from_nothing(name: str, kind: str, train: Matrix) -> None:
    with pytest.raises(UsageError, match="no labelled rows to learn from"):
        build(name).fit(labelled(train.take(slice(0, 0)), kind))


@every_label
@every_recipe
def test_recipe_predicts_nothing_for_no_rows(name: str, kind: str, fitted: Learner, rows: Matrix) -> None:
    assert fitted.predict(rows.take(slice(0, 0))).shape == ((0, 3) if kind == "classes" else (0,))


@every_label
@every_recipe
def test_recipe_takes_features_by_name_and_refuses_rows_that_lack_one(
    name: str, kind: str, fitted: Learner, rows: Matrix
) -> None:
    expected = fitted.predict(rows)
    np.testing.assert_array_equal(fitted.predict(rows.select(("f3", "f1", "f0", "f2"))), expected)
    with pytest.raises(RefusedError, match="feature mismatch: the rows lack f1"):
        fitted.predict(rows.select(("f0", "f2", "f3")))


@every_label
@every_recipe
def test_weights_of_rows_matter(name: str, kind: str, fitted: Learner, train: Matrix, rows: Matrix) -> None:
    rng = np.random.default_rng(1)
    uneven = replace(train, weight=rng.uniform(0.1, 2.0, len(train)).astype(np.float32))
    weighted = build(name).fit(labelled(uneven, kind)).predict(rows)
    assert not np.array_equal(fitted.predict(rows), weighted)
    assert_sound(weighted, rows, kind)


@every_label
@every_recipe
def test_rows_of_no_weight_teach_no_direction(name: str, kind: str, train: Matrix, rows: Matrix) -> None:
    silent = train.ticker < 4
    weight = np.where(silent, 0.0, 1.0).astype(np.float32)
    shuffled = np.where(silent, -train.target, train.target).astype(np.float32)
    one = build(name).fit(labelled(replace(train, weight=weight), kind))
    other = build(name).fit(labelled(replace(train, weight=weight, target=shuffled), kind))
    np.testing.assert_allclose(other.predict(rows), one.predict(rows), atol=1e-6)


@every_label
@every_recipe
def test_contributions_where_a_recipe_has_them_are_one_per_feature(
    name: str, kind: str, fitted: Learner, rows: Matrix
) -> None:
    if name in {"ensemble", "stacking"}:
        assert not hasattr(fitted, "contributions")
        return
    values = fitted.contributions(rows)  # type: ignore[attr-defined]
    assert values.shape == rows.X.shape
    assert np.isfinite(values).all()
    assert np.abs(values).mean(axis=0).argmax() == 0
    assert fitted.contributions(rows.take(slice(0, 0))).shape == (0, 4)  # type: ignore[attr-defined]


@every_label
@every_recipe
def test_damaged_parts_are_reported_as_damage(name: str, kind: str, fitted: Learner) -> None:
    parts = fitted.parts()
    for file in parts:
        for damage in (b"", b"{}", parts[file][: len(parts[file]) // 2], b"[1, 2"):
            with pytest.raises(FailedError, match="roll back"):
                RECIPES[name].from_parts({**parts, file: damage})
        with pytest.raises(FailedError, match="roll back"):
            RECIPES[name].from_parts({key: value for key, value in parts.items() if key != file})


@every_recipe
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_every_recipe_of_classes_can_be_calibrated(name: str, method: str, train: Matrix, rows: Matrix) -> None:
    learner = build(name, calibrate=method).fit(train)
    output = learner.predict(rows)
    assert_sound(output, rows, "classes")
    parts = learner.parts()
    again = RECIPES[name].from_parts(parts)
    np.testing.assert_array_equal(again.predict(rows), output)
    assert again.parts() == parts
    for file in ("calibration.json", next(iter(parts))):
        with pytest.raises(FailedError, match="roll back"):
            RECIPES[name].from_parts({key: value for key, value in parts.items() if key != file})
    with pytest.raises(UsageError, match="the label is a value without probabilities to calibrate; set it to none"):
        build(name, calibrate=method).fit(labelled(train, "values"))
