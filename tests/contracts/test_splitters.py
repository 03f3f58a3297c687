"""What every way of dividing rows must keep: nothing of the examined sessions, or later, is learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluation.builders import rows_matrix

from marketloop.core.errors import UsageError
from marketloop.core.values import BoolArray, Matrix
from marketloop.evaluation import splits
from marketloop.evaluation.splits import Holdout, PurgedWalkForward, known_before, purged_complement, walk_forward

Pair = tuple[BoolArray, BoolArray]


def mask(matrix: Matrix, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> BoolArray:
    out = np.zeros(len(matrix), bool)
    out[rows] = True
    return out


def by_walk_forward(matrix: Matrix) -> Iterator[Pair]:
    for fold in walk_forward(matrix, 7):
        yield fold.train, fold.test


def by_purged_walk_forward(matrix: Matrix) -> Iterator[Pair]:
    for train, test in PurgedWalkForward(length=9, least=3).split(matrix):
        yield mask(matrix, train), mask(matrix, test)


def by_holdout(matrix: Matrix) -> Iterator[Pair]:
    parts = Holdout.of(matrix, (0.5, 0.25))
    yield parts.train, parts.validation
    yield parts.train | parts.validation, parts.test


def by_known_before(matrix: Matrix) -> Iterator[Pair]:
    for start in np.unique(matrix.session)[::5]:
        yield known_before(matrix, int(start)), matrix.session >= start


SPLITTERS: dict[str, Callable[[Matrix], Iterator[Pair]]] = {
    "Holdout": by_holdout,
    "PurgedWalkForward": by_purged_walk_forward,
    "known_before": by_known_before,
    "walk_forward": by_walk_forward,
}


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    """Sessions with gaps, tickers that miss some of them, a horizon of 1 to 8, an end that may cut labels off."""
    first = draw(st.integers(0, 300))
    length = draw(st.integers(30, 90))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    tickers = draw(st.integers(1, 4))
    session, ticker = np.meshgrid(np.arange(first, first + length), np.arange(tickers), indexing="ij")
    keep = rng.random(session.shape) < draw(st.sampled_from([1.0, 0.8]))
    keep[:, 0] = True
    horizon = draw(st.integers(1, 8))
    return rows_matrix(session[keep], ticker[keep], horizon, first + length - 1 - draw(st.integers(0, 4)))


def test_every_splitter_of_the_room_is_under_contract() -> None:
    assert set(splits.__all__) - {"Fold"} == {*SPLITTERS, "purged_complement"}
    assert len(SPLITTERS) >= 4


@pytest.mark.parametrize("splitter", sorted(SPLITTERS))
@given(matrix=matrices())
def test_labels_learned_from_are_known_before_the_first_examined_session(splitter: str, matrix: Matrix) -> None:
    for train, test in SPLITTERS[splitter](matrix):
        if test.any() and train.any():
            assert matrix.known_on[train].max() < matrix.session[test].min()


@pytest.mark.parametrize("splitter", sorted(SPLITTERS))
@given(matrix=matrices())
def test_rows_learned_from_have_a_label(splitter: str, matrix: Matrix) -> None:
    for train, _ in SPLITTERS[splitter](matrix):
        assert np.isfinite(matrix.label[train]).all()


@pytest.mark.parametrize("splitter", sorted(SPLITTERS))
@given(matrix=matrices())
def test_no_session_is_on_both_sides(splitter: str, matrix: Matrix) -> None:
    for train, test in SPLITTERS[splitter](matrix):
        assert not set(matrix.session[train].tolist()) & set(matrix.session[test].tolist())


@given(matrix=matrices(), length=st.integers(1, 30))
def test_walk_forward_examines_every_row_once_and_whole_sessions(matrix: Matrix, length: int) -> None:
    folds = list(walk_forward(matrix, length))
    assert np.array_equal(sum(fold.test.astype(int) for fold in folds), np.ones(len(matrix), int))
    for fold in folds:
        inside = (matrix.session >= fold.start) & (matrix.session < fold.start + length)
        np.testing.assert_array_equal(fold.test, inside)
    assert [fold.number for fold in folds] == sorted(fold.number for fold in folds)


@given(matrix=matrices(), length=st.integers(1, 30), embargo=st.integers(0, 10))
def test_embargo_leaves_out_that_many_sessions_more(matrix: Matrix, length: int, embargo: int) -> None:
    for fold in walk_forward(matrix, length, embargo=embargo):
        np.testing.assert_array_equal(fold.train, matrix.known_on < fold.start - embargo)
    for train, test in PurgedWalkForward(length=length, least=1, embargo=embargo).split(matrix):
        block = matrix.session[test].min() // length * length
        assert matrix.known_on[train].max() < block - embargo


@given(matrix=matrices(), length=st.integers(1, 30), cut=st.integers(5, 60))
def test_later_sessions_change_no_earlier_block(matrix: Matrix, length: int, cut: int) -> None:
    end = int(matrix.session[0]) + cut
    short = matrix.take(matrix.session < end)
    long = {fold.number: fold for fold in walk_forward(matrix, length)}
    for fold in walk_forward(short, length):
        later = long[fold.number]
        assert later.start == fold.start
        np.testing.assert_array_equal(later.train[: len(short)], fold.train)
        assert not later.train[len(short) :].any() or matrix.known_on[len(short) :].min() < fold.start
        if fold.start + length <= end:  # complete blocks stay what they were
            np.testing.assert_array_equal(later.test[: len(short)], fold.test)
            assert not later.test[len(short) :].any()


@given(matrix=matrices(), length=st.integers(1, 30), dropped=st.integers(1, 25))
def test_dropping_early_sessions_moves_no_block(matrix: Matrix, length: int, dropped: int) -> None:
    start = int(matrix.session[0]) + dropped
    rest = matrix.take(matrix.session >= start)
    whole = {fold.number: fold for fold in walk_forward(matrix, length)}
    for fold in walk_forward(rest, length):
        assert fold.start == whole[fold.number].start
        if fold.start >= start:
            np.testing.assert_array_equal(rest.session[fold.test], matrix.session[whole[fold.number].test])


@given(matrix=matrices(), length=st.integers(1, 40), least=st.integers(1, 40))
def test_purged_walk_forward_passes_over_blocks_with_too_little_to_learn_from(
    matrix: Matrix, length: int, least: int
) -> None:
    for train, test in PurgedWalkForward(length=length, least=least).split(matrix):
        assert len(np.unique(matrix.session[train])) >= least
        assert np.isfinite(matrix.label[test]).all()


@given(matrix=matrices(), at=st.floats(0.1, 0.8), width=st.integers(1, 20), extra=st.integers(0, 5))
def test_complement_with_an_embargo_of_the_horizon_shares_no_return_with_the_examined_labels(
    matrix: Matrix, at: float, width: int, extra: int
) -> None:
    known = np.isfinite(matrix.label)
    horizon = int((matrix.known_on[known] - matrix.session[known]).max())
    first = int(np.quantile(matrix.session, at))
    last = first + width - 1
    train = purged_complement(matrix, first, last, embargo=horizon + extra) & known
    before = train & (matrix.session < first)
    after = train & (matrix.session > last)
    assert not (train & (matrix.session >= first) & (matrix.session <= last)).any()
    assert (matrix.known_on[before] < first).all()  # labels before reach no examined session
    assert (matrix.session[after] > last + horizon + extra).all()  # examined labels reach no row after


def test_block_length_and_shares_that_make_no_sense_are_refused() -> None:
    matrix = rows_matrix(np.arange(30), np.zeros(30), 1, 29)
    with pytest.raises(UsageError, match="block length 0: expected at least 1 session"):
        list(walk_forward(matrix, 0))
    for shares in ((0.8, 0.2), (0.0, 0.5), (0.9, 0.3)):
        with pytest.raises(UsageError, match="two positive fractions"):
            Holdout.of(matrix, shares)
    with pytest.raises(UsageError, match="9 labelled sessions: expected at least 10"):
        Holdout.of(rows_matrix(np.arange(10), np.zeros(10), 1, 9))


def test_holdout_divides_eighty_ten_ten_from_oldest_to_newest() -> None:
    matrix = rows_matrix(np.arange(105), np.zeros(105), 5, 104)  # 100 labelled sessions
    parts = Holdout.of(matrix)
    assert matrix.session[parts.train].tolist() == list(range(75))  # labels of 75..79 are known from session 80 on
    assert matrix.session[parts.validation].tolist() == list(range(80, 85))
    assert matrix.session[parts.test].tolist() == list(range(90, 100))
