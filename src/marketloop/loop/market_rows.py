"""The S&P 500 as a universe of one: bars for families that say one thing of a whole session."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_PRICES
from marketloop.loop.context import Market, index_market, sessions_around
from marketloop.loop.house import House

__all__ = ["MARKET", "MarketRows", "market_rows"]

MARKET = "MARKET"
"""What scoreboards and documents call the one ticker."""

BEHIND = 10
"""Sessions by which the S&P 500 may end before the bars without a word."""


@dataclass(frozen=True, slots=True)
class MarketRows:
    """The market on the sessions of the S&P 500, and its closes as bars of one ticker.

    `notes` say what a reader must know of them.
    """

    market: Market
    bars: pl.DataFrame
    notes: tuple[str, ...] = ()


def market_rows(house: House, bars: pl.DataFrame, *, least: int = 0) -> MarketRows:
    """Return all sessions of which the S&P 500 is known, whatever the `bars` of the project cover.

    Open, high and low are the close, for a series of values has no others, and there is no volume. Sessions in which
    the index was not known (a hole of more than ten sessions) have no bar.

    Parameters
    ----------
    least : int
        Sessions that are needed.

    Raises
    ------
    MissingContextError
        There is no S&P 500 series.
    UsageError
        It holds a value that is no index level, or has fewer than `least` sessions.
    """
    market = index_market(house, bars)
    index = market.context.market.drop_nulls("spx")
    if len(index) < least:
        raise UsageError(
            f"the S&P 500 series has {len(index)} sessions and at least {least} are needed: give a longer one "
            "([context] spx)"
        )
    rows = index.select(
        "date",
        pl.lit(MARKET).alias("ticker"),
        *(pl.col("spx").alias(price) for price in BAR_PRICES),
        pl.lit(None, dtype=pl.Float64).alias("volume"),
    )
    return MarketRows(market, rows, _notes(house, index["date"][-1], bars))


def _notes(house: House, last: dt.date, bars: pl.DataFrame) -> tuple[str, ...]:
    newest = bars["date"].max()
    if not isinstance(newest, dt.date) or newest <= last:
        return ()
    dates = sessions_around(house.settings.project.calendar, last, newest).dates
    behind = int(((dates > np.datetime64(last)) & (dates <= np.datetime64(newest))).sum())
    if behind <= BEHIND:
        return ()
    text = f"the S&P 500 series ends on {last}, {behind} sessions before the newest bar ({newest})"
    return (f"{text}: what is said is as of then; bring [context] spx up to date",)
