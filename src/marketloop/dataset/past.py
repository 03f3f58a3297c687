"""Rows that know the rows before them, in the same code for training and for inference."""

from __future__ import annotations

from dataclasses import replace

from marketloop.core.past import Past
from marketloop.core.values import Matrix

__all__ = ["with_past"]


def with_past(matrix: Matrix) -> Matrix:
    """Return `matrix` with its `past` filled in: its own rows, which every part taken of it goes on seeing.

    Call it on all rows, before any are left out: a row's past is what was there, not what is learned from. It copies
    nothing; positions are found when a learner asks for them.
    """
    return matrix if matrix.past is not None else replace(matrix, past=Past(matrix.X, matrix.session, matrix.ticker))
