"""What the answers of a network stand for: the order of the names, a class, or a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketloop.core.values import Matrix
from marketloop.models.weights import balanced_weight, informative

__all__ = ["Aim"]

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Aim:
    """The rank within the session where it says anything, else the label: log odds of classes, or a value.

    Parameters
    ----------
    by_rank : bool
        Whether `Matrix.target` is aimed at, as the boosted trees on ranks do.
    classes : int
        Classes of the label, 0 for a value.
    centre, spread : float
        Of the values learned from; a value is aimed at in standard deviations.
    """

    by_rank: bool
    classes: int
    centre: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, train: Matrix) -> Aim:
        """Choose by what `train` holds."""
        classes = len(train.classes)
        if classes in {0, 3} and informative(train.target):
            return cls(by_rank=True, classes=classes)
        if classes:
            return cls(by_rank=False, classes=classes)
        label = train.label.astype(np.float64)
        return cls(by_rank=False, classes=0, centre=float(label.mean()), spread=float(label.std()) or 1.0)

    @property
    def softmax(self) -> int:
        """Classes whose log odds are answered; 0 where the answer is one number."""
        return 0 if self.by_rank else self.classes

    def known(self, rows: Matrix) -> Matrix:
        """Return the rows that have what is aimed at."""
        return rows.take(np.isfinite(rows.target)) if self.by_rank else rows

    def of_rows(self, rows: Matrix) -> Array32:
        """Return what is aimed at (n,)."""
        if self.by_rank:
            return rows.target
        return rows.label if self.classes else ((rows.label - self.centre) / self.spread).astype(np.float32)

    def weight(self, rows: Matrix, *, balanced: bool) -> Array32:
        """Return what each row counts (n,); `balanced` gives all classes the same total where they are learned."""
        return balanced_weight(rows) if balanced and self.softmax else rows.weight

    def loss(self, answers: Array, aim: Array32, weight: Array32) -> float:
        """Return what an epoch is judged by, less being better; 0 where no row counts.

        Of a class it is the mean cross-entropy and of a value the mean squared error. Of a rank it is the correlation,
        with the other sign: a readout sets the size of the score, and by squares the first epoch would be best.
        """
        total = float(weight.sum(dtype=np.float64))
        if total <= 0:
            return 0.0
        share = weight / total
        if self.by_rank:
            return -_correlation(answers[:, 0], aim.astype(np.float64), share)
        if self.softmax:
            return float(share @ -_log_shares(answers)[np.arange(len(aim)), aim.astype(np.intp)])
        return float(share @ (answers[:, 0] - aim) ** 2)

    def output(self, answers: Array) -> Array:
        """Return probabilities (n, classes), or values (n,); of ranks the score, which a readout goes on with."""
        if self.softmax:
            return np.exp(_log_shares(answers))
        return self.centre + self.spread * answers[:, 0]

    def direction(self, answers: Array) -> Array:
        """Return the score (n,): the number, or the last class's log odds less the first's."""
        last: Array = answers[:, -1]
        return last - answers[:, 0] if self.softmax else last


def _correlation(a: Array, b: Array, share: Array32) -> float:
    a, b = a - share @ a, b - share @ b
    spread = float(np.sqrt((share @ a**2) * (share @ b**2)))
    return float(share @ (a * b)) / spread if spread > 0 else 0.0


def _log_shares(answers: Array) -> Array:
    shifted = answers - answers.max(axis=1, keepdims=True)
    shares: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shares
