"""Windows of standardised features: each row after the rows that came before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix

__all__ = ["Scale", "Windows"]

CLIP = 5.0
Array32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation of each feature, float32 (k,); the spread of a constant one is 1."""

    centre: Array32
    spread: Array32

    @classmethod
    def of(cls, train: Matrix) -> Scale:
        """Measure the known values of the rows learned from, and of no others."""
        moments = np.array([_moments(train.X[:, column]) for column in range(train.X.shape[1])])
        centre, variance = moments.reshape(-1, 2).T
        # what is left of a constant by rounding must not be blown up to a feature
        varies = variance > (1e-6 * np.abs(centre)) ** 2
        return cls(centre.astype(np.float32), np.where(varies, np.sqrt(variance), 1.0).astype(np.float32))

    def apply(self, X: Array32) -> Array32:
        """Return `X` in standard deviations from the mean, -5..5; 0 where nothing is known."""
        with np.errstate(over="ignore", invalid="ignore"):
            levels = (X - self.centre) / self.spread
        out: Array32 = np.clip(np.nan_to_num(levels, nan=0.0, posinf=CLIP, neginf=-CLIP), -CLIP, CLIP)
        return out

    def document(self) -> dict[str, list[float]]:
        """Return plain numbers that read back to the last bit."""
        return {"centre": self.centre.tolist(), "spread": self.spread.tolist()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], features: int) -> Scale:
        """Read what `document` wrote; a lacking or wrong entry raises `KeyError`, `TypeError` or `ValueError`."""
        centre, spread = (np.asarray(document[name], dtype=np.float32) for name in ("centre", "spread"))
        if centre.shape != (features,) or spread.shape != (features,):
            raise ValueError("the scale has other features")
        return cls(centre, spread)


def _moments(column: Array32) -> tuple[float, float]:
    """Return mean and variance of the known values, 0 and 0 where there are none."""
    known = column[np.isfinite(column)].astype(np.float64)
    return (float(known.mean()), float(known.var())) if len(known) else (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Windows:
    """Rows with the `steps` rows before each, made when they are asked for: n x steps rows are never held at once.

    Parameters
    ----------
    rows : Matrix
    at : int32 (n, steps)
        Positions in ``rows.past``, -1 where a row has no past and stands for it itself.
    scale : Scale
    """

    rows: Matrix
    at: NDArray[np.int32]
    scale: Scale

    @classmethod
    def of(cls, rows: Matrix, steps: int, scale: Scale) -> Windows:
        """Find the past of `rows`; `FailedError` where they have none."""
        if rows.past is None:
            raise FailedError("the LSTM needs rows with their past: call dataset.with_past(matrix) first")
        return cls(rows, rows.past.before(rows.session, rows.ticker, steps), scale)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: NDArray[np.intp] | slice) -> Array32:
        """Return the windows of some rows, float32 (steps + 1, rows, k): the oldest first, the row itself last."""
        assert self.rows.past is not None  # noqa: S101 -- `of` has seen to it
        at, own = self.at[chosen], self.rows.X[chosen]
        before = np.where((at < 0)[..., None], own[:, None], self.rows.past.rows(np.maximum(at, 0)))
        window = np.concatenate([before, own[:, None]], axis=1)
        return np.ascontiguousarray(self.scale.apply(window).transpose(1, 0, 2))
