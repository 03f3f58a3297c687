"""Sample weights: less for labels that overlap others, less for labels that are old."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError

__all__ = ["average_uniqueness", "recency_weights", "uniqueness_weights"]

Ints = NDArray[np.integer]


def average_uniqueness(start: Ints, end: Ints, group: Ints) -> NDArray[np.float64]:
    """Return the average uniqueness of each label, above 0 up to 1.

    Parameters
    ----------
    start, end : int (n,)
        A label covers the returns of sessions ``start + 1 .. end``.
    group : int (n,)
        Labels overlap only within a group (the ticker).

    Notes
    -----
    Uniqueness is the mean over the covered sessions of one over the number of labels that cover it
    (Lopez de Prado 2018, *Advances in Financial Machine Learning*, ch. 4).
    """
    weight = np.ones(len(start))
    if len(start) == 0:
        return weight
    if (end <= start).any():
        raise UsageError("a label must end after it starts; found one whose end is not after its start")
    order = np.lexsort((start, group))
    edges = np.flatnonzero(np.diff(group[order])) + 1
    for rows in np.split(order, edges):
        first = int(start[rows].min())
        length = int(end[rows].max()) - first
        change = np.zeros(length + 1)
        np.add.at(change, start[rows] - first, 1.0)
        np.add.at(change, end[rows] - first, -1.0)
        cover = np.cumsum(change)[:-1]
        inverse = np.concatenate([[0.0], np.cumsum(1.0 / np.maximum(cover, 1.0))])
        weight[rows] = (inverse[end[rows] - first] - inverse[start[rows] - first]) / (end[rows] - start[rows])
    return weight


def uniqueness_weights(start: Ints, end: Ints, group: Ints) -> NDArray[np.float64]:
    """Return `average_uniqueness` scaled to mean 1; the scale depends on all labels given."""
    weight = average_uniqueness(start, end, group)
    return weight / weight.mean() if len(weight) else weight


def recency_weights(session: Ints, half_life: float) -> NDArray[np.float64]:
    """Return weights that halve every `half_life` sessions back from the newest, scaled to mean 1."""
    if not half_life > 0:
        raise UsageError(f"half-life {half_life}: expected a positive number of sessions")
    if len(session) == 0:
        return np.ones(0)
    weight = 0.5 ** ((int(session.max()) - session) / half_life)
    scaled: NDArray[np.float64] = weight / weight.mean()
    return scaled
