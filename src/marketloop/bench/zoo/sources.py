"""Market series as sources deliver them: with wrong times and rewritten values, and with right ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import polars as pl
from polars import col

from marketloop.bench.zoo.habitat import market
from marketloop.bench.zoo.ingredients import Draft, draft
from marketloop.bench.zoo.outside import outside
from marketloop.bench.zoo.specimen import Delivery, SeriesPlant

__all__ = ["honest_series", "leaking_series"]

EVERY: Final = 13
"""Sessions between two answers that the store kept: prime to the five of a week, so every weekday is among them."""
SOON: Final = dt.timedelta(minutes=5)
END: Final = dt.datetime(2016, 1, 1, tzinfo=dt.UTC)
SAID: Final = ("date", "value", "known_at")
Answer = Callable[[dt.datetime], pl.DataFrame]


def _plant(name: str, answer: Answer) -> SeriesPlant:
    """Ask a source at the end, and minutes after the close of every 13th session."""
    times = [time + SOON for time in market().closes["close_utc"][40::EVERY].to_list()]
    return SeriesPlant(name, answer(END), tuple(Delivery(time, answer(time)) for time in times))


def _source(table: pl.DataFrame) -> Answer:
    """Return the source that knows each row of a table ``date, value, known_at, public`` from `public` on."""
    return lambda time: table.filter(col("public") <= time).select(SAID)


def _rebased(table: pl.DataFrame, share: float = 1.0) -> Answer:
    """Return the source that, a quarter later, puts ``corrected`` in the place of ``value`` and keeps the old time."""
    value, final = col("value"), col("corrected")
    mixed = value + share * (final - value)

    def answer(time: dt.datetime) -> pl.DataFrame:
        known = table.filter(col("public") <= time)
        settled = col("public") + dt.timedelta(days=90) <= time
        return known.select("date", pl.when(settled).then(mixed).otherwise(value).alias("value"), "known_at")

    return answer


def _closes() -> pl.DataFrame:
    return market().closes.with_columns(close=col("close_utc").cast(pl.Datetime("us", "UTC"))).select("date", "close")


def _foreign() -> pl.DataFrame:
    """Return the level of the later market, public at the end of the day in UTC."""
    end = col("date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + dt.timedelta(days=1)
    level = 90.0 * (0.008 * col("change")).cum_sum().exp()
    return (
        outside()
        .foreign.join(_closes(), on="date", maintain_order="left")
        .select("date", "close", value=level, public=end)
    )


def _evening() -> pl.DataFrame:
    """Return the evening's figure, public three hours after the close."""
    public = col("close") + dt.timedelta(hours=3)
    level = 2.5 + (0.04 * col("change")).cum_sum()
    return (
        outside()
        .evening.join(_closes(), on="date", maintain_order="left")
        .select("date", "close", value=level, public=public)
    )


def _monthly() -> pl.DataFrame:
    """Return the month's figure, public an hour before the opening of its day of release; corrected ones know more."""
    closes = _closes()
    table = outside().monthly.join(closes.rename({"date": "reference"}), on="reference", maintain_order="left")
    release = closes.rename({"date": "published", "close": "released"})
    table = table.join(release, on="published", maintain_order="left")
    value, later = col("surprise"), col("surprise").shift(-1).fill_null(0.0)
    public = col("released") - dt.timedelta(hours=7, minutes=30)
    return table.select("close", date="reference", value=5 + value, corrected=5 + 0.5 * value + later, public=public)


def leaking_series() -> Iterator[Draft]:
    """Yield series that say they were known when they were not."""
    foreign, evening, monthly = _foreign(), _evening(), _monthly()
    at_close = foreign.with_columns(known_at=col("close"))
    yield draft(
        "foreign_value", 1.0, _plant("usd", _source(at_close)), "said to be known at the close of another exchange"
    )
    friday = col("date").dt.weekday() == 5
    sometimes = foreign.with_columns(known_at=pl.when(friday).then(col("close")).otherwise(col("public")))
    yield draft(
        "foreign_value", 1.0, _plant("usd", _source(sometimes)), "only on Fridays, when the day's end is a weekend"
    )
    moved = foreign.with_columns(col("value", "public").shift(-1), known_at=col("close")).drop_nulls()
    yield draft("foreign_value", 1.0, _plant("spx", _source(moved)), "every value under the date before its own")
    said = evening.with_columns(known_at=col("close"))
    yield draft(
        "macro_value", 1.0, _plant("us10y", _source(said)), "the evening's figure, said to be known at the close"
    )
    recent = pl.when(col("date") >= dt.date(2015, 1, 1)).then(col("close")).otherwise(col("public"))
    last = evening.with_columns(known_at=recent)
    yield draft("macro_value", 1.0, _plant("us10y", _source(last)), "the same, in the last year only")
    month = monthly.with_columns(known_at=col("close"))
    yield draft("macro_value", 1.0, _plant("usd", _source(month)), "the month's figure, said to be known at its end")
    yield from _restated()


def _restated() -> Iterator[Draft]:
    monthly = _monthly().with_columns(known_at=col("public"))
    foreign = _foreign().with_columns(known_at=col("public"), corrected=col("value").rolling_mean(21, center=True))
    foreign = foreign.with_columns(col("corrected").fill_null(col("value")))
    yield draft(
        "restated", 1.0, _plant("us10y", _rebased(monthly)), "corrected figures under the time of the first print"
    )
    yield draft("restated", 0.1, _plant("usd", _rebased(foreign, 0.1)), "smoothed after the fact, a tenth of the way")
    yield draft("restated", 0.01, _plant("us10y", _rebased(monthly, 0.01)), "corrected by a hundredth of the way")


def honest_series() -> Iterator[Draft]:
    """Yield series that say when they were known."""
    house = market().series
    for name in ("spx", "vix", "usd", "us10y"):
        table = house[name].with_columns(public=col("known_at"))
        yield draft("foreign_value", 0.0, _plant(name, _source(table)), "known when it says so")
    right = _foreign().with_columns(known_at=col("public"))
    yield draft("foreign_value", 0.0, _plant("usd", _source(right)), "the later market, with the time of its own close")
    evening = _evening().with_columns(known_at=col("public"))
    yield draft("macro_value", 0.0, _plant("us10y", _source(evening)), "the evening's figure, known in the evening")
    month = _monthly().with_columns(known_at=col("public"))
    yield draft("macro_value", 0.0, _plant("usd", _source(month)), "the month's figure, known at its release")
    late = evening.with_columns(
        known_at=col("public") + dt.timedelta(days=3), public=col("public") + dt.timedelta(days=3)
    )
    yield draft("macro_value", 0.0, _plant("us10y", _source(late)), "three days late, and says so")
    yield draft(
        "restated",
        0.0,
        _plant("us10y", _appended(month)),
        "corrections stand beside the first prints, with their own time",
    )
    yield draft("restated", 0.0, _plant("spx", _windowed(house["spx"])), "answers that hold the last 120 rows only")
    yield draft(
        "restated", 0.0, _plant("vix", _rewritten(house["vix"])), "answers that differ in the last bit of a number"
    )


def _appended(table: pl.DataFrame) -> Answer:
    later = table.with_columns(value=col("corrected"), known_at=col("public") + dt.timedelta(days=90))
    both = pl.concat([table, later.with_columns(public=col("known_at"))]).sort("known_at", "date")
    return _source(both)


def _windowed(table: pl.DataFrame) -> Answer:
    return lambda time: table.filter(col("known_at") <= time).select(SAID).tail(120 if time < END else len(table))


def _rewritten(table: pl.DataFrame) -> Answer:
    def answer(time: dt.datetime) -> pl.DataFrame:
        factor = 1.0 if time == END else float(np.nextafter(1.0, 2.0))
        return table.filter(col("known_at") <= time).select("date", col("value") * factor, "known_at")

    return answer
