"""What a leak check works on and what it finds: the sample with its values, and the leaks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import col

from marketloop.core.catalog import Feature
from marketloop.core.values import BoolArray, Context, FloatArray
from marketloop.features.engine import evaluate
from marketloop.features.panel import make_panel, numbered

__all__ = ["Case", "Leak", "LeakReport", "RowArray", "make_case", "whole_case"]

RowArray = NDArray[np.int64]

ROWS = 40_000
FEWEST, MOST = 24, 50
"""How many rows and tickers are examined; breadth needs 20 tickers."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A feature that is not what it claims.

    Parameters
    ----------
    feature : str
    kind : str
        ``future``: a value changes when what comes after it is taken away.
        ``lookback``: the declared look-back does not give the value, so it depends on where the history starts.
        ``undated``: the value belongs to the name of the ticker at any date: knowledge of today spread over history.
    first_session : date
        Earliest session at which it was seen.
    detail : str
        The ticker and the two values.
    """

    feature: str
    kind: str
    first_session: dt.date
    detail: str


@dataclass(frozen=True, slots=True)
class LeakReport:
    """How many features were checked, and the leaks found, in the order of the features."""

    checked: int
    leaks: tuple[Leak, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """The sample: bars, the context, all values computed from all of them, and each feature's standard deviation."""

    bars: pl.DataFrame
    context: Context
    values: dict[str, FloatArray]
    spread: dict[str, float]

    @staticmethod
    def compute(bars: pl.DataFrame, features: Sequence[Feature], context: Context) -> dict[str, FloatArray]:
        """Return the values of each feature, NaN for null."""
        frame = evaluate(bars, features, context)
        return {series.name: series.fill_null(np.nan).to_numpy() for series in frame}

    def differs(self, name: str, whole: FloatArray, part: FloatArray, tolerance: float) -> BoolArray:
        """Return where values differ by more than `tolerance` times the larger of value and spread, or one is null."""
        gap = np.abs(whole - part) > tolerance * np.maximum(np.abs(whole), self.spread[name])
        unequal: BoolArray = gap | (np.isnan(whole) != np.isnan(part))
        return unequal

    def earliest(self, rows: RowArray, wrong: BoolArray) -> int:
        """Return the position in `rows` of the earliest session among those that are `wrong`."""
        days = self.bars["date"].to_physical().to_numpy()[rows]
        return int(np.flatnonzero(wrong)[np.argmin(days[wrong])])

    def leak(self, feature: Feature, kind: str, row: int, other: float, why: str) -> Leak:
        """Put a finding into words: the value at `row`, and what it became."""
        date, ticker = self.bars["date"][row], self.bars["ticker"][row]
        shown = ["null" if np.isnan(x) else f"{x:.6g}" for x in (self.values[feature.name][row], other)]
        return Leak(feature.name, kind, date, f"{ticker} on {date} is {shown[0]}, but {shown[1]} {why}")


def make_case(bars: pl.DataFrame, features: Sequence[Feature], context: Context, seed: int) -> Case:
    """Draw the sample and compute the features on it."""
    return _case(_sample(make_panel(bars).bars, seed), features, context)


def whole_case(bars: pl.DataFrame, features: Sequence[Feature], context: Context) -> Case:
    """Compute the features on every bar."""
    return _case(make_panel(bars).bars, features, context)


def _case(bars: pl.DataFrame, features: Sequence[Feature], context: Context) -> Case:
    values = Case.compute(bars, features, context)
    spread = {}
    for name, value in values.items():
        known = value[np.isfinite(value)]
        spread[name] = float(known.std()) if len(known) else 0.0
    return Case(bars, context, values, spread)


def _sample(bars: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Draw tickers: the latest to begin, the earliest to end, and others at random."""
    spans = bars.group_by("ticker").agg(first=col("date").min(), last=col("date").max()).sort("ticker")
    sessions = max(bars["date"].n_unique(), 1)
    wanted = int(np.clip(ROWS // sessions, FEWEST, MOST))
    if len(spans) > wanted:
        late = spans.sort("first", "ticker", descending=[True, False])["ticker"].head(3)
        early = spans.sort("last", "ticker")["ticker"].head(2)
        drawn = spans["ticker"].sample(fraction=1.0, shuffle=True, seed=seed)
        names = pl.concat([late, early, drawn]).unique(maintain_order=True).head(wanted)
        bars = bars.filter(col("ticker").is_in(names.implode()))
    return numbered(bars)
