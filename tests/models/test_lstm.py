"""The LSTM finds what lies in the order of a feature's last values, and nothing where nothing is."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.evaluation.builders import Array, SmallMarket, small_market
from tests.extras import needs_lstm

from marketloop.core.errors import FailedError, UsageError
from marketloop.core.values import Matrix
from marketloop.evaluation.rank_ic import mean_rank_ic
from marketloop.models import builtin_recipes
from marketloop.models.aim import Aim
from marketloop.models.cell import CHUNK, Cell
from marketloop.models.lstm import Learned, Lstm
from marketloop.models.readout import Readout
from marketloop.models.windows import Scale, Windows

RECIPES = {recipe.name: recipe for recipe in builtin_recipes()}
SPLIT = 780


def learner(seed: int = 1, **changes: Any) -> Lstm:
    quick = {"steps": 12, "batch_rows": 128, "epoch_rows": 4000, "epochs": 12}
    built = RECIPES["lstm"].build({**RECIPES["lstm"].defaults, **quick, **changes}, seed, 1)
    assert isinstance(built, Lstm)
    return built


def market_with_a_memory(planted: float, *, sessions: int = 400, tickers: int = 25, seed: int = 0) -> Matrix:
    """A market whose moves follow ``f0``, noise without memory, of 6 sessions before less that of 11 before.

    So the next 5 sessions from t on depend on the values of t-5 .. t-1 less those of t-10 .. t-6: on their order, and
    neither on the value of t nor on the mean of all.
    """
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(sessions, tickers, 4))
    moves = rng.standard_t(5, (sessions, tickers)) * 0.015
    moves[11:] += planted * 0.015 * (values[5:-6, :, 0] - values[:-11, :, 0])
    return SmallMarket(50 * np.exp(np.cumsum(moves, axis=0)), values, first=500).matrix()


def score(output: Array) -> Array:
    return output if output.ndim == 1 else output[:, -1] - output[:, 0]


def parted(matrix: Matrix) -> tuple[Matrix, Matrix]:
    return matrix.take(matrix.known_on < SPLIT), matrix.take((matrix.session >= SPLIT) & np.isfinite(matrix.target))


def rank_ic(name: str, matrix: Matrix, **params: Any) -> float:
    train, test = parted(matrix)
    recipe = RECIPES[name]
    built = learner(**params) if name == "lstm" else recipe.build({**recipe.defaults, **params}, 1, 1)
    return mean_rank_ic(test, score(built.fit(train).predict(test)))


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return market_with_a_memory(0.4)


@pytest.fixture(scope="module")
def fitted(matrix: Matrix) -> Lstm:
    return learner().fit(parted(matrix)[0])


@needs_lstm
def test_order_of_the_last_values_is_found_and_the_row_alone_does_not_show_it(fitted: Lstm, matrix: Matrix) -> None:
    test = parted(matrix)[1]
    assert mean_rank_ic(test, score(fitted.predict(test))) > 0.15
    for name in ("rank_ridge", "small_trees"):
        assert abs(rank_ic(name, matrix)) < 0.06
    shares = fitted.importance()
    assert max(shares, key=lambda feature: shares[feature]) == "f0"


@needs_lstm
def test_values_and_classes_without_order_are_learned_from_the_past_too(matrix: Matrix) -> None:
    values = replace(matrix, label=matrix.target * 0.1, classes=())
    assert rank_ic("lstm", values) > 0.15
    up = replace(matrix, label=(matrix.target > 0).astype(np.float32), classes=("down", "up"))
    assert rank_ic("lstm", up) > 0.1


@needs_lstm
def test_nothing_is_found_where_nothing_is() -> None:
    found = [rank_ic("lstm", market_with_a_memory(0.0, seed=seed), epochs=3) for seed in (1, 2, 3)]
    assert abs(float(np.mean(found))) < 0.06  # with labels of 5 sessions a standard error is about 0.025


@needs_lstm
def test_prediction_stays_when_later_rows_are_others(fitted: Lstm, matrix: Matrix) -> None:
    cut = 850
    assert matrix.past is not None
    early = matrix.take((matrix.session >= SPLIT) & (matrix.session <= cut))
    noise = np.random.default_rng(9).normal(size=matrix.X.shape).astype(np.float32)
    later = np.where((matrix.past.session > cut)[:, None], noise, matrix.past.X)
    other = replace(early, past=replace(matrix.past, X=later))
    np.testing.assert_array_equal(fitted.predict(other), fitted.predict(early))
    before = np.where((matrix.past.session <= cut)[:, None], noise, matrix.past.X)
    moved = fitted.predict(replace(early, past=replace(matrix.past, X=before)))
    assert (moved != fitted.predict(early)).any(axis=1).mean() > 0.9


@needs_lstm
def test_model_is_the_same_whatever_came_after_its_training_rows(fitted: Lstm, matrix: Matrix) -> None:
    assert matrix.past is not None
    train = matrix.take(matrix.known_on < SPLIT)
    alone = replace(train, past=matrix.past.around(train.session, train.ticker))
    assert learner().fit(alone).parts() == fitted.parts()


@needs_lstm
def test_learning_and_answering_say_the_same(fitted: Lstm, matrix: Matrix) -> None:
    """The forward pass is written twice, for JAX and for NumPy: one step of no pace must leave answers as they were."""
    descent = pytest.importorskip("marketloop.models.descent")
    assert fitted.learned is not None
    windows = Windows.of(matrix.take(slice(-40, None)), 12, fitted.learned.scale).take(slice(None))
    cell = fitted.learned.cell
    told = np.asarray(descent._answers(cell.arrays(), windows))
    np.testing.assert_allclose(told, cell.answers(windows), atol=1e-5)


@needs_lstm
def test_model_read_back_answers_and_does_not_learn(fitted: Lstm, matrix: Matrix) -> None:
    train, test = parted(matrix)
    again = Lstm.from_parts(fitted.parts())
    np.testing.assert_array_equal(again.predict(test), fitted.predict(test))
    with pytest.raises(FailedError, match="build a new one to learn"):
        again.fit(train)


@needs_lstm
def test_rows_beyond_an_epoch_do_not_lengthen_it(matrix: Matrix) -> None:
    seen: list[int] = []

    def count(cell: Cell, epochs: Any, **_: Any) -> Any:
        for batches in epochs:
            seen.append(sum(int((weight > 0).sum()) for _, _, weight in batches))
            yield cell

    counted = replace(learner(epochs=2, epoch_rows=300), descend=count)
    counted.fit(parted(matrix)[0])
    assert set(seen) == {300}


def test_rows_without_their_past_are_refused(matrix: Matrix) -> None:
    with pytest.raises(FailedError, match=r"call dataset\.with_past"):
        Windows.of(replace(matrix, past=None), 3, Scale.of(matrix))


def test_scale_is_that_of_the_rows_learned_from(matrix: Matrix) -> None:
    train = parted(matrix)[0]
    far = replace(train, X=train.X * np.float32(3) + np.float32(7))
    scale = Scale.of(far)
    np.testing.assert_allclose(scale.centre, 7 + 3 * train.X.mean(axis=0), rtol=1e-4)
    assert np.abs(scale.apply(far.X * np.float32(1e30))).max() == 5.0
    assert (scale.apply(np.full_like(far.X, np.nan)) == 0.0).all()
    still = replace(train, X=np.full_like(train.X, 0.1))
    assert (Scale.of(still).apply(still.X) == 0.0).all()


def test_windows_end_with_the_row_and_begin_with_the_oldest() -> None:
    rows = small_market(sessions=30, tickers=3, features=2).matrix()
    scale = Scale(np.zeros(2, np.float32), np.ones(2, np.float32))
    one = rows.take((rows.ticker == 1) & (rows.session < 505))
    window = Windows.of(one, 2, scale).take(slice(None))
    expected = np.clip(one.X, -5, 5)
    np.testing.assert_array_equal(window[2], expected)
    np.testing.assert_array_equal(window[1], expected[[0, 0, 1, 2, 3]])  # the first row stands for its own past
    np.testing.assert_array_equal(window[0], expected[[0, 0, 0, 1, 2]])


def test_cell_answers_a_row_the_same_whatever_rows_stand_beside_it() -> None:
    rng = np.random.default_rng(0)
    cell = replace(Cell.drawn(5, 7, 2, rng), head=rng.normal(size=(7, 2)).astype(np.float32))
    windows = rng.normal(size=(9, CHUNK, 5)).astype(np.float32)
    whole = cell.answers(windows)
    for rows in (1, 2, 17, CHUNK - 1):
        np.testing.assert_array_equal(cell.answers(windows[:, -rows:]), whole[-rows:])


@pytest.mark.parametrize("damage", ["shape", "kind", "nan", "absent"])
def test_cell_of_arrays_that_do_not_fit_is_refused(damage: str) -> None:
    arrays: dict[str, Any] = Cell.drawn(5, 7, 2, np.random.default_rng(0)).arrays()
    match damage:
        case "shape":
            arrays["bias"] = arrays["bias"][:-1]
        case "kind":
            arrays["head"] = arrays["head"].astype(np.float64)
        case "nan":
            arrays["offset"] = np.full(2, np.nan, np.float32)
        case _:
            del arrays["input"]
    with pytest.raises((KeyError, ValueError)):
        Cell.checked(arrays, 5)


@pytest.fixture
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("jax", "optax"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "marketloop.models.descent", raising=False)


@pytest.mark.usefixtures("without_the_extra")
def test_learning_without_the_extra_names_it(matrix: Matrix) -> None:
    with pytest.raises(UsageError, match=r"learns with JAX and optax, and jax is .*: pip install 'marketloop\[lstm\]'"):
        learner().fit(parted(matrix)[0])


@pytest.mark.usefixtures("without_the_extra")
def test_version_that_was_kept_answers_without_the_extra(matrix: Matrix) -> None:
    train, test = parted(matrix)
    rng = np.random.default_rng(0)
    cell = replace(Cell.drawn(4, 6, 1, rng), head=rng.normal(size=(6, 1)).astype(np.float32))
    own = replace(learner(), names=train.names, learned=Learned(Aim(True, 0), Scale.of(train), cell, 1, Readout(0, 1)))
    again = RECIPES["lstm"].from_parts(own.parts())
    np.testing.assert_array_equal(again.predict(test), own.predict(test))
    assert len(np.unique(again.predict(test))) == len(test)
