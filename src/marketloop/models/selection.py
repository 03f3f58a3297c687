"""Feature selection as a fitted step: it sees the training rows of its fold and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_selection import RFECV, mutual_info_classif, mutual_info_regression
from sklearn.linear_model import Ridge

from marketloop.core.catalog import Explaining, Learner
from marketloop.core.errors import UsageError, unknown_name
from marketloop.core.values import Matrix
from marketloop.models.weights import informative

__all__ = ["SELECTIONS", "Selecting", "choose_features", "selecting"]

MOST_ROWS = 5_000
"""Rows that a selection looks at, drawn by whole sessions: its statistics cost far more than they gain from more."""
FOLDS = 3
LEAST = 5
Array = NDArray[np.float64]


@dataclass(slots=True)
class Selecting:
    """A learner that first chooses features from its training rows, then learns from these alone.

    Its parts are those of the inner learner, which remembers the names that it reads.
    """

    inner: Learner
    method: str
    k: int
    seed: int = 0
    names: tuple[str, ...] = ()

    def fit(self, train: Matrix) -> Self:
        """Choose and learn."""
        self.names = choose_features(train, self.method, k=self.k, seed=self.seed)
        self.inner.fit(train.select(self.names))
        return self

    def predict(self, rows: Matrix) -> Array:
        """Return what the inner learner says of the chosen features."""
        return self.inner.predict(rows.select(self.names))

    def importance(self) -> dict[str, float]:
        """Return the inner learner's shares; features that were not chosen are absent."""
        return self.inner.importance()

    def contributions(self, rows: Matrix) -> Array:
        """Return the inner learner's contributions (n, k), zero for features that were not chosen."""
        out = np.zeros((len(rows), len(rows.names)))
        if isinstance(self.inner, Explaining):
            out[:, [rows.names.index(name) for name in self.names]] = self.inner.contributions(rows.select(self.names))
        return out

    def parts(self) -> dict[str, bytes]:
        """Return the inner learner's parts."""
        return self.inner.parts()


def selecting(inner: Learner, params: Mapping[str, Any], seed: int) -> Learner:
    """Return a learner that selects features for `inner` as ``params["select"]`` and ``params["select_k"]`` say.

    Raises
    ------
    UsageError
        ``select`` is not among `SELECTIONS`, or ``select_k`` is below 1.
    """
    method, k = str(params["select"]), int(params["select_k"])
    if method not in SELECTIONS:
        raise unknown_name("selection", method, ["none", *SELECTIONS])
    if k < 1:
        raise UsageError(f"select_k = {k}: expected at least 1 feature")
    return Selecting(inner, method, k, seed)


def choose_features(train: Matrix, method: str, *, k: int, seed: int) -> tuple[str, ...]:
    """Return the features that `method` keeps, in the order of `train`; never none."""
    if method not in SELECTIONS:
        raise unknown_name("selection", method, SELECTIONS)
    rows = _drawn(train, seed)
    X = np.nan_to_num(rows.X, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
    keep = SELECTIONS[method](X, rows, k, seed)
    return tuple(name for name, kept in zip(train.names, keep, strict=True) if kept) or train.names[:1]


def _drawn(train: Matrix, seed: int) -> Matrix:
    if len(train) <= MOST_ROWS:
        return train
    sessions = np.unique(train.session)
    count = max(FOLDS * 2, len(sessions) * MOST_ROWS // len(train))
    chosen = np.random.default_rng(seed).choice(sessions, min(count, len(sessions)), replace=False)
    return train.take(np.isin(train.session, chosen))


def _k_best(X: Array, rows: Matrix, k: int, seed: int) -> NDArray[np.bool_]:
    """Keep the `k` features with the largest mutual information with the label (Kraskov et al. 2004)."""
    if rows.classes:
        value = mutual_info_classif(X, rows.label.astype(int), random_state=seed)
    else:
        value = mutual_info_regression(X, rows.label, random_state=seed)
    keep = np.zeros(X.shape[1], dtype=bool)
    keep[np.argsort(-value, kind="stable")[:k]] = True
    return keep


def _uncorrelated(X: Array, rows: Matrix, k: int, seed: int) -> NDArray[np.bool_]:
    """Keep a feature unless its correlation with one that is kept exceeds 0.9 in size; the earlier one stays."""
    del rows, k, seed
    spread = X.std(axis=0)
    scaled = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    size = np.abs(scaled.T @ scaled) / len(X)
    keep = np.zeros(X.shape[1], dtype=bool)
    for column in range(X.shape[1]):
        keep[column] = spread[column] > 0 and not (size[column, keep] > 0.9).any()
    return keep


def _recursive(X: Array, rows: Matrix, k: int, seed: int) -> NDArray[np.bool_]:
    """Eliminate recursively, judged by a ridge on purged folds in order of time (Guyon et al. 2002)."""
    del k, seed
    sessions = np.unique(rows.session)
    edges = [sessions[len(sessions) * (i + 1) // (FOLDS + 1)] for i in range(FOLDS)] + [sessions[-1] + 1]
    folds = [
        (np.flatnonzero(rows.known_on < start), np.flatnonzero((rows.session >= start) & (rows.session < stop)))
        for start, stop in pairwise(edges)
    ]
    folds = [(train, test) for train, test in folds if len(train) and len(test)]
    if len(folds) < 2 or X.shape[1] <= LEAST:
        return np.ones(X.shape[1], dtype=bool)
    spread = X.std(axis=0)
    scaled = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    search = RFECV(Ridge(alpha=len(X) * 0.1), step=0.15, cv=folds, min_features_to_select=LEAST)
    aim = rows.target if informative(rows.target) else rows.label
    keep: NDArray[np.bool_] = search.fit(scaled, np.nan_to_num(aim)).support_
    return keep


SELECTIONS: Mapping[str, Callable[[Array, Matrix, int, int], NDArray[np.bool_]]] = {
    "kbest": _k_best,
    "correlation": _uncorrelated,
    "rfecv": _recursive,
}
"""Selections by name."""
