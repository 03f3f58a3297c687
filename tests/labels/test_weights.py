"""Sample weights by hand."""

from __future__ import annotations

import numpy as np
import pytest

from marketloop.core.errors import UsageError
from marketloop.labels import average_uniqueness, recency_weights, uniqueness_weights


def ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def test_average_uniqueness_by_hand() -> None:
    # Returns of sessions 1..3, 2..4, 6..6: session 1 is covered once, 2 and 3 twice, 4 once, 6 once.
    start, end = ints(0, 1, 5), ints(3, 4, 6)
    weight = average_uniqueness(start, end, ints(7, 7, 7))
    np.testing.assert_allclose(weight, [(1 + 0.5 + 0.5) / 3, (0.5 + 0.5 + 1) / 3, 1.0])


def test_labels_of_different_tickers_do_not_overlap() -> None:
    weight = average_uniqueness(ints(0, 0, 0), ints(5, 5, 5), ints(0, 1, 2))
    np.testing.assert_allclose(weight, 1.0)


def test_labels_in_an_unbroken_run_have_one_over_the_horizon() -> None:
    start = np.arange(30)
    weight = average_uniqueness(start, start + 5, np.zeros(30, np.int64))
    np.testing.assert_allclose(weight[4:-4], 0.2)
    assert weight[0] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)


def test_average_uniqueness_does_not_depend_on_the_order_of_the_rows() -> None:
    start, group = ints(3, 1, 2, 9, 4, 1), ints(1, 1, 1, 1, 0, 0)
    shuffled = np.array([5, 2, 0, 4, 1, 3])
    plain = average_uniqueness(start, start + 3, group)
    np.testing.assert_allclose(
        average_uniqueness(start[shuffled], start[shuffled] + 3, group[shuffled]), plain[shuffled]
    )


def test_uniqueness_weights_have_mean_one_and_the_same_proportions() -> None:
    start, end, group = ints(0, 1, 5), ints(3, 4, 6), ints(7, 7, 7)
    weight = uniqueness_weights(start, end, group)
    assert weight.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(weight / weight[2], average_uniqueness(start, end, group))
    assert len(uniqueness_weights(ints(), ints(), ints())) == 0


def test_label_that_ends_where_it_starts_is_refused() -> None:
    with pytest.raises(UsageError, match="a label must end after it starts"):
        uniqueness_weights(ints(0, 4), ints(2, 4), ints(0, 0))


def test_recency_weights_halve_every_half_life() -> None:
    weight = recency_weights(ints(100, 160, 220), 60)
    np.testing.assert_allclose(weight / weight[2], [0.25, 0.5, 1.0])
    assert weight.mean() == pytest.approx(1.0)


@pytest.mark.parametrize("half_life", [0.0, -1.0, np.nan])
def test_recency_weights_refuse_a_half_life_that_is_not_positive(half_life: float) -> None:
    with pytest.raises(UsageError, match="expected a positive number of sessions"):
        recency_weights(ints(1, 2), half_life)
