"""Who trains on what, when: the one place where rows are divided between learning and being examined.

Sessions are divided, never rows: all tickers of a session stay on one side. A row may be learned from only when its
label was known *before* the first examined session (`known_on`, not the row's own session, decides):

    rows          t . . . . t+h
    label known             ^ known_on
    train   only if known_on < first session examined - embargo
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.core.values import BoolArray, Matrix

__all__ = ["Fold", "Holdout", "PurgedWalkForward", "known_before", "purged_complement", "walk_forward"]


@dataclass(frozen=True, slots=True)
class Fold:
    """One examination: learn from `train`, be examined on `test`.

    `number` is ``first session // length``: it names the same sessions however long the history is.
    """

    number: int
    start: int
    train: BoolArray
    test: BoolArray


def known_before(matrix: Matrix, session: int, *, embargo: int = 0) -> BoolArray:
    """Return the rows whose label was known at the close of the session before `session`, less an embargo."""
    return matrix.known_on < session - embargo


def walk_forward(matrix: Matrix, length: int, *, embargo: int = 0) -> Iterator[Fold]:
    """Cut the sessions into blocks of `length`, anchored to the calendar, each examined by what came before it.

    Parameters
    ----------
    matrix : Matrix
    length : int
        Sessions per block; a session belongs to block ``session // length``.
    embargo : int
        Further sessions left out between the last label known and the block.

    Yields
    ------
    Fold
        In order of time. Blocks with nothing to learn from are yielded too, with an empty `train`: how much history
        is enough is the caller's question.
    """
    if length < 1:
        raise UsageError(f"block length {length}: expected at least 1 session")
    block = matrix.session // length
    for number in np.unique(block).tolist():
        start = number * length
        yield Fold(number, start, known_before(matrix, start, embargo=embargo), block == number)


def purged_complement(matrix: Matrix, first: int, last: int, *, embargo: int = 0) -> BoolArray:
    """Return the rows that share no session with the examined range, for splits that also train on what came later.

    Out go rows inside ``first..last``, rows before it whose label was not known before `first`, and rows after it
    whose session lies within `embargo` of `last`. A row after the range starts after it, but labels *inside* the range
    reach `h` sessions beyond `last`; choose an embargo of at least the label horizon to part these too.
    """
    before = matrix.known_on < first
    after = matrix.session > last + embargo
    return before | after


@dataclass(frozen=True, slots=True)
class Holdout:
    """Oldest to newest: train, validation, test; every label of a part is known before the next part begins."""

    train: BoolArray
    validation: BoolArray
    test: BoolArray

    @classmethod
    def of(cls, matrix: Matrix, shares: tuple[float, float] = (0.8, 0.1)) -> Holdout:
        """Divide the sessions by `shares` (train, validation; the rest is test) and purge at both edges."""
        if not (0 < shares[0] < 1 and 0 < shares[1] < 1 and sum(shares) < 1):
            raise UsageError(f"shares {shares}: expected two positive fractions that leave a rest for the test")
        labelled = np.isfinite(matrix.label)
        sessions = np.unique(matrix.session[labelled])
        if len(sessions) < 10:
            raise UsageError(f"{len(sessions)} labelled sessions: expected at least 10 to divide into three parts")
        first_validation = sessions[int(len(sessions) * shares[0])]
        first_test = sessions[int(len(sessions) * (shares[0] + shares[1]))]
        return cls(
            train=labelled & (matrix.known_on < first_validation),
            validation=labelled & (matrix.session >= first_validation) & (matrix.known_on < first_test),
            test=labelled & (matrix.session >= first_test),
        )


@dataclass(frozen=True, slots=True)
class PurgedWalkForward:
    """The walk-forward in scikit-learn's manner: `split` yields index pairs.

    Parameters
    ----------
    length : int
        Sessions per examined block.
    least : int
        Sessions of training below which a block is passed over.
    embargo : int
        Further sessions left out before each block.
    """

    length: int = 63
    least: int = 125
    embargo: int = 0

    def split(self, matrix: Matrix) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield (train, test) row positions, in order of time; test rows have known labels."""
        labelled = np.isfinite(matrix.label)
        for fold in walk_forward(matrix, self.length, embargo=self.embargo):
            test = fold.test & labelled
            if len(np.unique(matrix.session[fold.train])) >= self.least and test.any():
                yield np.flatnonzero(fold.train), np.flatnonzero(test)
