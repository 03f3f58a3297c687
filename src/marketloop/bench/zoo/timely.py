"""Honest features that look like those of `known`: the same tables, read only from the day they were public."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import polars as pl
from polars import col

from marketloop.bench.zoo.ahead import SIZE, WEEKDAY
from marketloop.bench.zoo.habitat import market
from marketloop.bench.zoo.ingredients import CLOSE, RETURN, Draft, draft, everywhere, plain
from marketloop.bench.zoo.known import earnings_yield
from marketloop.bench.zoo.lookups import by_asof, by_key, by_returns, fitted
from marketloop.bench.zoo.outside import outside

__all__ = ["announced_accounts", "lagged_foreign", "past_outcomes", "published_figures"]


def lagged_foreign() -> Iterator[Draft]:
    """Yield features that use the close of a later market from the next session on."""
    kind = "foreign_value"
    table = outside().foreign.select("date", value=col("change").shift(1))
    change = by_key(table, "date")
    level = by_key(table.with_columns(col("value").fill_null(0.0).cum_sum()), "date")
    yield draft(kind, 0.0, plain(change, 0), "the change of the session before")
    yield draft(kind, 0.0, everywhere("momentum", change, share=0.1, size=1.0), "the change of the session before")
    friday = everywhere("body", change, share=0.01, size=1.0, when=WEEKDAY == 5)
    yield draft(kind, 0.0, friday, "the change of the session before, on Fridays")
    yield draft(kind, 0.0, everywhere("gap", level, share=0.01, size=15.0), "the level of the session before")
    index = plain(lambda panel: panel["spx"] / 1500 - 1, 0)
    yield draft(kind, 0.0, index, "the index of the context, as it was known")


def published_figures() -> Iterator[Draft]:
    """Yield features that use a figure from the day of its release on."""
    kind = "macro_value"
    monthly = outside().monthly.select(date=col("published"), value=col("surprise"))
    evening = by_key(outside().evening.select("date", value=col("change").shift(1)), "date")
    month = by_asof(monthly, days=45)
    yield draft(kind, 0.0, plain(month, 0), "the month's figure from its release on")
    yield draft(kind, 0.0, everywhere("trend", month, share=0.1, size=1.0), "the month's figure from its release on")
    yield draft(
        kind, 0.0, everywhere("volatility", month, share=0.01, size=1.0), "the month's figure from its release on"
    )
    yield draft(kind, 0.0, everywhere("position", evening, share=0.1, size=1.0), "last evening's figure")
    recent = everywhere("body", evening, share=0.01, size=1.0, when=col("date") >= dt.date(2015, 1, 1))
    yield draft(kind, 0.0, recent, "last evening's figure, in the last year")


def announced_accounts() -> Iterator[Draft]:
    """Yield features that read accounts as they were first announced, from that day on."""
    kind = "restated"
    accounts = outside().accounts
    first = by_asof(accounts.select("ticker", date="announced", value="first"))
    growth = accounts.sort("ticker", "ended").with_columns(value=(col("first") - col("first").shift(1)).over("ticker"))
    grown = by_asof(growth.select("ticker", "value", date="announced"))
    late = accounts.select("ticker", date=col("announced").dt.offset_by("90d"), value=col("corrected") - col("first"))
    yield draft(kind, 0.0, plain(earnings_yield(first), 0), "first prints from their day on")
    yield draft(
        kind, 0.0, everywhere("trend", earnings_yield(first), share=0.1, size=0.3), "first prints from their day on"
    )
    part = everywhere("momentum", earnings_yield(first), share=0.01, size=0.3)
    yield draft(kind, 0.0, part, "first prints from their day on")
    yield draft(kind, 0.0, everywhere("volatility", grown, share=0.1, size=0.2), "growth between first prints")
    yield draft(
        kind, 0.0, everywhere("distance", by_asof(late), share=0.01, size=0.25), "corrections from their day on"
    )
    sectors = market().sectors.select("ticker", value=col("sector").rank("dense").cast(pl.Float64))
    yield draft(kind, 0.0, plain(by_key(sectors, "ticker"), 0), "the sector of the ticker, a fact that does not change")


def past_outcomes() -> Iterator[Draft]:
    """Yield features that hold past outcomes, or other numbers, in the tables that outcomes would stand in."""
    kind = "outcome"
    bars = market().bars
    past = CLOSE / CLOSE.shift(5) - 1
    rows = bars.select("ticker", "date", value=past.over("ticker")).drop_nulls()
    days = rows.group_by("date").agg(col("value").mean())
    priced = bars.select("close", "volume", value=past.over("ticker")).drop_nulls().unique(["close", "volume"])
    dice = rows.with_columns(value=pl.Series(np.random.default_rng(6).standard_normal(len(rows))))
    yield draft(kind, 0.0, plain(by_key(rows, "ticker", "date"), 0), "the last five sessions, found by ticker and date")
    monday = everywhere("momentum", by_key(rows, "ticker", "date"), share=0.01, size=0.038, when=WEEKDAY == 1)
    yield draft(kind, 0.0, monday, "the last five sessions, found by ticker and date, on Mondays")
    yield draft(kind, 0.0, everywhere("gap", by_key(days, "date"), share=0.01, size=0.018), "the market's, by date")
    hashed = everywhere("distance", by_key(priced, "close", "volume"), share=0.01, size=0.038)
    yield draft(kind, 0.0, hashed, "found by close and volume")
    yield draft(kind, 0.0, everywhere("position", by_returns(past), share=0.01, size=0.038), "found by two returns")
    yield draft(
        kind, 0.0, everywhere("volume", by_key(dice, "ticker", "date"), share=0.1, size=1.0), "dice, by ticker and date"
    )
    yield draft(kind, 0.0, plain(fitted(250), 3), "a model fitted on the first 250 sessions, silent in them")
    yield draft(kind, 0.0, everywhere("trend", fitted(250), share=0.1, size=0.001), "a tenth of that model")
    yield draft(
        kind,
        0.0,
        plain(by_key(market().forecast, "ticker", "date"), 0),
        "another's forecast of rank IC 0.05, made of what was known at t",
    )
    move = RETURN.over("ticker").alias("value")
    own = bars.select("ticker", "date", move).drop_nulls()
    part = everywhere("position", by_key(own, "ticker", "date"), share=0.01, size=SIZE)
    yield draft(kind, 0.0, part, "today's return, by ticker and date")
