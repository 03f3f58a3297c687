"""The market that the specimens live on: tickers that list late, tickers that fail, one that halts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import col

from marketloop.core.values import Context, Matrix, Sessions
from marketloop.data.calendar import load_closes, load_sessions
from marketloop.data.context import build_context
from marketloop.data.synthetic import MarketSpec, simulate
from marketloop.dataset import with_ranks
from marketloop.features import compute
from marketloop.features.catalog import builtin_features

__all__ = ["HORIZON", "Habitat", "forward_returns", "market"]

SPEC: Final = MarketSpec(tickers=30, sessions=700, seed=4711, planted_ic=0.05)
LISTED: Final = {2: 90, 7: 150, 13: 221, 19: 300, 26: 381}
"""Tickers, by position, that list late: their first session."""
FAILURES: Final = 5
FAILING: Final = slice(250, 600)
HALTED: Final = (10, slice(333, 339))
HORIZON: Final = 5
READ: Final = (
    *("ret_1", "ret_5", "roc_10", "williams_r_14", "zscore_20", "ret_std_20"),
    *("volume_vs_average", "cmf_20", "overnight_gap", "range_position_60"),
)
NOISE: Final = 6
UNKNOWN: Final = np.iinfo(np.int32).max
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Habitat:
    """Everything that a plant may be planted in.

    Parameters
    ----------
    bars : frame `BAR_SCHEMA`, sorted by (ticker, date)
    series, sectors : as a source gives them
    sessions : Sessions
    closes : frame ``date, close_utc``
    context : Context
        The series as they were known.
    matrix : Matrix
        Ten honest features and six of noise, the forward return of `HORIZON` sessions as label, its rank within the
        session as target, with ranks.
    forecast : frame ``ticker, date, value``
        What the generator itself expects of the next session at the close of `date`, in units of its volatility.
    """

    bars: pl.DataFrame
    series: Mapping[str, pl.DataFrame]
    sectors: pl.DataFrame
    sessions: Sessions
    closes: pl.DataFrame
    context: Context
    matrix: Matrix
    forecast: pl.DataFrame


@lru_cache(maxsize=1)
def market() -> Habitat:
    """Return the habitat; the same to the last bit each time."""
    whole = simulate(SPEC)
    first, last = whole.dates[0].astype(object), whole.dates[-1].astype(object)
    sessions, closes = load_sessions(SPEC.calendar, first, last), load_closes(SPEC.calendar, first, last)
    there = pl.Series(_present(whole.returns).T.ravel())
    bars = whole.bars.filter(there)
    expected = pl.Series("value", (whole.expected / whole.sigma).T.ravel())
    forecast = whole.bars.select("ticker", "date").with_columns(expected).filter(there)
    context = build_context(whole.series, whole.sectors, sessions=sessions, close_utc=closes)
    matrix = _matrix(bars, context, sessions)
    return Habitat(bars, whole.series, whole.sectors, sessions, closes, context, matrix, forecast)


def _present(returns: Floats) -> NDArray[np.bool_]:
    """Say which bars there are (T, N): names that fall furthest fail, at their lowest close."""
    there = np.ones(returns.shape, dtype=bool)
    for ticker, start in LISTED.items():
        there[:start, ticker] = False
    path = np.cumsum(np.log1p(returns), axis=0)
    path[:, [*LISTED, HALTED[0]]] = np.inf
    low = path[FAILING]
    for ticker in np.argsort(low.min(axis=0))[:FAILURES]:
        there[FAILING.start + int(low[:, ticker].argmin()) + 1 :, ticker] = False
    there[HALTED[1], HALTED[0]] = False
    return there


def forward_returns(bars: pl.DataFrame, horizon: int) -> pl.Series:
    """Return the simple return over the next `horizon` bars of the same ticker, null where there are fewer."""
    close = col("close")
    return bars.select((close.shift(-horizon) / close - 1).over("ticker")).to_series()


def _matrix(bars: pl.DataFrame, context: Context, sessions: Sessions) -> Matrix:
    """Arrange features and outcomes by plain means: the zoo is not to share the code that it judges."""
    named = {feature.name: feature for feature in builtin_features()}
    values = compute(bars, [named[name] for name in READ], context)
    settled = bars.select(col("date").shift(-HORIZON).over("ticker")).to_series()
    outcome = forward_returns(bars, HORIZON)
    rows = values.with_columns(outcome=outcome, settled=settled).drop_nulls(READ).sort("date", "ticker")
    session = sessions.numbers(rows["date"]).astype(np.int32)
    settled = rows["settled"]
    label = rows["outcome"].fill_null(np.nan).to_numpy().astype(np.float32)
    known_on = np.full(len(rows), UNKNOWN, dtype=np.int32)
    known_on[np.isfinite(label)] = sessions.numbers(settled.drop_nulls())
    tickers = tuple(bars["ticker"].unique().sort())
    noise = np.random.default_rng(11).standard_normal((len(rows), NOISE))
    names = (*READ, *(f"noise_{k}" for k in range(NOISE)))
    unique, count = np.unique(session, return_counts=True)
    return with_ranks(
        Matrix(
            X=np.column_stack([rows.select(READ).to_numpy(), noise]).astype(np.float32),
            names=names,
            session=session,
            ticker=pl.Series(tickers).search_sorted(rows["ticker"]).to_numpy().astype(np.int32),
            tickers=tickers,
            label=label,
            target=_session_ranks(rows),
            known_on=known_on,
            weight=np.ones(len(rows), dtype=np.float32),
            missing=np.zeros((len(unique), len(names)), dtype=np.float32),
            missing_sessions=unique.astype(np.int32),
            missing_rows=count.astype(np.int32),
        )
    )


def _session_ranks(rows: pl.DataFrame) -> NDArray[np.float32]:
    outcome = col("outcome")
    rank = (outcome.rank() - 1) / (outcome.count() - 1) - 0.5
    return rows.select(rank.over("date").fill_null(np.nan)).to_series().to_numpy().astype(np.float32)
