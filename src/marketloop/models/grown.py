"""Trees of scikit-learn as they grew: a random forest, or histogram gradient boosting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from marketloop.core.values import Matrix
from marketloop.models.thinning import cut_tail, thin
from marketloop.models.trees import Trees
from marketloop.models.weights import balanced_weight

__all__ = ["GROW", "Grown"]

Array = NDArray[np.float64]
LEAST_LEAVES = 20
"""A leaf of boosting may hold at most one part in so many of the rows, else small data would grow no tree at all."""


@dataclass(frozen=True, slots=True)
class Grown:
    """Fitted trees and how their answers are read.

    Parameters
    ----------
    groups : tuple of Trees
        One for a forest, and for a value; one per margin for boosted classes.
    base : tuple of floats
        What is added to the sum of each group, per output.
    present : codes of the classes that occurred in training, in order; empty for a value
    margins : bool
        Whether the sums are margins, of which a softmax makes probabilities; else they are the answer.
    shares : tuple of floats
        Importance of each feature, not yet summing to 1.
    """

    groups: tuple[Trees, ...]
    base: tuple[float, ...]
    present: tuple[int, ...]
    margins: bool
    shares: tuple[float, ...]

    def output(self, X: NDArray[np.float32], classes: int) -> Array:
        """Return (n, classes) probabilities, 0 for classes that never occurred, or (n,) values."""
        sums = np.hstack([trees.total(X) for trees in self.groups]) if self.groups else np.zeros((len(X), 1))
        sums = sums + np.array(self.base)
        if not classes:
            return np.ascontiguousarray(sums[:, 0])
        out = np.zeros((len(X), classes))
        out[:, list(self.present)] = _softmax(sums) if self.margins else sums / sums.sum(axis=1, keepdims=True)
        return out

    def contributions(self, X: NDArray[np.float32], classes: int) -> Array:
        """Return (n, k): what each feature adds to the value, or to the last class less the first."""
        out = np.zeros(X.shape)
        if not self.groups:
            return out
        code = np.array(self.present)
        sign = (code == classes - 1).astype(float) - (code == 0) if classes else np.ones(1)
        if len(self.groups) == 1:  # a forest answers with all classes at once
            direction = sign if self.groups[0].value.shape[1] == len(sign) else np.array([sign[-1] - sign[0]]) / 2
            return self.groups[0].contributions(X, direction)
        for weight, trees in zip(sign, self.groups, strict=True):
            out += trees.contributions(X, np.array([weight])) if weight else 0.0
        return out


FEW_ROWS: Final = 8_000
"""Rows below which a forest is grown by one thread: two took 1.1 to 1.8 times its time at 1,000 to 3,000 rows."""


def grow_forest(train: Matrix, params: Mapping[str, Any], seed: int, threads: int) -> Grown:
    """Grow a random forest (Breiman 2001), each tree on `row_share` of the rows, `max_rows` at most, with replacement.

    Labels overlap, so most rows repeat what others say: a small share makes the trees differ (Lopez de Prado 2018,
    section 4.5).
    """
    rows = thin(train, int(params["thin_by"]))
    count = int(params["n_estimators"])
    settings = {
        "n_estimators": count,
        "max_depth": int(params["max_depth"]),
        "min_samples_leaf": int(params["min_samples_leaf"]),
        "max_features": float(params["max_features"]),
        "max_samples": max(1, min(int(params["max_rows"]), round(float(params["row_share"]) * len(rows)))),
        "n_jobs": threads if len(rows) >= FEW_ROWS else 1,
        "random_state": seed,
    }
    present = _present(rows)
    if len(present) == 1:
        return _one_class(rows, present)
    forest = (RandomForestClassifier if rows.classes else RandomForestRegressor)(**settings)
    forest.fit(finite(rows.X), rows.label, sample_weight=_weight(rows, params))
    trees = [_of_forest(estimator.tree_, count) for estimator in forest.estimators_]
    outputs = len(present) if present else 1
    shares = tuple(forest.feature_importances_.tolist())
    return Grown((Trees.of(trees, rows.X.shape[1]),), (0.0,) * outputs, present, margins=False, shares=shares)


def grow_boosting(train: Matrix, params: Mapping[str, Any], seed: int, threads: int) -> Grown:
    """Grow histogram gradient boosting; the number of rounds is the best one on a purged tail."""
    del threads  # scikit-learn takes them from the environment
    rows = thin(train, int(params["thin_by"]))
    present = _present(rows)
    if len(present) == 1:
        return _one_class(rows, present)
    rounds = _best_rounds(rows, params, seed)
    model = _boosting(rows, params, seed, rounds=rounds, watch=False)
    model.fit(_somewhere_known(rows.X), rows.label, sample_weight=_weight(rows, params))
    rows_of_trees = list(zip(*model._predictors, strict=True))  # noqa: SLF001 (a round holds one tree per margin)
    groups = tuple(Trees.of([_of_boosting(t.nodes) for t in column], rows.X.shape[1]) for column in rows_of_trees)
    base = tuple(np.ravel(model._baseline_prediction).tolist())  # noqa: SLF001
    shares = np.zeros(rows.X.shape[1])
    for column in rows_of_trees:
        for tree in column:
            split = tree.nodes["is_leaf"] == 0
            np.add.at(shares, tree.nodes["feature_idx"][split], tree.nodes["gain"][split])
    return Grown(groups, base, present, margins=bool(present), shares=tuple(shares.tolist()))


GROW: Mapping[str, Callable[[Matrix, Mapping[str, Any], int, int], Grown]] = {
    "random_forest": grow_forest,
    "gradient_boosting": grow_boosting,
}
"""Ways to grow, by kind."""


def finite(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `X` with infinite levels missing, which scikit-learn would refuse."""
    infinite = np.isinf(X)
    return np.where(infinite, np.float32(np.nan), X) if infinite.any() else X


def _somewhere_known(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `X` with features that are missing throughout as a constant: nothing to bin, nothing to split on."""
    X = finite(X)
    absent = np.isnan(X).all(axis=0)
    return np.where(absent, np.float32(0), X) if absent.any() else X


def _present(rows: Matrix) -> tuple[int, ...]:
    return tuple(np.unique(rows.label.astype(int)).tolist()) if rows.classes else ()


def _one_class(rows: Matrix, present: tuple[int, ...]) -> Grown:
    return Grown((), (1.0,), present, margins=False, shares=(0.0,) * rows.X.shape[1])


def _weight(rows: Matrix, params: Mapping[str, Any]) -> NDArray[np.float32]:
    return balanced_weight(rows) if params["balanced"] and rows.classes else rows.weight


def _softmax(margins: Array) -> Array:
    if margins.shape[1] == 1:  # two classes share one margin
        margins = np.hstack([np.zeros_like(margins), margins])
    power = np.exp(margins - margins.max(axis=1, keepdims=True))
    out: Array = power / power.sum(axis=1, keepdims=True)
    return out


def _boosting(rows: Matrix, params: Mapping[str, Any], seed: int, *, rounds: int, watch: bool) -> Any:
    kind = HistGradientBoostingClassifier if rows.classes else HistGradientBoostingRegressor
    return kind(
        max_iter=rounds,
        learning_rate=float(params["learning_rate"]),
        max_leaf_nodes=int(params["max_leaf_nodes"]),
        min_samples_leaf=min(int(params["min_samples_leaf"]), max(1, len(rows) // LEAST_LEAVES)),
        l2_regularization=float(params["l2_regularization"]),
        max_features=float(params["max_features"]),
        max_bins=int(params["max_bins"]),
        early_stopping=watch,
        n_iter_no_change=max(int(params["early_stopping_rounds"]), 1),
        random_state=seed,
    )


def _best_rounds(rows: Matrix, params: Mapping[str, Any], seed: int) -> int:
    most = int(params["n_estimators"])
    head, tail = cut_tail(rows, float(params["tail"]))
    known = _present(head)
    if rows.classes:
        tail = tail.take(np.isin(tail.label, known))
    if int(params["early_stopping_rounds"]) <= 0 or len(head) < 2 or len(tail) == 0 or len(known) == 1:
        return most
    model = _boosting(head, params, seed, rounds=most, watch=True)
    model.fit(
        _somewhere_known(head.X),
        head.label,
        sample_weight=_weight(head, params),
        X_val=finite(tail.X),
        y_val=tail.label,
        sample_weight_val=tail.weight,
    )
    return max(int(np.argmax(model.validation_score_)), 1)


def _of_forest(tree: Any, count: int) -> dict[str, NDArray[Any]]:
    return {
        "left": tree.children_left,
        "right": tree.children_right,
        "feature": tree.feature,
        "threshold": tree.threshold,
        "missing_left": tree.missing_go_to_left,
        "value": tree.value[:, 0, :] / count,
    }


def _of_boosting(nodes: NDArray[Any]) -> dict[str, NDArray[Any]]:
    leaf = nodes["is_leaf"] == 1
    left = np.where(leaf, -1, nodes["left"].astype(int))
    right = np.where(leaf, -1, nodes["right"].astype(int))
    value = np.where(leaf, nodes["value"], 0.0)
    count = nodes["count"].astype(float)
    for at in np.flatnonzero(~leaf)[::-1]:  # children stand behind their parent
        value[at] = (value[left[at]] * count[left[at]] + value[right[at]] * count[right[at]]) / count[at]
    return {
        "left": left,
        "right": right,
        "feature": nodes["feature_idx"],
        "threshold": nodes["num_threshold"],
        "missing_left": nodes["missing_go_to_left"],
        "value": value[:, None],
    }
