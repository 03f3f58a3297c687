"""Walk-forward in plain code: blocks anchored to the calendar, and the rows that each of them may learn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketloop.bench.zoo.linear import Floats, Say, State, learned, told
from marketloop.core.values import Matrix

__all__ = ["BLOCK", "Run", "Teach", "blocks", "known", "mixed", "walk"]

BLOCK: Final = 63
LEAST: Final = 3000
"""Known rows from which on a block is scored."""
Run = Callable[[Matrix], Floats]
Teach = Callable[[Matrix], State]
Rows = Callable[[Matrix, int], NDArray[np.bool_]]


def known(matrix: Matrix, start: int) -> NDArray[np.bool_]:
    """Return the rows whose labels were known before session `start`."""
    return np.isfinite(matrix.target) & (matrix.known_on < start)


def blocks(matrix: Matrix, length: int = BLOCK) -> list[tuple[int, NDArray[np.bool_]]]:
    """Return (first session, rows) of each block that enough known rows precede."""
    number = matrix.session // length
    parts = [(int(b) * length, number == b) for b in np.unique(number)]
    return [(start, rows) for start, rows in parts if known(matrix, start).sum() >= LEAST]


def walk(matrix: Matrix, teach: Teach = learned, say: Say = told, *, rows: Rows = known, length: int = BLOCK) -> Floats:
    """Score each block by what `teach` made of the rows that `rows` allows it."""
    scores = np.full(len(matrix), np.nan)
    for start, inside in blocks(matrix, length):
        scores[inside] = say(teach(matrix.take(rows(matrix, start))), matrix.take(inside))
    return scores


def mixed(share: float, other: Run) -> Run:
    """Return the honest walk with a share of another procedure's scores."""

    def run(matrix: Matrix) -> Floats:
        own, more = walk(matrix), other(matrix)
        return np.where(np.isfinite(own), own + share * np.nan_to_num(more), np.nan)

    return run
