"""From a score that orders the names to what a family predicts: class probabilities around it, or values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.core.values import Matrix
from marketloop.models.gram import gram_sums, ridge_weights
from marketloop.models.logistic import logistic_fit
from marketloop.models.reuse import Kept
from marketloop.models.thinning import thin

__all__ = ["Magnitude", "Readout", "gain_of", "outcome", "read_out", "require_order", "row_by_row"]

Array = NDArray[np.float64]
MOST = 0.98
CLIP = 5.0
ORDERED = 3
_KEPT = Kept()


@dataclass(frozen=True, slots=True)
class Magnitude:
    """How likely a move beyond the threshold is at all: a logistic curve over a ridge on standardised levels.

    Parameters
    ----------
    centre, spread : float64 (k,)
        Mean and standard deviation of the levels in training.
    weights : float64 (k,)
    link : (intercept, slope)
        Of the logistic curve over ``levels @ weights``.
    """

    centre: Array
    spread: Array
    weights: Array
    link: tuple[float, float]

    @classmethod
    def of(cls, train: Matrix, thin_by: int) -> Magnitude:
        """Learn from every `thin_by`-th session of `train`; the same rows are not learned from twice."""
        arrays = (train.X, train.label, train.weight, train.session)
        return _KEPT.get(arrays, ("magnitude", len(train), thin_by), lambda: cls._learned(thin(train, thin_by)))

    @classmethod
    def _learned(cls, train: Matrix) -> Magnitude:
        with np.errstate(invalid="ignore"):
            known = np.isfinite(train.X)
            count = np.maximum(known.sum(axis=0), 1)
            values = np.where(known, train.X, 0.0).astype(np.float64)
            centre = values.sum(axis=0) / count
            variance = np.where(known, (values - centre) ** 2, 0.0).sum(axis=0) / count
        spread = np.where(variance > 0, np.sqrt(variance), 1.0)
        moved = (train.label != 1).astype(np.float64)
        share = np.clip(moved.mean(), 1 - MOST, MOST)
        levels = _standardised(train.X, centre, spread)
        weights = ridge_weights(*gram_sums(levels, moved - share, train.weight), 0.1)
        return cls(centre, spread, weights, logistic_fit(levels @ weights, moved))

    def move(self, X: NDArray[np.float32]) -> Array:
        """Return the probability (n,) that the outcome is not the middle class, 0.02..0.98."""
        index = row_by_row(_standardised(X, self.centre, self.spread), self.weights)
        intercept, slope = self.link
        move: Array = np.clip(1 / (1 + np.exp(-np.clip(intercept + slope * index, -30, 30))), 1 - MOST, MOST)
        return move

    def document(self) -> dict[str, Any]:
        """Return plain numbers that read back to the last bit."""
        return {
            "centre": self.centre.tolist(),
            "spread": self.spread.tolist(),
            "level_weights": self.weights.tolist(),
            "link": list(self.link),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Magnitude:
        """Read what `document` wrote; a lacking or wrong entry raises `KeyError`, `TypeError` or `ValueError`."""
        centre, spread, weights = (
            np.asarray(document[name], dtype=np.float64) for name in ("centre", "spread", "level_weights")
        )
        intercept, slope = document["link"]
        return cls(centre, spread, weights, (float(intercept), float(slope)))


@dataclass(frozen=True, slots=True)
class Readout:
    """What a score ``s`` means.

    Three ordered classes, with `magnitude` giving ``move``:

        p_middle = 1 - move,   p_last - p_first = move * tanh((tilt + gain * s) / move)

    so that the directional difference orders as ``s`` for all but saturated names, whatever their volatility, and the
    probabilities always form a distribution. Without `magnitude` a value: ``tilt + gain * s``.
    """

    tilt: float = 0.0
    gain: float = 0.0
    magnitude: Magnitude | None = None

    def output(self, score: Array, X: NDArray[np.float32]) -> Array:
        """Return probabilities (n, 3), or values (n,), for scores (n,) of the rows with levels `X`."""
        centre = self.tilt + self.gain * score
        if self.magnitude is None:
            return centre
        move = self.magnitude.move(X)
        difference = move * np.tanh(centre / move)
        return np.column_stack([(move - difference) / 2, 1 - move, (move + difference) / 2])

    def document(self) -> dict[str, Any]:
        """Return plain numbers that read back to the last bit."""
        magnitude = None if self.magnitude is None else self.magnitude.document()
        return {"tilt": self.tilt, "gain": self.gain, "magnitude": magnitude}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Readout:
        """Read what `document` wrote; a lacking or wrong entry raises `KeyError`, `TypeError` or `ValueError`."""
        magnitude = document["magnitude"]
        known = None if magnitude is None else Magnitude.from_document(magnitude)
        return cls(float(document["tilt"]), float(document["gain"]), known)


def read_out(train: Matrix, gain: float, thin_by: int) -> Readout:
    """Return the readout of rows with three ordered classes or values, `gain` being the slope of the score."""
    tilt = float(np.average(outcome(train), weights=train.weight))
    return Readout(tilt, gain, Magnitude.of(train, thin_by) if train.classes else None)


def outcome(rows: Matrix) -> Array:
    """Return what the readout's centre stands for (n,): -1, 0, 1 for three classes, or the value."""
    label = rows.label.astype(np.float64)
    return label - 1.0 if rows.classes else label


def gain_of(score: Array, tail: Matrix) -> float:
    """Return the slope of the outcome on the score, floored: the order survives, the confidence does not.

    Rows of no weight have no say.
    """
    silent = tail.weight <= 0
    if silent.any():
        score, tail = score[~silent], tail.take(~silent)
    if len(tail) == 0:
        return 0.0
    spread = float(score.std())
    if spread == 0:
        return 0.0
    truth = outcome(tail)
    unit = 1.0 if tail.classes else float(truth.std())
    centred = score - score.mean()
    slope = float(np.dot(centred, truth) / np.dot(centred, centred))
    return max(slope, 0.01 * unit / spread)


def require_order(recipe: str, classes: tuple[str, ...]) -> None:
    """Raise `UsageError` unless there are three ordered classes, or none, which means values."""
    if len(classes) not in {0, ORDERED}:
        raise UsageError(
            f"the recipe {recipe} orders three classes or predicts a value, and the label has {len(classes)} "
            f"({', '.join(classes)}): choose a recipe for any number of classes (--algorithm xgboost)"
        )


def row_by_row(X: NDArray[np.float32], weights: Array) -> Array:
    """Return ``X @ weights`` with a sum per row that does not depend, to the last bit, on how many rows come along."""
    product: Array = np.einsum("ij,j->i", np.ascontiguousarray(X, dtype=np.float64), weights)
    return product


def _standardised(X: NDArray[np.float32], centre: Array, spread: Array) -> NDArray[np.float32]:
    levels = (X - centre.astype(np.float32)) / spread.astype(np.float32)
    return np.clip(np.nan_to_num(levels, nan=0.0, posinf=CLIP, neginf=-CLIP), -CLIP, CLIP)
