"""What somebody without skill would say of a regime: that it goes on as it was last seen to be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.labels import Panel

__all__ = ["persistence_baseline"]

Array = NDArray[np.float64]
BINS = 3


def persistence_baseline(train: Matrix, rows: Matrix, matrix: Matrix, panel: Panel, horizon: int) -> Array:
    """Return the class shares (n, classes) of `train` given what is known of each of `rows` without a model.

    Known of session t are the last *known* label, that of session ``t - horizon``, and the tercile, cut on training
    rows, of the trailing 20-session volatility; counts begin at 1 (GATE.md, 2). Beating the majority class would prove
    only that regimes persist.

    Parameters
    ----------
    train, rows : Matrix
        One row per session.
    matrix : Matrix
        All sessions, for the labels of the sessions before.
    """
    classes = len(matrix.classes)
    cuts = np.nanquantile(_volatility(train, panel), [1 / BINS, 2 / BINS])
    cells = (classes + 1, BINS)
    own = np.ravel_multi_index(_cell(train, matrix, panel, horizon, cuts), cells)
    count = np.ones((classes + 1) * BINS * classes)
    np.add.at(count, own * classes + train.label.astype(np.intp), 1.0)
    table = count.reshape(-1, classes)
    shares = table / table.sum(axis=1, keepdims=True)
    asked: Array = shares[np.ravel_multi_index(_cell(rows, matrix, panel, horizon, cuts), cells)]
    return asked


def _cell(
    rows: Matrix, matrix: Matrix, panel: Panel, horizon: int, cuts: Array
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the last known label (`classes` where there is none) and the volatility bin of each row."""
    place = np.searchsorted(matrix.session, rows.session - horizon)
    place = np.minimum(place, len(matrix) - 1)
    label = matrix.label[place]
    # A label may have been known later than its horizon says (a gap at the end): then it was not known here.
    known = (matrix.session[place] == rows.session - horizon) & np.isfinite(label)
    known &= matrix.known_on[place] <= rows.session
    last = np.where(known, np.nan_to_num(label), len(matrix.classes)).astype(np.intp)
    volatility = np.nan_to_num(_volatility(rows, panel), nan=float(cuts[0]))
    return last, np.searchsorted(cuts, volatility).astype(np.intp)


def _volatility(rows: Matrix, panel: Panel) -> Array:
    volatility: Array = panel.short_vol[panel.rows_of(rows.session), 0]
    return volatility
