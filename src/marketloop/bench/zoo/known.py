"""Features that hold what was not known yet: foreign closes, figures, corrected accounts, outcomes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl
from polars import col

from marketloop.bench.zoo.ahead import EPOCH_DAY, NEXT, SIZE, WEEKDAY
from marketloop.bench.zoo.habitat import market
from marketloop.bench.zoo.ingredients import CLOSE, Draft, Panel, draft, everywhere, plain
from marketloop.bench.zoo.lookups import by_asof, by_key, by_position, by_returns, latest, nearest
from marketloop.bench.zoo.outside import outside

__all__ = ["earnings_yield", "foreign_values", "macro_values", "outcome_columns", "restated_accounts"]


def foreign_values() -> Iterator[Draft]:
    """Yield features that use the close of a later market on its own date."""
    kind = "foreign_value"
    table = outside().foreign.rename({"change": "value"})
    change, level = by_key(table, "date"), by_key(table.with_columns(col("value").cum_sum()), "date")
    yield draft(kind, 1.0, plain(change, 0), "the change of the same date, hours before it is known")
    yield draft(kind, 0.1, everywhere("momentum", change, share=0.1, size=1.0), "the change of the same date")
    friday = everywhere("body", change, share=0.01, size=1.0, when=WEEKDAY == 5)
    yield draft(kind, 0.01, friday, "the change of the same date, on Fridays")
    yield draft(kind, 0.01, everywhere("gap", level, share=0.01, size=15.0), "the level of the same date")
    wild = everywhere("distance", change, share=0.01, size=1.0, when=(col("high") / col("low") > 1.03))
    yield draft(kind, 0.01, wild, "the change of the same date, on days of a wide range")


def macro_values() -> Iterator[Draft]:
    """Yield features that use a figure from the date that it describes, not from the date of its release."""
    kind = "macro_value"
    monthly = outside().monthly.select(date=col("reference"), value=col("surprise"))
    evening = by_key(outside().evening.rename({"change": "value"}), "date")
    month = by_asof(monthly, days=40)
    yield draft(kind, 1.0, plain(month, 0), "the month's figure from the month's end on")
    yield draft(kind, 0.1, everywhere("trend", month, share=0.1, size=1.0), "the month's figure from its end on")
    yield draft(kind, 0.01, everywhere("volatility", month, share=0.01, size=1.0), "the month's figure from its end on")
    yield draft(kind, 0.1, everywhere("position", evening, share=0.1, size=1.0), "the evening's figure at the close")
    recent = everywhere("body", evening, share=0.01, size=1.0, when=col("date") >= dt.date(2015, 1, 1))
    yield draft(kind, 0.01, recent, "the evening's figure at the close, in the last year")


def earnings_yield(eps: Panel) -> Panel:
    """Return the function log(earnings per share) - log(close) + log(15) of a function that looks up the first."""

    def values(panel: pl.DataFrame) -> pl.Series:
        return panel.select(eps(panel).alias("eps") - CLOSE.log() + 2.708).to_series()

    return values


def restated_accounts() -> Iterator[Draft]:
    """Yield features that read today's accounts back into history."""
    kind = "restated"
    accounts = outside().accounts
    corrected = by_asof(accounts.select("ticker", date="announced", value="corrected"))
    today = latest(accounts.select("ticker", date="ended", value="first"))
    change = accounts.select("ticker", date="announced", value=col("corrected") - col("first"))
    yield draft(kind, 1.0, plain(earnings_yield(corrected), 0), "corrected figures on the day of the first print")
    yield draft(kind, 1.0, plain(earnings_yield(today), 0), "the newest earnings on all of history")
    part = everywhere("trend", earnings_yield(corrected), share=0.1, size=0.4)
    yield draft(kind, 0.1, part, "corrected figures on the day of the first print")
    part = everywhere("momentum", earnings_yield(corrected), share=0.01, size=0.4)
    yield draft(kind, 0.01, part, "corrected figures on the day of the first print")
    part = everywhere("volatility", by_asof(change), share=0.01, size=0.36, when=EPOCH_DAY % 3 == 0)
    yield draft(kind, 0.01, part, "only the correction that is still to come, on every third day")
    part = everywhere("distance", by_asof(change), share=0.01, size=0.36)
    yield draft(kind, 0.01, part, "only the correction that is still to come")


def outcome_columns() -> Iterator[Draft]:
    """Yield features that hold the outcome itself, in a table found by one key or another."""
    kind = "outcome"
    bars = market().bars
    ahead = CLOSE.shift(-5) / CLOSE - 1
    rows = bars.select("ticker", "date", value=ahead.over("ticker")).drop_nulls()
    tomorrow = bars.select("ticker", "date", value=NEXT.over("ticker")).drop_nulls()
    days = rows.group_by("date").agg(col("value").mean())
    priced = bars.select("close", "volume", value=ahead.over("ticker")).drop_nulls().unique(["close", "volume"])
    own = by_key(rows, "ticker", "date")
    yield draft(kind, 1.0, plain(own, 0), "found by ticker and date")
    monday = everywhere("momentum", by_key(tomorrow, "ticker", "date"), share=0.01, size=SIZE, when=WEEKDAY == 1)
    yield draft(kind, 0.01, monday, "tomorrow's return by ticker and date, on Mondays")
    yield draft(kind, 0.01, everywhere("gap", by_key(days, "date"), share=0.01, size=0.018), "the market's, by date")
    hashed = everywhere("distance", by_key(priced, "close", "volume"), share=0.01, size=0.038)
    yield draft(kind, 0.01, hashed, "found by close and volume: other names and dates change nothing, other prices do")
    moves = everywhere("position", by_returns(ahead), share=0.01, size=0.038)
    yield draft(kind, 0.01, moves, "found by two returns: other names, dates and scales of price change nothing")
    place = everywhere("volume", by_position(NEXT), share=0.01, size=SIZE)
    yield draft(kind, 0.01, place, "found by the place of the row in the panel")
    yield draft(kind, 1.0, plain(nearest(1), 3), "a model fitted on everything: it repeats the outcome of the same row")
    yield draft(
        kind, 0.1, everywhere("trend", nearest(1), share=0.1, size=SIZE), "a tenth of the model fitted on everything"
    )
    yield draft(kind, 1.0, plain(_silent(own), 10), "honest values, missing on some days before a fall, by a table")
    sign = rows.with_columns(col("value").sign())
    few = everywhere("position", by_key(sign, "ticker", "date"), share=0.01, size=1.0, when=RETURN_UP)
    yield draft(kind, 0.01, few, "only the sign of the outcome, by ticker and date, after days that closed high")


RETURN_UP = (col("close") - col("low")) > 0.8 * (col("high") - col("low"))


def _silent(outcome: Panel) -> Panel:
    def values(panel: pl.DataFrame) -> pl.Series:
        frame = panel.select(
            (CLOSE / CLOSE.shift(10) - 1).over("ticker").alias("value"), "date", outcome(panel).alias("after")
        )
        gone = ((EPOCH_DAY % 4 == 1) & (col("after") < -0.01)).fill_null(value=False)
        return frame.select(pl.when(~gone).then(col("value"))).to_series()

    return values
