"""A strongly shrunk direction learner: ridge on cross-sectional ranks, with honest class probabilities around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.models.thinning import cut_tail, thin

__all__ = ["RankRidge"]

Array = NDArray[np.float64]
MOST = 0.98
CLIP = 5.0
CHUNK = 16_384


@dataclass(slots=True)
class RankRidge:
    """Three-class learner whose direction is a ridge on ranks and whose magnitude is a ridge on levels.

    Within a session the names are ordered by ``s = ranks @ w``. How likely a move beyond the threshold is at all comes
    from a second linear model on standardised levels (`move`). The two meet in

        p_HOLD = 1 - move,   p_BUY - p_SELL = move * tanh((c + g * s) / move)

    so that the directional difference orders as ``s`` for all but saturated names, whatever their volatility, and the
    probabilities always form a distribution. ``g`` is read off a purged tail, where ``s`` is out of sample; if that
    tail shows no direction, g stays at its small floor: the order survives, the confidence does not.

    Parameters
    ----------
    penalty : float
        Ridge penalty as a multiple of the diagonal of the Gram matrix. At 1.5 a lone feature keeps 40 % of its
        least-squares coefficient.
    thin_by : int
        Sessions between the training rows of the magnitude model.
    tail : float
        Share of the newest sessions that sets ``c`` and ``g``.
    """

    penalty: float = 1.5
    thin_by: int = 5
    tail: float = 0.2
    names: tuple[str, ...] = ()
    weights: Array = field(default_factory=lambda: np.zeros(0))
    tilt: float = 0.0
    gain: float = 0.0
    centre: Array = field(default_factory=lambda: np.zeros(0))
    spread: Array = field(default_factory=lambda: np.ones(0))
    level_weights: Array = field(default_factory=lambda: np.zeros(0))
    link: tuple[float, float] = (0.0, 1.0)

    def fit(self, train: Matrix) -> Self:
        """Learn from `train`, whose `ranks` must be there and whose labels must be known."""
        ranks = _ranks(train)
        head, tail = cut_tail(train, self.tail)
        self.names = train.names
        total = _gram(ranks, train.target, train.weight)
        if len(head) and len(tail):
            early = _solve(*_gram(_ranks(head), head.target, head.weight), self.penalty)
            self.gain = _gain(_ranks(tail) @ early, tail)
        self.weights = _solve(*total, self.penalty)
        self.tilt = float(np.average(_direction(train.label), weights=train.weight))
        self._fit_magnitude(thin(train, self.thin_by))
        return self

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return (n, 3) probabilities of SELL, HOLD, BUY."""
        rows = rows.select(self.names)
        score = _row_by_row(_ranks(rows), self.weights)
        index = _row_by_row(self._standardise(rows.X), self.level_weights)
        intercept, slope = self.link
        move = np.clip(1 / (1 + np.exp(-np.clip(intercept + slope * index, -30, 30))), 1 - MOST, MOST)
        difference = move * np.tanh((self.tilt + self.gain * score) / move)
        return np.column_stack([(move - difference) / 2, 1 - move, (move + difference) / 2])

    def importance(self) -> dict[str, float]:
        """Return the share of each feature in the absolute direction weights."""
        size = np.abs(self.weights)
        total = size.sum()
        return {name: float(w / total) if total > 0 else 0.0 for name, w in zip(self.names, size, strict=True)}

    def contributions(self, rows: Matrix) -> NDArray[np.float64]:
        """Return rank times weight, (n, k): ranks are centred, so these are the SHAP values of the linear score."""
        return _ranks(rows.select(self.names)).astype(np.float64) * self.weights

    def parts(self) -> dict[str, bytes]:
        """Return ``ridge.json``: plain numbers, written so that they read back to the last bit."""
        document = {
            "kind": "rank_ridge",
            "penalty": self.penalty,
            "thin_by": self.thin_by,
            "tail": self.tail,
            "names": list(self.names),
            "weights": self.weights.tolist(),
            "tilt": self.tilt,
            "gain": self.gain,
            "centre": self.centre.tolist(),
            "spread": self.spread.tolist(),
            "level_weights": self.level_weights.tolist(),
            "link": list(self.link),
        }
        return {"ridge.json": json.dumps(document, allow_nan=False).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> RankRidge:
        """Rebuild the learner from `parts`; anything but a rank ridge raises `FailedError`."""
        try:
            document: dict[str, Any] = json.loads(parts["ridge.json"])
            if document.pop("kind") != "rank_ridge":
                raise KeyError("kind")
            for name in ("weights", "centre", "spread", "level_weights"):
                document[name] = np.asarray(document[name], dtype=np.float64)
            document["names"] = tuple(document["names"])
            intercept, slope = document["link"]
            document["link"] = (float(intercept), float(slope))
            return cls(**document)
        except (KeyError, TypeError, ValueError) as error:
            raise FailedError(
                f"ridge.json is not a rank ridge ({type(error).__name__}: {error}): the artefact is damaged; roll back"
            ) from error

    def _fit_magnitude(self, train: Matrix) -> None:
        with np.errstate(invalid="ignore"):
            known = np.isfinite(train.X)
            count = np.maximum(known.sum(axis=0), 1)
            values = np.where(known, train.X, 0.0).astype(np.float64)
            self.centre = values.sum(axis=0) / count
            variance = np.where(known, (values - self.centre) ** 2, 0.0).sum(axis=0) / count
        self.spread = np.where(variance > 0, np.sqrt(variance), 1.0)
        moved = (train.label != 1).astype(np.float64)
        share = np.clip(moved.mean(), 1 - MOST, MOST)
        levels = self._standardise(train.X)
        self.level_weights = _solve(*_gram(levels, moved - share, train.weight), 0.1)
        self.link = _logistic(levels @ self.level_weights, moved)

    def _standardise(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        levels = (X - self.centre.astype(np.float32)) / self.spread.astype(np.float32)
        return np.clip(np.nan_to_num(levels, nan=0.0, posinf=CLIP, neginf=-CLIP), -CLIP, CLIP)


def _ranks(rows: Matrix) -> NDArray[np.float32]:
    if rows.ranks is None:
        raise FailedError("the rank ridge needs rows with ranks: call dataset.with_ranks(matrix) first")
    return rows.ranks


def _row_by_row(X: NDArray[np.float32], weights: Array) -> Array:
    """Return ``X @ weights`` with a sum per row that does not depend, to the last bit, on how many rows come along."""
    product: Array = np.einsum("ij,j->i", np.ascontiguousarray(X, dtype=np.float64), weights)
    return product


def _direction(label: NDArray[np.float32]) -> Array:
    return label.astype(np.float64) - 1.0


def _gram(X: NDArray[np.float32], y: NDArray[Any], weight: NDArray[np.float32]) -> tuple[Array, Array]:
    """Return ``X' W X`` and ``X' W y``, summed over chunks that stay in the cache of the processor."""
    columns = X.shape[1]
    gram, moment = np.zeros((columns, columns)), np.zeros(columns)
    weight = weight * np.isfinite(y)  # a row whose target is unknown teaches nothing, not zero
    target = np.nan_to_num(y).astype(np.float32)
    for start in range(0, len(X), CHUNK):
        rows = slice(start, start + CHUNK)
        weighted = X[rows] * weight[rows, None]
        gram += weighted.T @ X[rows]
        moment += weighted.T @ target[rows]
    return gram, moment


def _solve(gram: Array, moment: Array, penalty: float) -> Array:
    diagonal = np.diag(gram)
    active = diagonal > 1e-9 * max(float(diagonal.max(initial=0.0)), 1e-12)
    weights = np.zeros(len(moment))
    if active.any():
        inner = gram[np.ix_(active, active)]
        weights[active] = np.linalg.solve(inner + penalty * np.diag(np.diag(inner)), moment[active])
    return weights


def _gain(score: Array, tail: Matrix) -> float:
    """Return the slope of the class difference on the score, floored: the order survives, the confidence does not."""
    spread = float(score.std())
    if spread == 0:
        return 0.0
    centred = score - score.mean()
    slope = float(np.dot(centred, _direction(tail.label)) / np.dot(centred, centred))
    return max(slope, 0.01 / spread)


def _logistic(index: Array, moved: Array) -> tuple[float, float]:
    """Fit intercept and slope of a logistic curve by Newton's method with a weak ridge."""
    design = np.column_stack([np.ones(len(index)), index])
    beta = np.array([np.log(np.clip(moved.mean(), 0.02, 0.98) / (1 - np.clip(moved.mean(), 0.02, 0.98))), 0.0])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        curvature = (design * (p * (1 - p))[:, None]).T @ design + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, design.T @ (moved - p) - 1e-3 * beta)
        beta = beta + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-9:
            break
    return float(beta[0]), float(beta[1])
