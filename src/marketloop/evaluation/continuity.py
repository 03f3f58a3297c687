"""Whether a candidate orders the tickers as the model of its own stream does (GATE.md, 4)."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from marketloop.core.values import Matrix
from marketloop.evaluation.stream import Fitted, StreamSpec, grid_of
from marketloop.labels import Panel

__all__ = ["CONTINUITY_SESSIONS", "continuity"]

CONTINUITY_SESSIONS: Final = 20
Array = NDArray[np.float64]


def continuity(
    fitted: Fitted, scores: pl.DataFrame, matrix: Matrix, panel: Panel, *, spec: StreamSpec, session: int
) -> float | None:
    """Return the median rank correlation of the candidate's scores with the stream's over the last 20 sessions.

    Where a session is one row: the rank correlation over these sessions. None while the stream has said nothing, or
    where every score is the same.

    Parameters
    ----------
    scores : frame ``session, ticker, score, ...``
        Of the stream.
    session : int
        Newest session that is known; later rows of `matrix` and `scores` are not looked at.
    """
    first = session - CONTINUITY_SESSIONS + 1
    recent = matrix.take((matrix.session >= first) & (matrix.session <= session))
    if len(recent) == 0 or scores.is_empty():
        return None
    score = spec.family.score(fitted.learner.predict(recent.select(fitted.block.features)))
    names = pl.Series(recent.tickers).gather(recent.ticker)
    own = grid_of(pl.DataFrame({"session": recent.session, "ticker": names, "score": score}), panel)
    rows = slice(max(first - panel.first, 0), session - panel.first + 1)
    mine, theirs = own[rows], grid_of(scores, panel)[rows]
    if spec.family.unit == "session":
        return _rank_correlation(mine[:, 0], theirs[:, 0])
    found = (_rank_correlation(a, b) for a, b in zip(mine, theirs, strict=True))
    values = [value for value in found if value is not None]
    return float(np.median(values)) if values else None


def _rank_correlation(a: Array, b: Array) -> float | None:
    """Return Spearman's correlation of what both know; None below three values, or where all are the same."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return None
    return float(stats.spearmanr(a[both], b[both]).statistic)
