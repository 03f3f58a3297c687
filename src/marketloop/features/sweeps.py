"""Changes bars of some sessions to other possible ones and asks which values move that must not.

With sessions s1 < s2 < ... changed, a value at t may move only if one of them lies between the first bar of its
look-back and t. So one computation questions many sessions at once, and shifting the changed sessions by one after the
other questions them all: what looks ahead once in forty sessions is found as surely as what always does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.catalog import Feature
from marketloop.core.frames import CONTEXT_COLUMNS
from marketloop.core.values import BoolArray, Context, FloatArray
from marketloop.features.evidence import Case, Leak
from marketloop.features.panel import BAR, TICKER

__all__ = ["Group", "sweep"]

SAME, FORGOTTEN = 1e-9, 1e-5
SMALLEST, LARGEST = 0.06, 0.15
"""By how much a price is moved: beyond any threshold that tells usual moves from large ones."""
ASKED: Final = 3
"""Rows that are asked why they moved."""
Codes = NDArray[np.int64]


def sweep(
    case: Case, groups: Sequence[Group], confirm: Callable[[Feature, dt.date], bool], *, effort: int, seed: int
) -> Iterator[Leak]:
    """Question `groups` of features of one look-back each.

    Parameters
    ----------
    confirm : function (feature, session)
        Whether the last bars that the look-back asks for fail to give the values of that session: what changed sessions
        do to a recursion, they need not do as they are.
    effort : int
        Computations with changed sessions, shared by the groups, at least 2 for each. To question all sessions takes
        twice the look-back.
    """
    clock = _Clock.of(case)
    asked = [group for group in groups if group.features]
    change = _Change.drawn(case, clock, seed)
    for group in asked:
        yield from _sweep_group(_Sweep(case, clock, change, confirm), group, max(effort // len(asked), 2), seed)


@dataclass(frozen=True, slots=True)
class Group:
    """Features of one look-back; `alone` says that each value depends on the bars of its own ticker only."""

    lookback: int
    features: tuple[Feature, ...]
    alone: bool


def _sweep_group(sweep: _Sweep, group: Group, most: int, seed: int) -> Iterator[Leak]:
    case, clock = sweep.case, sweep.clock
    start = clock.window_starts(group.lookback, group.alone)
    gap = min(group.lookback + 2, clock.sessions)
    plan = [(offset, side) for offset in range(gap) for side in (1.0, -1.0)]
    if most < len(plan):
        rng = np.random.default_rng([seed, group.lookback])
        plan = [plan[at] for at in np.sort(rng.choice(len(plan), most, replace=False))]
    suspects = list(group.features)
    for offset, side in plan:
        changed = np.arange(clock.sessions) % gap == offset
        before = np.concatenate([[0], np.cumsum(changed)])
        free = np.flatnonzero((start >= 0) & (before[clock.at + 1] == before[np.maximum(start, 0)]))
        if not len(free) or not suspects:
            continue
        values = sweep.change.computed(case, clock, suspects, changed, side)
        for feature in list(suspects):
            part = values[feature.name][free]
            wrong = case.differs(feature.name, case.values[feature.name][free], part, _tolerance(feature, case))
            leak = sweep.named(feature, free[wrong], part[wrong], changed, side)
            if leak is not None:
                yield leak
                suspects.remove(feature)


def _tolerance(feature: Feature, case: Case) -> float:
    # two values that a recursion leaves a hair apart may change places in a rank
    return FORGOTTEN if feature.over != "session" else 3.0 / max(case.bars[TICKER].n_unique(), 1)


@dataclass(frozen=True, slots=True)
class _Sweep:
    case: Case
    clock: _Clock
    change: _Change
    confirm: Callable[[Feature, dt.date], bool]

    def named(self, feature: Feature, rows: Codes, others: FloatArray, changed: BoolArray, side: float) -> Leak | None:
        """Tell what comes after a row from what came before its look-back, by changing later sessions only."""
        if not len(rows):
            return None
        first = np.argsort(self.clock.at[rows], kind="stable")
        for at in first[np.unique(np.linspace(0, len(first) - 1, ASKED).astype(int))]:
            row = int(rows[at])
            later = changed & (np.arange(self.clock.sessions) > self.clock.at[row])
            other = self.change.computed(self.case, self.clock, [feature], later, side)[feature.name][row : row + 1]
            known = self.case.values[feature.name][row : row + 1]
            if self.case.differs(feature.name, known, other, _tolerance(feature, self.case)).any():
                return self.case.leak(feature, "future", row, float(other[0]), "when later sessions are others")
            if self.confirm(feature, self.case.bars["date"][row]):
                why = "when sessions before its look-back are others"
                return self.case.leak(feature, "lookback", row, float(others[at]), why)
        return None


@dataclass(frozen=True, slots=True)
class _Clock:
    """Sessions of bars and context, numbered; `at` is the session of each row of the bars."""

    days: Codes
    at: Codes
    bar: Codes
    first: Codes
    market: Codes

    @classmethod
    def of(cls, case: Case) -> _Clock:
        dates = case.bars["date"].to_physical().cast(pl.Int64).to_numpy()
        market = np.unique(case.context.market["date"].to_physical().cast(pl.Int64).to_numpy())
        days = np.unique(np.concatenate([dates, market]))
        bar = case.bars[BAR].to_numpy().astype(np.int64)
        return cls(
            days=days,
            at=np.searchsorted(days, dates),
            bar=bar,
            first=np.arange(len(bar)) - bar,
            market=np.searchsorted(days, market),
        )

    @property
    def sessions(self) -> int:
        return len(self.days)

    def window_starts(self, lookback: int, alone: bool) -> Codes:
        """Return the session of the first bar of each row's look-back, or of all rows in its session."""
        rows = np.arange(len(self.at))
        start = self.at[np.maximum(rows - lookback, self.first)]
        if alone:
            return start
        together = np.full(self.sessions, self.sessions, dtype=np.int64)
        np.minimum.at(together, self.at, start)
        if len(self.market):
            place = np.searchsorted(self.market, np.arange(self.sessions), side="right") - 1
            context = self.market[np.maximum(place - lookback, 0)]
            together = np.minimum(together, context)
        together = np.minimum(together, np.maximum(np.arange(self.sessions) - lookback, 0))
        return together[self.at]


@dataclass(frozen=True, slots=True)
class _Change:
    """Another bar for every bar, and another value for every value of the context, above or below what it was."""

    close: FloatArray
    open: FloatArray
    up: FloatArray
    down: FloatArray
    volume: FloatArray
    context: FloatArray

    @classmethod
    def drawn(cls, case: Case, clock: _Clock, seed: int) -> _Change:
        rng = np.random.default_rng([seed, 1])
        rows = len(case.bars)

        def signed(size: int | tuple[int, int]) -> FloatArray:
            return np.asarray(rng.choice([-1.0, 1.0], size) * rng.uniform(SMALLEST, LARGEST, size))

        return cls(
            close=signed(rows),
            open=signed(rows),
            up=rng.uniform(0.01, 0.05, rows),
            down=rng.uniform(0.01, 0.05, rows),
            volume=signed(rows) * 8,
            context=signed((clock.sessions, len(CONTEXT_COLUMNS))),
        )

    def computed(
        self, case: Case, clock: _Clock, features: Sequence[Feature], changed: BoolArray, side: float
    ) -> dict[str, FloatArray]:
        """Compute `features` with the `changed` sessions replaced."""
        bars = self._bars(case.bars, changed[clock.at], side)
        return case.compute(bars, features, self._context(case.context, clock, changed, side))

    def _bars(self, bars: pl.DataFrame, rows: BoolArray, side: float) -> pl.DataFrame:
        old = {name: bars[name].to_numpy() for name in ("open", "high", "low", "close")}
        close = old["close"] * (1 + side * self.close)
        opening = old["open"] * (1 + side * self.open)
        new = {
            "open": opening,
            "high": np.maximum(close, opening) * (1 + self.up),
            "low": np.minimum(close, opening) * (1 - self.down),
            "close": close,
        }
        volume = pl.Series("volume", np.where(rows, np.exp(side * self.volume), 1.0)) * bars["volume"]
        return bars.with_columns(
            volume.cast(bars.schema["volume"]), *(pl.Series(name, np.where(rows, new[name], old[name])) for name in new)
        )

    def _context(self, context: Context, clock: _Clock, changed: BoolArray, side: float) -> Context:
        def factor(frame: pl.DataFrame, column: int) -> pl.Series:
            days = frame["date"].to_physical().cast(pl.Int64).to_numpy()
            at = np.minimum(np.searchsorted(clock.days, days), clock.sessions - 1)
            there = (clock.days[at] == days) & changed[at]
            return pl.Series(np.where(there, 1 + side * self.context[at, column], 1.0))

        market = context.market.with_columns(
            (context.market[name] * factor(context.market, column)).alias(name)
            for column, name in enumerate(CONTEXT_COLUMNS)
            if name in context.market.columns
        )
        prices = context.sector_prices
        return replace(
            context,
            market=market,
            sector_prices=prices.with_columns((prices["close"] * factor(prices, 0)).alias("close")),
        )
