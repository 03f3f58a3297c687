"""Features as ranks within their session: stateless, so nothing can leak from one session into another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from marketloop.core.values import Matrix

__all__ = ["session_ranks", "with_ranks"]

Array32 = NDArray[np.float32]


def with_ranks(matrix: Matrix) -> Matrix:
    """Return `matrix` with its `ranks` filled in."""
    if matrix.ranks is not None:
        return matrix
    ranks = session_ranks(matrix.X, matrix.session)
    ranks.flags.writeable = False
    return replace(matrix, ranks=ranks)


def session_ranks(X: Array32, session: NDArray[np.int32]) -> Array32:
    """Rank every column within every session.

    Parameters
    ----------
    X : float32 (n, k), sorted by session
    session : int32 (n,), ascending

    Returns
    -------
    float32 (n, k)
        ``average rank / (m - 1) - 0.5`` over the m known values, -0.5..0.5; 0 for missing and infinite values, for
        ties of all and for sessions with one value.
    """
    out = np.zeros_like(X)
    edges = np.flatnonzero(np.diff(session)) + 1
    for start, stop in zip([0, *edges], [*edges, len(session)], strict=True):
        out[start:stop] = _rank_block(X[start:stop])
    return out


def _rank_block(block: Array32) -> Array32:
    rows, columns = block.shape
    if rows < 2:
        return np.zeros_like(block)
    block = np.where(np.isfinite(block), block, np.float32(np.nan))
    order = np.argsort(block, axis=0)
    ordered = np.take_along_axis(block, order, axis=0)
    place = np.arange(rows, dtype=np.float32)[:, None]
    new = np.ones((rows + 1, columns), dtype=bool)
    new[1:-1] = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(new[:-1], place, -1.0), axis=0)
    last = np.minimum.accumulate(np.where(new[1:], place, np.float32(rows))[::-1], axis=0)[::-1]
    known = np.isfinite(ordered)
    count = known.sum(axis=0, dtype=np.float32)
    scaled = np.where(known, (first + last) / 2 / np.maximum(count - 1, 1) - 0.5, 0.0)
    scaled[:, count < 2] = 0.0
    ranks = np.empty_like(block)
    np.put_along_axis(ranks, order, scaled.astype(np.float32), axis=0)
    return ranks
