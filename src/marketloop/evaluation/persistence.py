"""What somebody without skill would say of a regime: that it goes on as it was last seen, at today's volatility."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.labels import Panel

__all__ = ["persistence_baseline"]

Array = NDArray[np.float64]
BINS = 3
SHRINKAGE = 1.0
"""Penalty on the slopes of the volatility curve, as so many observations' worth of curvature."""
STEPS = 20


def persistence_baseline(train: Matrix, rows: Matrix, matrix: Matrix, panel: Panel, horizon: int) -> Array:
    """Return the class shares (n, classes) that follow from what is known of each of `rows` without a model.

    Known of session t are the last *known* label, that of session ``t - horizon``, and the trailing 20-session
    volatility. The answer is the even mixture of two readings of the training rows: the shares given the label and the
    tercile of volatility, counts beginning at 1 (GATE.md, 2), and a multinomial logistic curve over the logarithm of
    the volatility. Beating the majority class would prove only that regimes persist; beating the shares alone, that
    volatility is finer than terciles (docs/adr/0009).

    In both a label counts for ``1 / horizon``: `horizon` neighbours tell of the same stretch.

    Parameters
    ----------
    train, rows : Matrix
        One row per session.
    matrix : Matrix
        All sessions, for the labels of the sessions before.
    """
    classes = len(matrix.classes)
    own, asked = _log_volatility(train, panel), _log_volatility(rows, panel)
    usual = float(np.nanmedian(own)) if np.isfinite(own).any() else 0.0
    own, asked = (np.where(np.isfinite(level), level, usual) for level in (own, asked))
    codes = train.label.astype(np.intp)
    cuts = np.quantile(own, [1 / BINS, 2 / BINS])
    cells = [
        _last_known(some, matrix, horizon) * BINS + np.searchsorted(cuts, level)
        for some, level in ((train, own), (rows, asked))
    ]
    count = np.ones(((classes + 1) * BINS, classes))
    np.add.at(count, (cells[0], codes), 1 / horizon)
    shares: Array = (count / count.sum(axis=1, keepdims=True))[cells[1]]
    return (shares + _volatility_curve(own, codes, asked, classes, 1 / horizon)) / 2


def _last_known(rows: Matrix, matrix: Matrix, horizon: int) -> NDArray[np.intp]:
    """Return the last known label of each row; the number of classes where there is none."""
    place = np.searchsorted(matrix.session, rows.session - horizon)
    place = np.minimum(place, len(matrix) - 1)
    label = matrix.label[place]
    # A label may have been known later than its horizon says (a gap at the end): then it was not known here.
    known = (matrix.session[place] == rows.session - horizon) & np.isfinite(label)
    known &= matrix.known_on[place] <= rows.session
    return np.where(known, np.nan_to_num(label), len(matrix.classes)).astype(np.intp)


def _log_volatility(rows: Matrix, panel: Panel) -> Array:
    volatility = panel.short_vol[panel.rows_of(rows.session), 0]
    logarithm: Array = np.log(np.maximum(volatility, 1e-6))
    return logarithm


def _volatility_curve(own: Array, codes: NDArray[np.intp], asked: Array, classes: int, weight: float) -> Array:
    """Fit class probabilities to a level by Newton's method and return them at `asked` (n, classes).

    Every class is counted once more at the mean level, so that none is impossible; the slopes are shrunk.
    """
    centre, spread = float(own.mean()), float(own.std()) or 1.0
    design = np.column_stack([np.ones(len(own)), (own - centre) / spread])
    wanted = weight * np.eye(classes)[codes]
    design = np.vstack([design, [1.0, 0.0]])
    wanted = np.vstack([wanted, np.ones(classes)])
    total = wanted.sum(axis=1)
    # The first class is the reference; the parameters of the others stand one after the other.
    beta = np.zeros((classes - 1, 2))
    penalty = np.tile([1e-9, SHRINKAGE], classes - 1)
    for _ in range(STEPS):
        p = _softmax(design @ beta.T)
        slope = ((wanted[:, 1:] - total[:, None] * p[:, 1:]).T @ design).ravel() - penalty * beta.ravel()
        spreads = p[:, 1:, None] * (np.eye(classes - 1) - p[:, None, 1:])
        curvature = np.einsum("n,nab,ni,nj->aibj", total, spreads, design, design, optimize=True)
        curvature = curvature.reshape(2 * (classes - 1), -1) + np.diag(penalty)
        step = np.clip(np.linalg.solve(curvature, slope), -2, 2)
        beta = beta + step.reshape(beta.shape)
        if np.abs(step).max() < 1e-10:
            break
    return _softmax(np.column_stack([np.ones(len(asked)), (asked - centre) / spread]) @ beta.T)


def _softmax(margins: Array) -> Array:
    """Return shares (n, k + 1) for margins (n, k) over a first class of margin 0."""
    full = np.column_stack([np.zeros(len(margins)), margins])
    power = np.exp(full - full.max(axis=1, keepdims=True))
    shares: Array = power / power.sum(axis=1, keepdims=True)
    return shares
