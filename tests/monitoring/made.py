"""Made-up feature rows with a known law, for scans whose right answer is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from marketloop.core.values import Matrix

__all__ = ["rows", "slow"]


def rows(values: NDArray[np.floating], *, first: int = 0) -> Matrix:
    """Return values (sessions, tickers, features) as a matrix; the features are called a, b, c, ..."""
    sessions, tickers, k = values.shape
    n = sessions * tickers
    unknown = np.full(n, np.nan, np.float32)
    return Matrix(
        X=values.reshape(n, k).astype(np.float32),
        names=tuple(chr(ord("a") + at) for at in range(k)),
        session=np.repeat(np.arange(first, first + sessions), tickers).astype(np.int32),
        ticker=np.tile(np.arange(tickers), sessions).astype(np.int32),
        tickers=tuple(f"T{at}" for at in range(tickers)),
        label=unknown,
        target=unknown,
        known_on=np.full(n, np.iinfo(np.int32).max, np.int32),
        weight=np.ones(n, np.float32),
        missing=np.zeros((0, k), np.float32),
        missing_sessions=np.zeros(0, np.int32),
        missing_rows=np.zeros(0, np.int32),
    )


def slow(
    seed: int, *, sessions: int = 600, tickers: int = 8, features: int = 5, persistence: float = 0.9
) -> NDArray[np.float64]:
    """Return stationary values (sessions, tickers, features): an AR(1) level that all tickers share, and own noise."""
    rng = np.random.default_rng([seed, 5])
    noise = rng.standard_normal((sessions + 500, features)) * np.sqrt(1 - persistence**2)
    level = lfilter([1.0], [1.0, -persistence], noise, axis=0)[500:]
    return np.asarray(level[:, None, :] + rng.standard_normal((sessions, tickers, features)))
