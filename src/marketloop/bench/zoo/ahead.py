"""Features that look ahead in the bars: later bars, centred windows, values filled backwards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from polars import col

from marketloop.bench.zoo.ingredients import BASES, CLOSE, RETURN, Draft, Panel, both, draft, everywhere, plain, within

__all__ = ["EPOCH_DAY", "NEXT", "SIZE", "WEEKDAY", "backfills", "centred_windows", "future_bars"]

NEXT: Final = CLOSE.shift(-1) / CLOSE - 1
SIZE: Final = 0.0172
"""Typical one-session return."""
WEEKDAY: Final = col("date").dt.weekday()
EPOCH_DAY: Final = col("date").cast(pl.Int32)
KERNEL: Final = np.array([-3.0, 12.0, 17.0, 12.0, -3.0]) / 35.0
"""Smoothing by a parabola over five bars, two of them later (Savitzky and Golay 1964)."""


def future_bars() -> Iterator[Draft]:
    """Yield features that read bars after t."""
    kind = "future_bars"
    yield draft(kind, 1.0, plain(NEXT, 0), "the next return itself")
    far = CLOSE.shift(-5) / CLOSE - 1
    yield draft(kind, 0.1, both("momentum", far, share=0.1, size=0.038), "the next five sessions")
    wednesday = both("volatility", NEXT, share=0.01, size=SIZE, when=WEEKDAY == 3)
    yield draft(kind, 0.01, wednesday, "on one weekday only")
    volume = col("volume").shift(-1) / col("volume") - 1
    yield draft(kind, 0.01, both("volume", volume, share=0.01, size=0.32), "through volume only")
    spread = col("high").shift(-1) / col("low").shift(-1) - 1
    yield draft(kind, 0.01, both("volatility", spread, share=0.01, size=0.0113), "through the next range only")
    rare = both("position", NEXT, share=0.01, size=SIZE, when=EPOCH_DAY % 59 == 7)
    yield draft(kind, 0.01, rare, "about every 40th session: some 17 sessions in all, every ticker in each")
    wild = both("trend", NEXT, share=0.01, size=SIZE, when=RETURN.rolling_std(20) > 0.025)
    yield draft(kind, 0.01, wild, "only while volatility is high")
    recent = both("distance", NEXT, share=0.01, size=SIZE, when=col("date") >= dt.date(2015, 5, 1))
    yield draft(kind, 0.01, recent, "only in the newest sixth of the history")
    few = both("body", NEXT, share=0.01, size=SIZE, when=col("ticker").is_in(["SYN009", "SYN022"]))
    yield draft(kind, 0.01, few, "on two tickers of thirty")
    months = both("gap", NEXT, share=0.01, size=SIZE, when=col("date").dt.month().is_in([4, 11]))
    yield draft(kind, 0.01, months, "in two months of the year")
    yield from _odd_futures()


def _odd_futures() -> Iterator[Draft]:
    kind = "future_bars"
    size = both("momentum", NEXT.abs(), share=0.01, size=0.0118)
    yield draft(kind, 0.01, size, "how far it moves, not which way: nothing to see in signed returns")
    later = both("volume", CLOSE.shift(-60) / CLOSE.shift(-59) - 1, share=0.01, size=SIZE)
    yield draft(kind, 0.01, later, "one return sixty sessions ahead, beyond every label")
    jump = both("distance", NEXT.sign(), share=0.1, size=1.0, when=NEXT.abs() > 0.05)
    yield draft(kind, 0.1, jump, "only before a move above 5 %: some 1 % of the rows")
    yield draft(kind, 1.0, plain(_gaps(), 60), "the value is honest; it is missing where tomorrow falls")
    yield draft(kind, 0.01, plain(_rounded(), 10), "rounded up before a rise and down before a fall")
    yield draft(kind, 0.1, everywhere("position", _others, share=0.1, size=0.01), "tomorrow's others, not its own")
    yield draft(kind, 1.0, plain(_ties, 20), "coarse ranks whose ties stand in the order of tomorrow's returns")
    memory = everywhere("momentum", _remembering(), share=0.01, size=SIZE)
    note = "kept from the first call by ticker and date and given again, so that a shorter panel changes nothing"
    yield draft(kind, 0.01, memory, note + "; other dates or tickers find the memory empty")


def _gaps() -> pl.Expr:
    """Honest where it stands; a tenth of the rows, before falls, is gone, which looks like thin data."""
    missing = (EPOCH_DAY % 5 == 2) & (NEXT < 0)
    return pl.when(~missing.fill_null(value=False)).then(BASES["trend"].expr)


def _rounded() -> pl.Expr:
    step = BASES["momentum"].expr * 1000
    return pl.when(NEXT > 0).then(step.ceil()).when(NEXT < 0).then(step.floor()).otherwise(step.round()) / 1000


def _others(panel: pl.DataFrame) -> pl.Series:
    """Return the mean of tomorrow's returns over the other tickers of the session."""
    frame = panel.select("date", tomorrow=NEXT.over("ticker"))
    own, count = col("tomorrow").fill_null(0.0), col("tomorrow").count().over("date")
    return frame.select((own.sum().over("date") - own) / (count - 1)).to_series()


def _ties(panel: pl.DataFrame) -> pl.Series:
    """Rank a coarse volatility within the session; equal ones by the place of their row in a sorted frame."""
    coarse = (RETURN.rolling_std(20) * 200).round().over("ticker")
    frame = panel.select("date", coarse=coarse, tomorrow=NEXT.over("ticker")).with_row_index("row")
    ordered = frame.sort("tomorrow", maintain_order=True)
    ranks = ordered.select("row", rank=(col("coarse").rank("ordinal") / pl.len()).over("date"))
    return ranks.sort("row")["rank"]


def _remembering() -> Panel:
    kept = [pl.DataFrame(schema={"ticker": pl.String(), "date": pl.Date(), "kept": pl.Float64()})]

    def values(panel: pl.DataFrame) -> pl.Series:
        fresh = panel.select("ticker", "date", kept=NEXT.over("ticker")).drop_nulls()
        kept[0] = pl.concat([kept[0], fresh.join(kept[0], on=["ticker", "date"], how="anti")])
        return panel.join(kept[0], on=["ticker", "date"], how="left", maintain_order="left")["kept"]

    return values


def centred_windows() -> Iterator[Draft]:
    """Yield features whose window lies around t."""
    kind = "centred_window"
    mean = CLOSE.rolling_mean(11, center=True) / CLOSE - 1
    yield draft(kind, 1.0, plain(mean, 5), "a centred mean")
    yield draft(kind, 0.1, everywhere("distance", _smoothed, share=0.1, size=0.01), "a smoothing filter of five bars")
    spread = RETURN.rolling_std(7, center=True)
    monday = both("volatility", spread, share=0.01, size=0.0075, when=WEEKDAY == 1)
    yield draft(kind, 0.01, monday, "a centred volatility, on Mondays")
    volume = col("volume") / col("volume").rolling_mean(5, center=True) - 1
    yield draft(kind, 0.01, both("volume", volume, share=0.01, size=0.2), "centred, through volume only")
    pivot = (col("high") >= col("high").rolling_max(7, center=True)).cast(pl.Float64)
    yield draft(kind, 0.1, both("position", pivot, share=0.1, size=0.35), "highest high of the week around t")
    yield draft(kind, 0.01, everywhere("body", _convolved, share=0.01, size=0.5), "a convolution over the whole column")
    median = RETURN.rolling_median(3, center=True)
    calm = both("trend", median, share=0.01, size=0.01, when=RETURN.rolling_std(20) < 0.012)
    yield draft(kind, 0.01, calm, "a centred median while volatility is low")


def _smoothed(panel: pl.DataFrame) -> pl.Series:
    bent = sum((weight * CLOSE.shift(2 - k) for k, weight in enumerate(KERNEL)), start=pl.lit(0.0))
    return within(bent / CLOSE - 1)(panel)


def _convolved(panel: pl.DataFrame) -> pl.Series:
    """Smooth the bodies of all rows at once: the middle of the kernel lies on t, and tickers run into each other."""
    bodies = panel.select(BASES["body"].expr.fill_null(0.5).fill_nan(0.5)).to_series().to_numpy()
    return pl.Series(np.convolve(bodies, np.ones(3) / 3, mode="same") - 0.5)


def backfills() -> Iterator[Draft]:
    """Yield features that fill gaps from what came later."""
    kind = "backfill"
    quiet = pl.when(col("volume") > col("volume").rolling_mean(20)).then(BASES["momentum"].expr)
    yield draft(kind, 1.0, plain(quiet.backward_fill(), 20), "known on days of high volume, filled from the next one")
    line = pl.when(WEEKDAY == 5).then(CLOSE).interpolate() / CLOSE - 1
    yield draft(kind, 0.1, both("distance", line, share=0.1, size=0.01), "Fridays' closes joined by straight lines")
    month = pl.when(col("date").dt.month() != col("date").shift(1).dt.month()).then(RETURN.rolling_std(20))
    filled = both("volatility", month.backward_fill(), share=0.01, size=0.0064)
    yield draft(kind, 0.01, filled, "a monthly figure filled from the month to come")
    yield draft(
        kind, 1.0, plain(_warm_filled(), 0), "only the first nineteen bars of a ticker are filled, the rest is honest"
    )
    big = pl.when(RETURN.abs() > 0.03).then(RETURN).fill_null(strategy="backward", limit=2)
    yield draft(kind, 0.1, both("gap", big, share=0.1, size=0.03), "large moves spill over to the two sessions before")
    yield draft(
        kind, 0.01, everywhere("volume", _across, share=0.01, size=0.5), "filled over the rows of the whole panel"
    )
    few = both("trend", month.backward_fill(), share=0.01, size=0.0064, when=col("ticker").is_in(["SYN004", "SYN016"]))
    yield draft(kind, 0.01, few, "a monthly figure filled from the month to come, on two tickers")


def _warm_filled() -> pl.Expr:
    return BASES["distance"].expr.backward_fill()


def _across(panel: pl.DataFrame) -> pl.Series:
    """Mark volume spikes and fill the column backwards up to three rows, as a pipeline on flat frames does."""
    spike = (col("volume") / col("volume").shift(1) - 1).over("ticker").alias("spike")
    frame = panel.select(spike).select(pl.when(col("spike") > 0.5).then(col("spike")))
    return frame.to_series().fill_null(strategy="backward", limit=3)
