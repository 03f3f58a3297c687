"""Closes and returns as arrays of sessions by tickers, with the controls known at each close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.core.frames import require_columns
from marketloop.core.values import Context, Sessions

__all__ = ["Panel", "build_panel", "rolling_moments"]

WINDOW = 60
SHORT_WINDOW = 20
LEAST_SHARE = 2 / 3
"""A rolling figure is known when two thirds of its window are."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Panel:
    """Prices of a universe on consecutive sessions.

    Parameters
    ----------
    first : int
        Number of the session of row 0; row ``i`` is session ``first + i``.
    tickers : names, ascending
    close : float64 (T, N)
        Adjusted close, NaN where the ticker has no bar.
    returns : float64 (T, N)
        ``close[t] / close[t-1] - 1``; NaN unless both sessions have a bar.
    beta, vol : float64 (T, N)
        60-session beta against the market and 60-session standard deviation of returns, known at the close of t.
    short_vol : float64 (T, N)
        20-session standard deviation of returns, known at the close of t.
    open, high, low : float64 (T, N), optional
        Adjusted prices within the session; None where the bars have only closes.
    """

    first: int
    tickers: tuple[str, ...]
    close: Array
    returns: Array
    beta: Array
    vol: Array
    short_vol: Array
    open: Array | None = None
    high: Array | None = None
    low: Array | None = None

    @property
    def last(self) -> int:
        """Number of the newest session."""
        return self.first + len(self.close) - 1

    def rows_of(self, sessions: NDArray[np.int32]) -> NDArray[np.intp]:
        """Return the row of each session number."""
        return np.asarray(sessions, dtype=np.intp) - self.first


def build_panel(bars: pl.DataFrame, sessions: Sessions, context: Context | None = None) -> Panel:
    """Arrange daily `bars` as a panel.

    The market of `beta` is the S&P 500 of `context`; without one it is the equal-weight return of the universe.

    Raises
    ------
    UsageError
        When `bars` is empty, lacks a column, or holds a date that is no session.
    """
    require_columns(bars, ("date", "ticker", "close"), "the bar frame")
    if bars.is_empty():
        raise UsageError("no bars: expected at least one row; collect data first")
    tickers = bars["ticker"].unique().sort()
    number = sessions.numbers(bars["date"].to_numpy())
    column = tickers.search_sorted(bars["ticker"]).to_numpy().astype(np.intp)
    first = int(number.min())
    shape = (int(number.max()) - first + 1, len(tickers))

    def grid(name: str) -> Array:
        values = np.full(shape, np.nan)
        values[number - first, column] = bars[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return values

    close = grid("close")
    returns = np.full_like(close, np.nan)
    returns[1:] = close[1:] / close[:-1] - 1
    market = _market_returns(returns, first, sessions, context)
    beta, vol = rolling_moments(returns, market, WINDOW)
    _, short_vol = rolling_moments(returns, market, SHORT_WINDOW)
    within = {name: grid(name) if name in bars.columns else None for name in ("open", "high", "low")}
    return Panel(first, tuple(tickers.to_list()), close, returns, beta, vol, short_vol, **within)


def _market_returns(returns: Array, first: int, sessions: Sessions, context: Context | None) -> Array:
    equal_weight = _row_mean(returns)
    if context is None or context.market["spx"].drop_nulls().is_empty():
        return equal_weight
    frame = context.market.select("date", "spx").drop_nulls()
    at = sessions.numbers(frame["date"].to_numpy()) - first
    inside = (at >= 0) & (at < len(returns))
    level = np.full(len(returns), np.nan)
    level[at[inside]] = frame["spx"].to_numpy()[inside]
    market = np.full(len(returns), np.nan)
    market[1:] = level[1:] / level[:-1] - 1
    return market


def _row_mean(values: Array) -> Array:
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def rolling_moments(returns: Array, market: Array, window: int) -> tuple[Array, Array]:
    """Return rolling beta and standard deviation (both (T, N)) over `window` sessions ending at each row."""
    market = np.broadcast_to(market[:, None], returns.shape)
    pair = np.isfinite(returns) & np.isfinite(market)
    r, m = np.where(pair, returns, 0.0), np.where(pair, market, 0.0)
    n, sr, sm = _window_sum(pair.astype(float), window), _window_sum(r, window), _window_sum(m, window)
    count = np.maximum(n, 1)
    covariance = _window_sum(r * m, window) - sr * sm / count
    variance = _window_sum(m * m, window) - sm * sm / count
    with np.errstate(invalid="ignore", divide="ignore"):
        beta = np.where((n >= window * LEAST_SHARE) & (variance > 1e-12), covariance / variance, np.nan)
    own = np.isfinite(returns)
    r = np.where(own, returns, 0.0)
    n, sr = _window_sum(own.astype(float), window), _window_sum(r, window)
    spread = np.maximum(_window_sum(r * r, window) - sr * sr / np.maximum(n, 1), 0.0)
    vol = np.where(n >= window * LEAST_SHARE, np.sqrt(spread / np.maximum(n - 1, 1)), np.nan)
    return beta, vol


def _window_sum(values: Array, window: int) -> Array:
    total = np.cumsum(values, axis=0)
    total[window:] -= total[:-window].copy()
    return total
