"""Trees of scikit-learn as they grew: a random forest, or histogram gradient boosting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from sklearn.tree._criterion import MSE, Gini
from sklearn.tree._splitter import BestSplitter
from sklearn.tree._tree import DepthFirstTreeBuilder, Tree

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
MOST_SEEDS: Final = np.iinfo(np.int32).max


def grow_forest(train: Matrix, params: Mapping[str, Any], seed: int, threads: int) -> Grown:
    """Grow a random forest (Breiman 2001), each tree on `row_share` of the rows, `max_rows` at most, with replacement.

    Labels overlap, so most rows repeat what others say: a small share makes the trees differ (Lopez de Prado 2018,
    section 4.5).
    """
    rows = thin(train, int(params["thin_by"]))
    settings = {
        "max_depth": int(params["max_depth"]),
        "min_samples_leaf": int(params["min_samples_leaf"]),
        "max_features": float(params["max_features"]),
        "random_state": seed,
    }
    count, drawn = int(params["n_estimators"]), round(float(params["row_share"]) * len(rows))
    drawn = max(1, min(int(params["max_rows"]), drawn))
    present = _present(rows)
    if len(present) == 1:
        return _one_class(rows, present)
    if len(rows) < FEW_ROWS:
        grown = _small_forest(rows, settings, _weight(rows, params), count=count, drawn=drawn)
    else:
        forest = (RandomForestClassifier if rows.classes else RandomForestRegressor)(
            n_estimators=count, max_samples=drawn, n_jobs=threads, **settings
        )
        forest.fit(finite(rows.X), rows.label, sample_weight=_weight(rows, params))
        grown = [estimator.tree_ for estimator in forest.estimators_]
    trees = Trees.of([_of_forest(tree, count) for tree in grown], rows.X.shape[1])
    outputs = len(present) if present else 1
    return Grown((trees,), (0.0,) * outputs, present, margins=False, shares=_impurity_shares(grown))


def _small_forest(
    rows: Matrix, settings: Mapping[str, Any], weight: NDArray[np.float32], *, count: int, drawn: int
) -> list[Any]:
    """Grow the trees of a forest one by one: those of scikit-learn 1.9's, to the last bit.

    At some thousand rows its forest spends as long on copying, inspecting and checking the settings of each tree as on
    growing it, and keeps other threads waiting meanwhile: here the trees are handed to the same builder straight away.
    """
    X, y, classes = finite(rows.X), rows.label.astype(np.float64), 1
    if rows.classes:
        known, codes = np.unique(y, return_inverse=True)
        y, classes = codes.astype(np.float64), len(known)
    width = np.array([classes], dtype=np.intp)
    absent = np.isnan(X).any(axis=0)
    most, leaf = max(1, int(settings["max_features"] * X.shape[1])), settings["min_samples_leaf"]
    chance, share = _chance(settings["random_state"]), weight / np.sum(weight)
    grown = []
    for seed in [chance.randint(MOST_SEEDS) for _ in range(count)]:
        taken = _chance(seed).choice(len(rows), drawn, replace=True, p=share)
        times = np.bincount(taken, minlength=len(rows)).astype(np.float64)
        criterion = Gini(1, width) if rows.classes else MSE(1, len(rows))
        splitter = BestSplitter(criterion, most, leaf, 0.0, _chance(seed), None)
        builder = DepthFirstTreeBuilder(splitter, max(2, 2 * leaf), leaf, 0.0, settings["max_depth"], 0.0)
        tree = Tree(X.shape[1], width, 1)
        builder.build(tree, X, y[:, None], times, absent if absent.any() else None)
        grown.append(tree)
    return grown


def _chance(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)  # the generator of scikit-learn's trees


def _impurity_shares(trees: Sequence[Any]) -> tuple[float, ...]:
    """Return the mean importance of each feature over the trees that split at all, summing to 1."""
    told = [tree.compute_feature_importances() for tree in trees if tree.node_count > 1]
    if not told:
        return (0.0,) * int(trees[0].n_features)
    mean = np.mean(told, axis=0, dtype=np.float64)
    shares: Array = np.asarray(mean / np.sum(mean))
    return tuple(shares.tolist())


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
