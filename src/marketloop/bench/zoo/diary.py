"""Honest features of the calendar, which everybody knows in advance, and honest ones that are merely odd."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
from polars import col

from marketloop.bench.zoo.ahead import EPOCH_DAY, WEEKDAY
from marketloop.bench.zoo.habitat import market
from marketloop.bench.zoo.ingredients import BASES, CLOSE, RETURN, Draft, both, draft, everywhere, plain
from marketloop.bench.zoo.lookups import by_key

__all__ = ["calendars", "oddities"]

MONTH = col("date").dt.month()


def calendars() -> Iterator[Draft]:
    """Yield features of the date alone."""
    kind = "future_bars"
    yield draft(kind, 0.0, plain(WEEKDAY.cast(pl.Float64), 0), "the weekday")
    yield draft(kind, 0.0, plain(MONTH.cast(pl.Float64), 0), "the month")
    left = (col("date").dt.month_end() - col("date")).dt.total_days().cast(pl.Float64)
    yield draft(kind, 0.0, plain(left, 0), "days to the end of the month, which lies ahead and is known")
    third = (WEEKDAY == 5) & col("date").dt.day().is_between(15, 21)
    yield draft(kind, 0.0, plain(third.cast(pl.Float64), 0), "the third Friday of the month")
    yield draft(kind, 0.0, everywhere("volume", by_key(_meetings(), "date"), share=0.5, size=1.0), "announced meetings")
    yield draft(kind, 0.0, plain(by_key(_pauses(), "date"), 0), "days to the next session, by the exchange's calendar")
    turn = both("momentum", left, share=0.01, size=8.8)
    yield draft(kind, 0.0, turn, "days to the end of the month, mixed in")


def _meetings() -> pl.DataFrame:
    """Return a flag on the Wednesdays on which a committee had said, a year before, that it would meet."""
    dates = market().bars.select("date").unique().sort("date")
    return dates.with_columns(value=((WEEKDAY == 3) & (EPOCH_DAY // 7 % 6 == 2)).cast(pl.Float64))


def _pauses() -> pl.DataFrame:
    """Return the days until the next session: it knows of the next *bar*, which the calendar had announced."""
    dates = market().bars.select("date").unique().sort("date")
    pause = (col("date").shift(-1) - col("date")).dt.total_days().fill_null(1)
    return dates.with_columns(value=pause.cast(pl.Float64))


def oddities() -> Iterator[Draft]:
    """Yield features that are useless, rough or noisy, and know nothing of the future."""
    kind = "full_sample"
    yield draft(kind, 0.0, plain(pl.lit(3.5) + 0 * CLOSE, 0), "a constant")
    yield draft(kind, 0.0, plain(pl.when(CLOSE < 0).then(CLOSE), 0), "null everywhere")
    yield draft(kind, 0.0, plain((RETURN > 0).cast(pl.Float64), 1), "a flag")
    yield draft(kind, 0.0, plain(CLOSE * 1e6, 0), "a large level")
    yield draft(kind, 0.0, plain(RETURN * 1e-9, 1), "a tiny one")
    yield draft(kind, 0.0, plain((CLOSE * 1000).round() % 7 - 3.0, 0), "last digits of the price: as good as random")
    scattered = (col("volume") * 0.618034) % 1.0
    yield draft(
        kind, 0.0, both("distance", scattered - 0.5, share=0.1, size=0.29), "noise from the digits of the volume"
    )
    sharp = (BASES["distance"].expr * 50).tanh()
    yield draft(kind, 0.0, plain(sharp, 19), "a saturated distance")
    ratio = RETURN.rolling_mean(20) / RETURN.rolling_std(20)
    yield draft(kind, 0.0, plain(ratio, 20), "a ratio of rolling sums, with their noise")
    yield draft(kind, 0.0, plain(RETURN.rolling_skew(60), 60), "a third moment, whose sums are touchy")
