"""What a simulated year is played on: bars and market series in memory, and the matrices that families make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl

from marketloop.core.frames import BAR_PRICES
from marketloop.core.values import Context, Matrix, Sessions
from marketloop.data.calendar import load_closes
from marketloop.data.context import build_context
from marketloop.data.synthetic import Market
from marketloop.dataset import assemble, with_ranks
from marketloop.evaluation.stream import StreamSpec
from marketloop.features import compute, fill
from marketloop.features.regime import regime_features, regime_lookback
from marketloop.labels import Panel, build_panel
from marketloop.loop.context import sessions_around
from marketloop.loop.house import House
from marketloop.loop.market_rows import MARKET
from marketloop.loop.preparing import named_features

__all__ = ["Ground", "Prepared", "ground_of"]


@dataclass(frozen=True, slots=True)
class Ground:
    """A market as a source would deliver it.

    Parameters
    ----------
    bars : frame `BAR_SCHEMA`, sorted by (ticker, date)
    series : frames ``date, value, known_at`` by name
    sectors : frame ``ticker, sector``
    calendar : str
    truth : Market, optional
        What its generator knows, where it was simulated.
    """

    bars: pl.DataFrame
    series: Mapping[str, pl.DataFrame]
    sectors: pl.DataFrame
    calendar: str
    truth: Market | None = None

    def before(self, session: int, sessions: Sessions) -> Ground:
        """Return what was there at the close of `session`: no later bar, no value that was not known."""
        date = sessions.date(session)
        closes = load_closes(self.calendar, date, date)["close_utc"]
        return replace(
            self,
            bars=self.bars.filter(pl.col("date") <= date),
            series={name: frame.filter(pl.col("known_at") <= closes[0]) for name, frame in self.series.items()},
            truth=None,
        )


def ground_of(market: Market) -> Ground:
    """Return a simulated market as ground."""
    return Ground(market.bars, market.series, market.sectors, market.spec.calendar, market)


@dataclass
class Prepared:
    """Features, panel and matrices of a ground, each made once; as `loop.preparing.prepare` does from the store.

    All families of a unit share the same feature values and ranks: only what they predict differs. Where a session is
    one row, the S&P 500 of the ground is its only ticker.
    """

    house: House
    ground: Ground
    unit: Literal["ticker", "session"] = "ticker"
    _first: Matrix | None = field(default=None, init=False)

    @cached_property
    def sessions(self) -> Sessions:
        """Sessions of the calendar around the bars."""
        dates = self.ground.bars["date"]
        return sessions_around(self.ground.calendar, dates.min(), dates.max())  # type: ignore[arg-type]

    @cached_property
    def context(self) -> Context:
        """Market series as known at each close."""
        sessions = self.sessions
        first, last = sessions.dates[[0, -1]].astype(object)
        closes = load_closes(sessions.calendar, first, last)
        return build_context(self.ground.series, self.ground.sectors, sessions=sessions, close_utc=closes)

    @cached_property
    def bars(self) -> pl.DataFrame:
        """Bars of the tickers, or those of the index."""
        if self.unit == "ticker":
            return self.ground.bars
        index = self.context.market.drop_nulls("spx")
        prices = (pl.col("spx").alias(price) for price in BAR_PRICES)
        return index.select("date", pl.lit(MARKET).alias("ticker"), *prices, volume=pl.lit(None, dtype=pl.Float64))

    @cached_property
    def panel(self) -> Panel:
        """Closes and returns."""
        return build_panel(self.bars, self.sessions, self.context)

    @cached_property
    def _frames(self) -> dict[str, tuple[pl.DataFrame, pl.DataFrame, int]]:
        return {}

    def matrix(self, spec: StreamSpec) -> Matrix:
        """Return the matrix that `spec` learns from, with ranks."""
        if spec.feature_set not in self._frames:
            session = self.unit == "session"
            features = (
                regime_features(regime_lookback(spec.feature_set))
                if session
                else named_features(self.house, spec.feature_set)
            )
            raw = compute(self.bars, features, self.context)
            filled = fill(raw, features, self.house.settings.features.fill)
            self._frames[spec.feature_set] = raw, filled, max(feature.lookback for feature in features)
        raw, filled, warmup = self._frames[spec.feature_set]
        matrix = assemble(raw, filled, self.panel, self.sessions, label=spec.label, warmup=warmup)
        if self._first is None:
            self._first = with_ranks(matrix)
            return self._first
        if matrix.names != self._first.names or not np.array_equal(matrix.session, self._first.session):
            return with_ranks(matrix)
        # the same memory, so that what is summed of it for one family serves the others
        return replace(matrix, X=self._first.X, ranks=self._first.ranks)
