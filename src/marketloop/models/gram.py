"""Sums of products over rows, and the ridge that solves them; what was summed of a prefix is not summed again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.models.reuse import Kept

__all__ = ["gram_sums", "ridge_weights"]

Array = NDArray[np.float64]
CHUNK = 16_384
MOST_PREFIXES = 64


def gram_sums(X: NDArray[np.float32], y: NDArray[Any], weight: NDArray[np.float32]) -> tuple[Array, Array]:
    """Return ``X' W X`` (k, k) and ``X' W y`` (k,); a row whose `y` is unknown teaches nothing, not zero.

    The rows of an expanding walk-forward begin with those of the block before, and every penalty of a grid sees the
    same rows: sums over their first chunks are kept while the arrays live (see `Kept`), and give the same bits.
    """
    return _KEPT.get((X, y, weight), "gram", _Prefixes).sums(X, y, weight)


def ridge_weights(gram: Array, moment: Array, penalty: float) -> Array:
    """Solve the ridge whose penalty is a multiple of the Gram matrix's diagonal; columns without spread weigh 0."""
    diagonal = np.diag(gram)
    active = diagonal > 1e-9 * max(float(diagonal.max(initial=0.0)), 1e-12)
    weights = np.zeros(len(moment))
    if active.any():
        inner = gram[np.ix_(active, active)]
        weights[active] = np.linalg.solve(inner + penalty * np.diag(np.diag(inner)), moment[active])
    return weights


class _Prefixes:
    """Sums over the first so many chunks of some rows, at most `MOST_PREFIXES` of them, evenly spread."""

    def __init__(self) -> None:
        self.step = 1
        self.after: dict[int, tuple[Array, Array]] = {}

    def sums(self, X: NDArray[np.float32], y: NDArray[Any], weight: NDArray[np.float32]) -> tuple[Array, Array]:
        whole = len(X) // CHUNK
        begin = max((count for count in self.after if count <= whole), default=0)
        columns = X.shape[1]
        before = self.after.get(begin, (np.zeros((columns, columns)), np.zeros(columns)))
        gram, moment = before[0].copy(), before[1].copy()
        for start in range(begin * CHUNK, len(X), CHUNK):  # chunks stay in the cache of the processor
            rows = slice(start, start + CHUNK)
            weighted = X[rows] * (weight[rows] * np.isfinite(y[rows]))[:, None]
            gram += weighted.T @ X[rows]
            moment += weighted.T @ np.nan_to_num(y[rows]).astype(np.float32)
            self._keep(start // CHUNK + 1, whole, gram, moment)
        return gram, moment

    def _keep(self, count: int, whole: int, gram: Array, moment: Array) -> None:
        if count > whole or count % self.step:
            return
        self.after[count] = (gram.copy(), moment.copy())
        if len(self.after) > MOST_PREFIXES:
            self.step *= 2
            self.after = {count: sums for count, sums in self.after.items() if count % self.step == 0}


_KEPT = Kept()
