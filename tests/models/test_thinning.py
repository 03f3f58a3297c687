"""Thinned sessions and purged tails."""

from __future__ import annotations

import numpy as np
import pytest
from tests.evaluation.builders import rows_matrix

from marketloop.core.errors import UsageError
from marketloop.models.thinning import cut_tail, thin


def test_every_fifth_session_counted_back_from_the_newest_is_kept_whole() -> None:
    matrix = rows_matrix(np.repeat(np.arange(100, 123), 3), np.tile(np.arange(3), 23), 1, 200)
    thinned = thin(matrix, 5)
    assert np.unique(thinned.session).tolist() == [102, 107, 112, 117, 122]
    assert len(thinned) == 15
    assert thin(matrix, 1) is matrix
    assert len(thin(matrix.take(slice(0, 0)), 5)) == 0


def test_thinning_rotates_from_one_training_to_the_next() -> None:
    matrix = rows_matrix(np.arange(30), np.zeros(30), 1, 200)
    kept = [set(thin(matrix.take(matrix.session <= newest), 5).session.tolist()) for newest in range(20, 25)]
    assert set().union(*kept) >= set(range(25))
    assert all(not a & b for i, a in enumerate(kept) for b in kept[i + 1 :])


def test_head_keeps_only_labels_known_before_the_tail_begins() -> None:
    matrix = rows_matrix(np.arange(100), np.zeros(100), 5, 200)
    head, tail = cut_tail(matrix, 0.2)
    assert tail.session.tolist() == list(range(80, 100))
    assert head.session.tolist() == list(range(75))
    assert head.known_on.max() < tail.session.min()


def test_history_too_short_to_part_has_an_empty_head() -> None:
    head, tail = cut_tail(rows_matrix(np.arange(3), np.zeros(3), 5, 200), 0.2)
    assert (len(head), len(tail)) == (0, 1)
    with pytest.raises(UsageError, match="no labelled rows to learn from"):
        cut_tail(rows_matrix(np.arange(3), np.zeros(3), 5, 200).take(slice(0, 0)), 0.2)
