"""Sums that are shared by fits on the same read-only rows."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marketloop.models import gram
from marketloop.models.gram import CHUNK, MOST_PREFIXES, gram_sums, ridge_weights
from marketloop.models.reuse import Kept

Float32 = NDArray[np.float32]


def frozen(values: NDArray[Any]) -> NDArray[Any]:
    values.flags.writeable = False
    return values


def market(rows: int, seed: int = 0) -> tuple[Float32, Float32, Float32]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 5)).astype(np.float32)
    y = rng.normal(size=rows).astype(np.float32)
    y[::50] = np.nan
    return X, y, rng.uniform(0.5, 1.5, rows).astype(np.float32)


def plain(X: Float32, y: Float32, weight: Float32) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = np.isfinite(y)
    own = X[known].astype(np.float64) * weight[known, None]
    return own.T @ X[known].astype(np.float64), own.T @ y[known].astype(np.float64)


def test_sums_are_those_of_the_rows_whose_target_is_known() -> None:
    for ours, theirs in zip(gram_sums(*market(40_000)), plain(*market(40_000)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=0.5)


@pytest.mark.parametrize("order", [(20_000, 33_000, 70_000), (70_000, 33_000, 20_000), (70_000, 70_000, CHUNK)])
def test_sums_of_growing_rows_have_the_bits_of_sums_that_start_afresh(order: tuple[int, ...]) -> None:
    shared = [frozen(values) for values in market(70_000)]
    for rows in order:
        fresh = gram_sums(*(values[:rows].copy() for values in shared))
        again = gram_sums(*(values[:rows] for values in shared))
        for one, other in zip(fresh, again, strict=True):
            np.testing.assert_array_equal(one, other)


def test_rows_that_can_be_written_to_are_always_summed_anew() -> None:
    X, y, weight = market(2 * CHUNK)
    before = gram_sums(X, y, weight)[0]
    X[1] += 100
    assert not np.array_equal(gram_sums(X, y, weight)[0], before)
    view = X[:CHUNK]
    view.flags.writeable = False  # the array behind it is not
    before = gram_sums(view, frozen(y)[:CHUNK], frozen(weight)[:CHUNK])[0]
    X[1] += 100
    assert not np.array_equal(gram_sums(view, y[:CHUNK], weight[:CHUNK])[0], before)


def test_other_targets_weights_columns_and_beginnings_are_told_apart() -> None:
    X, y, weight = (frozen(values) for values in market(3 * CHUNK))
    other_y, other_weight = frozen(-y), frozen(weight * 2)
    base = gram_sums(X, y, weight)
    np.testing.assert_array_equal(gram_sums(X, other_y, weight)[1], -base[1])
    np.testing.assert_allclose(gram_sums(X, y, other_weight)[0], 2 * base[0], rtol=1e-6)
    np.testing.assert_allclose(gram_sums(X[:, 1:], y, weight)[0], base[0][1:, 1:], rtol=1e-6)
    late = gram_sums(X[CHUNK:], y[CHUNK:], weight[CHUNK:])[0]
    np.testing.assert_allclose(late, plain(X[CHUNK:], y[CHUNK:], weight[CHUNK:])[0], rtol=1e-4, atol=0.5)


def test_number_of_kept_prefixes_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "CHUNK", 64)
    sums = gram._Prefixes()
    X, y, weight = market(64 * 500)
    sums.sums(X, y, weight)
    assert 1 < len(sums.after) <= MOST_PREFIXES
    for rows in (100, 64 * 300 + 7, 64 * 500):
        for one, other in zip(
            sums.sums(X[:rows], y[:rows], weight[:rows]),
            gram._Prefixes().sums(X[:rows], y[:rows], weight[:rows]),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)


def test_results_go_with_the_arrays_that_they_are_of() -> None:
    kept = Kept()
    values = frozen(np.arange(5.0))
    made = kept.get((values,), "sum", lambda own=values: [own.sum()])  # type: ignore[misc]
    assert kept.get((values[:3],), "sum", list) is made
    assert len(kept.found) == 1
    kept.get((values,), "other", list)
    del values
    gc.collect()
    assert kept.found == {}


def test_only_the_last_few_results_are_kept() -> None:
    kept = Kept(most=2)
    arrays = [frozen(np.arange(3.0) + i) for i in range(3)]
    found: list[list[Any]] = [kept.get((values,), "", list) for values in arrays]
    assert kept.get((arrays[2],), "", list) is found[2]
    assert kept.get((arrays[1],), "", list) is found[1]
    assert kept.get((arrays[0],), "", list) is not found[0]
    assert len(kept.found) == 2


def test_new_array_at_the_address_of_an_old_one_is_another_array() -> None:
    kept = Kept()
    seen = set()
    for number in range(50):
        values = frozen(np.full(1000, float(number)))
        assert kept.get((values,), "", lambda values=values: values[0]) == number  # type: ignore[misc]
        seen.add(values.__array_interface__["data"][0])
        del values
    assert len(seen) < 50  # addresses did come back


def test_threads_do_not_see_each_others_results() -> None:
    kept = Kept()
    values = frozen(np.arange(3.0))
    own: list[Any] = kept.get((values,), "", list)
    other: list[Any] = []
    thread = threading.Thread(target=lambda: other.append(kept.get((values,), "", list)))
    thread.start()
    thread.join()
    assert other[0] is not own
    assert kept.get((values,), "", list) is own


def test_column_without_spread_weighs_nothing() -> None:
    gram_matrix, moment = np.diag([4.0, 0.0]), np.array([2.0, 0.0])
    assert ridge_weights(gram_matrix, moment, 1.0).tolist() == [0.25, 0.0]
