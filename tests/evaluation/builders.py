"""Small markets and matrices made of numpy arrays, in the order of time, for the tests of several rooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.values import Matrix, Sessions
from marketloop.dataset import LabelSpec, assemble, with_past, with_ranks
from marketloop.evaluation.rank_ic import SessionSeries
from marketloop.labels import UNKNOWN, Panel, build_panel

Array = NDArray[np.float64]
ORIGIN = np.datetime64("2001-01-01")


def calendar(count: int = 4000) -> Sessions:
    """Every day is a session; session 0 is the origin."""
    return Sessions("EVERYDAY", ORIGIN + np.arange(count), first=0)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"T{i:03d}" for i in range(count))


def tidy(values: Array, column: str, first: int = 0) -> pl.DataFrame:
    """Arrange (T, N) values as ``date, ticker, column``, sorted by (ticker, date), without the NaN ones."""
    sessions, tickers = values.shape
    frame = pl.DataFrame(
        {
            "date": np.tile(ORIGIN + first + np.arange(sessions), tickers),
            "ticker": np.repeat(names(tickers), sessions),
            column: values.T.ravel(),
        }
    )
    return frame.filter(pl.col(column).is_not_nan())


def panel_of(close: Array, first: int = 0) -> Panel:
    return build_panel(tidy(close, "close", first), calendar())


@dataclass(frozen=True)
class SmallMarket:
    """Closes (T, N) and features (T, N, k) on the same sessions."""

    close: Array
    features: Array
    first: int

    def panel(self, until: int | None = None) -> Panel:
        return panel_of(self.close[:until], self.first)

    def matrix(self, until: int | None = None, *, label: LabelSpec | None = None, warmup: int = 0) -> Matrix:
        """Assemble the rows of the first `until` sessions, as if nothing later existed."""
        closes = tidy(self.close[:until], "close", self.first)
        frame = closes.select("date", "ticker")
        for j in range(self.features.shape[2]):
            values = np.where(np.isfinite(self.close), self.features[:, :, j], np.nan)[:until]
            column = pl.Series(values.T.ravel()[np.isfinite(self.close[:until]).T.ravel()])
            frame = frame.with_columns(column.fill_nan(None).cast(pl.Float32).alias(f"f{j}"))
        made = assemble(frame, frame, self.panel(until), calendar(), label=label or LabelSpec(5, 0.02), warmup=warmup)
        return with_past(with_ranks(made))


def small_market(
    sessions: int = 160, tickers: int = 12, *, features: int = 3, seed: int = 0, planted: float = 0.0, first: int = 500
) -> SmallMarket:
    """Random walks; feature 0 moves the next return of its ticker by `planted` standard deviations."""
    rng = np.random.default_rng(seed)
    values = np.empty((sessions, tickers, features))
    state = rng.normal(size=(tickers, features))
    for t in range(sessions):
        state = 0.95 * state + np.sqrt(1 - 0.95**2) * rng.normal(size=state.shape)
        values[t] = state
    shock = rng.standard_t(5, (sessions, tickers)) * 0.015
    moves = shock.copy()
    moves[1:] += planted * 0.015 * values[:-1, :, 0]
    return SmallMarket(50 * np.exp(np.cumsum(moves, axis=0)), values, first)


def rows_matrix(
    session: Sequence[int] | NDArray[Any], ticker: Sequence[int] | NDArray[Any], horizon: int, known_through: int
) -> Matrix:
    """Rows without content: a label is known `horizon` sessions later, if that is not after `known_through`."""
    at = np.asarray(session, dtype=np.int32)
    who = np.asarray(ticker, dtype=np.int32)
    order = np.lexsort((who, at))
    at, who = at[order], who[order]
    known = at + horizon <= known_through
    unique, counts = np.unique(at, return_counts=True)
    return Matrix(
        X=np.zeros((len(at), 1), np.float32),
        names=("f0",),
        session=at,
        ticker=who,
        tickers=names(int(who.max(initial=0)) + 1),
        label=np.where(known, 1.0, np.nan).astype(np.float32),
        target=np.where(known, 0.0, np.nan).astype(np.float32),
        known_on=np.where(known, at + horizon, UNKNOWN).astype(np.int32),
        weight=np.ones(len(at), np.float32),
        missing=np.zeros((len(unique), 1), np.float32),
        missing_sessions=unique.astype(np.int32),
        missing_rows=counts.astype(np.int32),
    )


def series_with_z(z: float, n: int, *, last: int = 1000, scale: float = 0.2) -> SessionSeries:
    """Return `n` terms (an even number) that end at session `last` and whose ``sum / sqrt(sum of squares)`` is `z`."""
    mean = z / np.sqrt(max(n - z * z, 1.0))
    value = scale * (mean + np.where(np.arange(n) % 2, 1.0, -1.0))
    return SessionSeries(np.arange(last - n + 1, last + 1, dtype=np.int32), value)
