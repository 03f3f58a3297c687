"""How much better a model is on rows that it learned from than its recipe was on the same rows before it saw them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.evaluation.matured import Matured, matured
from marketloop.evaluation.metrics import classifier_metrics, regression_metrics
from marketloop.evaluation.rank_ic import mean_rank_ic
from marketloop.evaluation.stream import Fitted, Stream, StreamSpec

__all__ = ["SEEN", "UNSEEN", "seen_and_unseen"]

SEEN, UNSEEN = "seen", "unseen"
MOST_ROWS = 60_000
"""Enough for every figure; more would only cost time."""
Array = NDArray[np.float64]


def seen_and_unseen(fitted: Fitted, stream: Stream, matrix: Matrix, spec: StreamSpec) -> dict[str, Any] | None:
    """Return the figures of `fitted` on rows of its training beside those of `stream` on the very same rows.

    The rows are the same, so neither the times nor the classes differ: what is lost from `seen` to `unseen` is what the
    model remembers and does not understand. At most 60,000 rows, whole sessions evenly spread.

    Returns
    -------
    mapping or None
        ``figures, baseline, rows``, each with ``seen`` and ``unseen``; None where no label of the stream is known.
    """
    unseen = matured(stream, matrix)
    if len(unseen) == 0:
        return None
    sessions = np.unique(unseen.session)
    step = max(1, -(-len(unseen) // MOST_ROWS))
    chosen = sessions[::-step][::-1]
    rows = matrix.take(np.isin(matrix.session, chosen) & np.isfinite(matrix.label))
    keep = np.isin(unseen.session, chosen)
    output = fitted.learner.predict(rows.select(fitted.block.features))
    ranked = spec.family.unit == "ticker"
    figures = {
        SEEN: _figures(rows.label.astype(np.float64), output, spec),
        UNSEEN: _figures(unseen.label[keep], _said(unseen, keep), spec),
    }
    if ranked:
        figures[SEEN]["rank_ic"] = mean_rank_ic(rows, spec.family.score(output))
        figures[UNSEEN]["rank_ic"] = _unseen_ic(rows, unseen, keep)
    usual = unseen.expected[keep] if unseen.baseline is None else unseen.baseline[keep]
    baseline = {**_figures(unseen.label[keep], usual, spec), **({"rank_ic": 0.0} if ranked else {})}
    return {
        "figures": {part: _plain(found) for part, found in figures.items()},
        "baseline": {SEEN: _plain(baseline), UNSEEN: _plain(baseline)},
        "rows": {SEEN: len(rows), UNSEEN: int(keep.sum())},
    }


def _said(rows: Matured, keep: NDArray[np.bool_]) -> Array:
    return rows.score[keep] if rows.probabilities is None else rows.probabilities[keep]


def _figures(truth: Array, output: Array, spec: StreamSpec) -> dict[str, float]:
    if spec.family.classes:
        return classifier_metrics(truth.astype(np.intp), output, spec.family.classes).figures()
    return regression_metrics(truth, output).figures()


def _unseen_ic(rows: Matrix, unseen: Matured, keep: NDArray[np.bool_]) -> float:
    """Return the mean rank IC of the stream's scores against the targets of the same rows."""
    count = len(rows.tickers)
    place = np.searchsorted(
        rows.session.astype(np.int64) * count + rows.ticker,
        unseen.session[keep].astype(np.int64) * count + unseen.ticker[keep],
    )
    score = np.full(len(rows), np.nan)
    score[place] = unseen.score[keep]
    return mean_rank_ic(rows, score)


def _plain(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}
