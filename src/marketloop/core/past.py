"""The rows that came before a row: what a learner of sequences reads besides the row itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Past"]

Whole = NDArray[np.integer[Any]]
APART = 2**32
"""Distance between the keys of two tickers: more than there are session numbers."""


@dataclass(frozen=True, slots=True)
class Past:
    """Every row of a data version, shared by all matrices that were taken from it; nothing is copied per row.

    A row finds its past by its ticker and session, so rows may be left out, repeated or shuffled and each keeps its
    own. Only rows of the same ticker and of *earlier* sessions are found; the row itself is not among them.

    Parameters
    ----------
    X : float32 (m, k)
    session, ticker : int32 (m,), int32 (m,)
    columns : int (k',), optional
        Columns of `X` that are the features of the matrix, in order, -1 for a feature that nothing feeds; None for all
        as they stand.
    """

    X: NDArray[np.float32]
    session: NDArray[np.int32]
    ticker: NDArray[np.int32]
    columns: NDArray[np.intp] | None = None

    def before(self, session: NDArray[np.int32], ticker: NDArray[np.int32], steps: int) -> NDArray[np.int32]:
        """Return the positions in `X` of the `steps` rows before each row, the oldest first.

        Where there are fewer, the oldest stands for those before it; where there are none, every position is -1.

        Returns
        -------
        int32 (n, steps)

        Examples
        --------
        >>> past = Past(np.zeros((4, 1), np.float32), np.int32([1, 1, 2, 3]), np.int32([0, 1, 0, 0]))
        >>> past.before(np.int32([3, 9, 1]), np.int32([0, 0, 0]), 2).tolist()
        [[0, 2], [2, 3], [-1, -1]]
        """
        order = np.lexsort((self.session, self.ticker)).astype(np.int32)
        keys = _keys(self.session[order], self.ticker[order])
        end = np.searchsorted(keys, _keys(session, ticker))
        first = np.searchsorted(keys, ticker.astype(np.int64) * APART - APART // 2)
        place = np.maximum(end[:, None] - np.arange(steps, 0, -1), first[:, None])
        lone = first == end
        place[lone] = 0
        at: NDArray[np.int32] = order[place] if len(order) else place.astype(np.int32)
        at[lone] = -1
        return at

    def rows(self, at: Whole) -> NDArray[np.float32]:
        """Return the features of the rows at the positions `at`: its shape and then (k',)."""
        if self.columns is None:
            return self.X[at]
        rows = self.X[at[..., None], self.columns]
        rows[..., self.columns < 0] = np.nan
        return rows

    def select(self, at: NDArray[np.intp]) -> Past:
        """Return the past of the features at the places `at` of those of now, -1 where one is absent."""
        if self.columns is None:
            return replace(self, columns=at)
        return replace(self, columns=np.where(at >= 0, self.columns[at], -1))

    def around(self, session: NDArray[np.int32], ticker: NDArray[np.int32]) -> Past:
        """Return a copy that holds what rows of these sessions and tickers may find, and nothing later."""
        newest = session.max() if len(session) else np.iinfo(np.int32).min
        held = (self.session <= newest) & np.isin(self.ticker, ticker)
        return replace(self, X=self.X[held], session=self.session[held], ticker=self.ticker[held])


def _keys(session: Whole, ticker: Whole) -> NDArray[np.int64]:
    keys: NDArray[np.int64] = ticker.astype(np.int64) * APART + session.astype(np.int64)
    return keys
