"""Bars made ready: checked, in order, without unusable rows, each bar numbered within its ticker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from polars import col

from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_PRICES, BAR_SCHEMA, require_columns

__all__ = ["BAR", "ROW", "TICKER", "Panel", "bar_numbers", "make_panel", "numbered"]

TICKER, BAR, ROW = "_ticker", "_bar", "_row"
"""Internal columns: number of the ticker, number of the bar within its ticker, row in the sorted input."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars ready for computation.

    Parameters
    ----------
    keys : frame ``date, ticker``
        Every row of the input, sorted by (ticker, date).
    bars : frame of `BAR_SCHEMA` and the internal columns
        The usable bars among them, in the same order. A bar that lacks a price is no bar: it gets null features,
        and its neighbours are computed as if it were not there. A missing volume stays null.
    """

    keys: pl.DataFrame
    bars: pl.DataFrame

    @property
    def complete(self) -> bool:
        """Whether every row of the input is a usable bar."""
        return len(self.keys) == len(self.bars)


def make_panel(bars: pl.DataFrame) -> Panel:
    """Check `bars`, sort them by (ticker, date) and set unusable ones apart.

    Raises
    ------
    UsageError
        A column is missing or of the wrong type, a key is null, or a (ticker, date) stands twice.
    """
    _check_schema(bars)
    frame = bars.select(_typed(bars.schema[name], name) for name in BAR_SCHEMA)
    if frame.select(_misplaced().any()).item():
        frame = frame.sort("ticker", "date", maintain_order=True)
        _refuse_duplicates(frame)
    keys = frame.select("date", "ticker")
    usable = frame.select(pl.all_horizontal(col(p).is_finite().fill_null(value=False) for p in BAR_PRICES)).to_series()
    frame = frame.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW))
    if not usable.all():
        frame = frame.filter(usable)
    return Panel(keys, numbered(frame))


def bar_numbers(tickers: pl.Series) -> pl.Series:
    """Return the number of each row within its run of equal `tickers`, from 0."""
    lengths = tickers.rle().struct.field("len").to_numpy().astype(np.int64)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return pl.Series(BAR, (np.arange(len(tickers)) - starts).astype(np.int32))


def numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Give tickers and their bars numbers, from 0, in a frame sorted by (ticker, date)."""
    number = frame["ticker"].rle_id().alias(TICKER).set_sorted()
    return frame.with_columns(number, bar_numbers(frame["ticker"]))


def _misplaced() -> pl.Expr:
    ticker, date = col("ticker"), col("date")
    return (ticker < ticker.shift(1)) | ((ticker == ticker.shift(1)) & (date <= date.shift(1)))


def _typed(dtype: pl.DataType, name: str) -> pl.Expr:
    target = BAR_SCHEMA[name]
    series = col(name) if dtype == target else col(name).cast(target)
    return pl.when(series.is_finite()).then(series).alias(name) if name == "volume" else series


def _check_schema(bars: pl.DataFrame) -> None:
    require_columns(bars, BAR_SCHEMA, "the frame of bars")
    for name, expected in BAR_SCHEMA.items():
        dtype = bars.schema[name]
        number = expected.is_numeric() and (dtype.is_numeric() or dtype == pl.Null)
        text = name == "ticker" and dtype in {pl.Categorical, pl.Enum}
        if dtype != expected and not number and not text:
            raise UsageError(f'the column "{name}" of the bars is {dtype}: expected {expected}; cast it before')
    for name in ("date", "ticker"):
        if bars[name].null_count():
            raise UsageError(f'the column "{name}" of the bars has {bars[name].null_count()} nulls; drop these rows')


def _refuse_duplicates(frame: pl.DataFrame) -> None:
    twice = frame.filter(_misplaced())
    if len(twice):
        date, ticker = twice.row(0)[:2]
        raise UsageError(f"{ticker} has more than one bar on {date}: expected one per session; remove the duplicates")
