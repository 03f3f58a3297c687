"""Figures of a classifier, each beside what no skill would have had on the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from marketloop.core.errors import UsageError

__all__ = [
    "Calibration",
    "ClassMetrics",
    "RegressionMetrics",
    "calibration",
    "classifier_metrics",
    "from_confusion",
    "regression_metrics",
]

Array = NDArray[np.float64]
Codes = NDArray[np.integer]
TINY = 1e-15


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """Accuracy and its relatives, all fractions except `log_loss` (nats); rows of `confusion` are the true classes."""

    accuracy: float
    precision: float
    recall: float
    f1_score: float
    mcc: float
    roc_auc: float
    log_loss: float
    brier: float
    per_class: dict[str, dict[str, float]]
    confusion: list[list[int]]
    rows: int

    def figures(self) -> dict[str, float]:
        """Return the headline figures under their plain names."""
        return {
            "accuracy": self.accuracy,
            "precision": self.precision,
            "recall": self.recall,
            "f1_score": self.f1_score,
            "roc_auc": self.roc_auc,
            "log_loss": self.log_loss,
            "brier": self.brier,
            "mcc": self.mcc,
        }


def classifier_metrics(truth: Codes, probabilities: Array, classes: Sequence[str]) -> ClassMetrics:
    """Return the metrics of `probabilities` (n, classes) against the class codes `truth` (n,).

    Precision, recall and F1 are weighted by the size of the true class; ROC-AUC is one against the rest, weighted
    likewise, over the classes that occur; the Brier score is the mean squared distance over all classes (0..2).
    """
    if len(truth) == 0:
        raise UsageError("no rows to examine: expected at least one row with a known label")
    truth = np.asarray(truth, dtype=np.intp)
    predicted = probabilities.argmax(axis=1)
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(matrix, (truth, predicted), 1)
    chosen = np.clip(probabilities[np.arange(len(truth)), truth], TINY, 1.0)
    wanted = np.eye(len(classes))[truth]
    return from_confusion(
        matrix,
        classes,
        roc_auc=_roc_auc(truth, probabilities),
        log_loss=float(-np.log(chosen).mean()),
        brier=float(((probabilities - wanted) ** 2).sum(axis=1).mean()),
    )


def from_confusion(
    matrix: Codes,
    classes: Sequence[str],
    *,
    roc_auc: float = math.nan,
    log_loss: float = math.nan,
    brier: float = math.nan,
) -> ClassMetrics:
    """Return the metrics that a confusion matrix (rows true, columns predicted) holds; 0/0 counts as 0."""
    matrix = np.asarray(matrix, dtype=np.int64)
    total = int(matrix.sum())
    hits, true, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = hits / np.maximum(said, 1), hits / np.maximum(true, 1)
    f1 = 2 * hits / np.maximum(true + said, 1)
    share = true / max(total, 1)
    return ClassMetrics(
        accuracy=float(hits.sum() / max(total, 1)),
        precision=float(share @ precision),
        recall=float(share @ recall),
        f1_score=float(share @ f1),
        mcc=_mcc(hits, true, said),
        roc_auc=roc_auc,
        log_loss=log_loss,
        brier=brier,
        per_class={
            name: {"precision": float(p), "recall": float(r), "f1_score": float(f), "rows": int(n)}
            for name, p, r, f, n in zip(classes, precision, recall, f1, true, strict=True)
        },
        confusion=matrix.tolist(),
        rows=total,
    )


def _mcc(hits: Codes, true: Codes, said: Codes) -> float:
    """Return Matthews' correlation for several classes (Gorodkin 2004), 0 when one side is constant."""
    total = float(true.sum())
    top = float(hits.sum()) * total - float(np.dot(true.astype(float), said.astype(float)))
    left = total**2 - float(np.dot(said.astype(float), said.astype(float)))
    right = total**2 - float(np.dot(true.astype(float), true.astype(float)))
    return top / math.sqrt(left * right) if left > 0 and right > 0 else 0.0


def _roc_auc(truth: Codes, probabilities: Array) -> float:
    value, weight = 0.0, 0
    for code in range(probabilities.shape[1]):
        positive = truth == code
        n1, n0 = int(positive.sum()), int((~positive).sum())
        if n1 == 0 or n0 == 0:
            continue
        ranks = stats.rankdata(probabilities[:, code])
        auc = (float(ranks[positive].sum()) - n1 * (n1 + 1) / 2) / (n1 * n0)
        value, weight = value + auc * n1, weight + n1
    return value / weight if weight else math.nan


@dataclass(frozen=True, slots=True)
class Calibration:
    """Does 60 % mean 60 %? `score` is ``1 - ece``; `curve` holds (mean probability, observed share, rows) per bin."""

    ece: float
    score: float
    grade: str
    curve: tuple[tuple[float, float, int], ...]


def calibration(truth: Codes, probabilities: Array, *, bins: int = 10) -> Calibration:
    """Return the calibration of the most likely class's probability, in `bins` equal steps of 0..1.

    Grades: score >= 0.90 good, >= 0.85 acceptable, below poor.
    """
    top = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == np.asarray(truth)
    place = np.minimum((top * bins).astype(int), bins - 1)
    curve = tuple(
        (float(top[place == b].mean()), float(hit[place == b].mean()), int((place == b).sum()))
        for b in range(bins)
        if (place == b).any()
    )
    ece = sum(abs(p - share) * n for p, share, n in curve) / max(len(top), 1)
    score = 1 - ece
    return Calibration(ece, score, "good" if score >= 0.90 else "acceptable" if score >= 0.85 else "poor", curve)


@dataclass(frozen=True, slots=True)
class RegressionMetrics:
    """Root mean square error and mean absolute error in the label's unit, and the share of variance explained."""

    rmse: float
    mae: float
    r2: float
    rows: int

    def figures(self) -> dict[str, float]:
        """Return the headline figures under their plain names."""
        return {"rmse": self.rmse, "mae": self.mae, "r2": self.r2}


def regression_metrics(truth: Array, predicted: Array) -> RegressionMetrics:
    """Return the metrics of `predicted` (n,) against `truth` (n,).

    R2 is against the mean of `truth` itself, so a constant that was known beforehand may be below 0.
    """
    if len(truth) == 0:
        raise UsageError("no rows to examine: expected at least one row with a known label")
    error = predicted - truth
    spread = float(np.square(truth - truth.mean()).sum())
    r2 = 1 - float(np.square(error).sum()) / spread if spread > 0 else math.nan
    return RegressionMetrics(float(np.sqrt(np.mean(error * error))), float(np.abs(error).mean()), r2, len(truth))
