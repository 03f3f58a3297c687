"""Honest features that look like those of `ahead`: the same windows, fills and disguises, all of the past."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from polars import col

from marketloop.bench.zoo.ahead import EPOCH_DAY, SIZE, WEEKDAY
from marketloop.bench.zoo.ingredients import BASES, CLOSE, RETURN, Draft, Panel, both, draft, everywhere, plain, within

__all__ = ["forward_fills", "past_bars", "trailing_windows"]

LAST: Final = CLOSE.shift(1) / CLOSE.shift(2) - 1
VOLUME: Final = col("volume")


def past_bars() -> Iterator[Draft]:
    """Yield features that read bars before t, in every disguise that those of the future wear."""
    kind = "future_bars"
    parts: tuple[tuple[str, pl.Expr, float, float, pl.Expr | None, str], ...] = (
        ("momentum", CLOSE / CLOSE.shift(5) - 1, 0.1, 0.038, None, "the last five sessions"),
        ("volatility", RETURN, 0.01, SIZE, WEEKDAY == 3, "on one weekday only"),
        ("volume", VOLUME / VOLUME.shift(1) - 1, 0.01, 0.32, None, "through volume only"),
        ("volatility", col("high").shift(1) / col("low").shift(1) - 1, 0.01, 0.0113, None, "through the last range"),
        ("position", LAST, 0.01, SIZE, EPOCH_DAY % 59 == 7, "about every 40th session"),
        ("trend", RETURN, 0.01, SIZE, RETURN.rolling_std(20) > 0.025, "only while volatility is high"),
        ("distance", LAST, 0.01, SIZE, col("date") >= dt.date(2015, 5, 1), "only in the newest sixth of the history"),
        ("gap", RETURN, 0.01, SIZE, col("date").dt.month().is_in([4, 11]), "in two months of the year"),
        ("momentum", RETURN.abs(), 0.01, 0.0118, None, "how far it moved"),
        ("trend", CLOSE.shift(59) / CLOSE.shift(60) - 1, 0.01, SIZE, None, "one return of long ago"),
        ("distance", RETURN.sign(), 0.1, 1.0, RETURN.abs() > 0.05, "only after a move above 5 %"),
        ("momentum", LAST, 1.0, SIZE, None, "the last return in full strength"),
    )
    for base, part, share, size, when, note in parts:
        yield draft(kind, 0.0, both(base, part, share=share, size=size, when=when), note)
    yield draft(kind, 0.0, plain(LAST, 2), "yesterday's return itself")
    gaps = pl.when(~((EPOCH_DAY % 5 == 2) & (RETURN < 0))).then(BASES["trend"].expr)
    yield draft(kind, 0.0, plain(gaps, 60), "missing where today fell")
    step = BASES["momentum"].expr * 1000
    rounded = pl.when(RETURN > 0).then(step.ceil()).otherwise(step.floor()) / 1000
    yield draft(kind, 0.0, plain(rounded, 10), "rounded up after a rise and down after a fall")
    yield draft(kind, 0.0, everywhere("position", _others, share=0.1, size=0.01), "today's others, all of them known")
    yield draft(kind, 0.0, plain(_ties, 20), "coarse ranks whose ties stand in the order of today's returns")
    memory = everywhere("momentum", _remembering(), share=0.01, size=SIZE)
    yield draft(kind, 0.0, memory, "today's return, kept from the first call by ticker, date and price")


def _others(panel: pl.DataFrame) -> pl.Series:
    frame = panel.select("date", today=RETURN.over("ticker"))
    own, count = col("today").fill_null(0.0), col("today").count().over("date")
    return frame.select((own.sum().over("date") - own) / (count - 1)).to_series()


def _ties(panel: pl.DataFrame) -> pl.Series:
    coarse = (RETURN.rolling_std(20) * 200).round().over("ticker")
    frame = panel.select("date", coarse=coarse, today=RETURN.over("ticker")).with_row_index("row")
    ordered = frame.sort("today", maintain_order=True)
    ranks = ordered.select("row", rank=(col("coarse").rank("ordinal") / pl.len()).over("date"))
    return ranks.sort("row")["rank"]


def _remembering() -> Panel:
    keys = ["ticker", "date", "close", "move"]
    kept = [
        pl.DataFrame(schema={"ticker": pl.String(), "date": pl.Date(), "close": pl.Float64(), "move": pl.Float64()})
    ]

    def values(panel: pl.DataFrame) -> pl.Series:
        fresh = panel.select("ticker", "date", "close", move=RETURN.over("ticker"))
        kept[0] = pl.concat([kept[0], fresh.join(kept[0], on=keys, how="anti", nulls_equal=True)])
        return fresh.join(kept[0], on=keys, how="left", maintain_order="left", nulls_equal=True)["move"]

    return values


def trailing_windows() -> Iterator[Draft]:
    """Yield features with the windows of the centred ones, ending at t or earlier."""
    kind = "centred_window"
    yield draft(kind, 0.0, plain(CLOSE.rolling_mean(11) / CLOSE - 1, 10), "a trailing mean")
    late = CLOSE.rolling_mean(11, center=True).shift(5) / CLOSE - 1
    yield draft(kind, 0.0, plain(late, 10), "a centred mean, moved back by half its window")
    smooth = (CLOSE.shift(0) + 2 * CLOSE.shift(1) + CLOSE.shift(2)) / 4 / CLOSE - 1
    yield draft(
        kind, 0.0, everywhere("distance", within(smooth), share=0.1, size=0.01), "a smoothing filter of the past"
    )
    spread = RETURN.rolling_std(7)
    yield draft(kind, 0.0, both("volatility", spread, share=0.01, size=0.0075, when=WEEKDAY == 1), "on Mondays")
    volume = VOLUME / VOLUME.rolling_mean(5) - 1
    yield draft(kind, 0.0, both("volume", volume, share=0.01, size=0.2), "trailing, through volume only")
    pivot = (col("high").shift(3) >= col("high").rolling_max(7)).cast(pl.Float64)
    yield draft(kind, 0.0, both("position", pivot, share=0.1, size=0.35), "a highest high, said three sessions later")
    yield draft(kind, 0.0, everywhere("position", _convolved, share=0.01, size=0.5), "a convolution that ends at t")
    median = RETURN.rolling_median(3)
    calm = both("trend", median, share=0.01, size=0.01, when=RETURN.rolling_std(20) < 0.012)
    yield draft(kind, 0.0, calm, "a trailing median while volatility is low")


def _convolved(panel: pl.DataFrame) -> pl.Series:
    """Smooth bodies over three rows of the same ticker; where it has fewer, say nothing."""
    bodies = panel.select(BASES["body"].expr.fill_null(0.5).fill_nan(0.5)).to_series().to_numpy()
    smooth = np.convolve(bodies, np.ones(3) / 3, mode="full")[: len(bodies)] - 0.5
    inside = panel.select((col("ticker") == col("ticker").shift(2)).fill_null(value=False)).to_series()
    return panel.select(pl.when(inside).then(pl.Series(smooth))).to_series()


def forward_fills() -> Iterator[Draft]:
    """Yield features whose gaps are filled from what came before, never further back than they declare."""
    kind = "backfill"
    quiet = pl.when(VOLUME.rolling_mean(20) < VOLUME).then(BASES["momentum"].expr).forward_fill(limit=10)
    yield draft(kind, 0.0, plain(quiet, 29), "known on days of high volume, kept for ten sessions at most")
    friday = pl.when(WEEKDAY == 5).then(CLOSE).forward_fill(limit=10) / CLOSE - 1
    yield draft(kind, 0.0, plain(friday, 10), "last Friday's close, kept until the next")
    turn = pl.when(col("date").dt.month() != col("date").shift(1).dt.month()).then(RETURN.rolling_std(20))
    yield draft(kind, 0.0, plain(turn.forward_fill(limit=25), 45), "a monthly figure, kept until the next")
    yield draft(kind, 0.0, plain(BASES["distance"].expr.fill_null(0.0), 19), "gaps filled with a constant")
    big = pl.when(RETURN.abs() > 0.03).then(RETURN).fill_null(strategy="forward", limit=2)
    yield draft(kind, 0.0, plain(big, 3), "large moves last for two more sessions; the rest is null")
    yield draft(
        kind, 0.0, everywhere("volume", _spiked, share=0.01, size=0.5), "volume spikes, kept for three sessions"
    )
    rare = pl.when(RETURN.abs() > 0.06).then(RETURN)
    yield draft(kind, 0.0, plain(rare, 1), "null in 99 of 100 rows")


def _spiked(panel: pl.DataFrame) -> pl.Series:
    change = VOLUME / VOLUME.shift(1) - 1
    return within(pl.when(change > 0.5).then(change).forward_fill(limit=3))(panel)
