"""Turns one table of any common layout into raw bars: tidy, one ticker per file, or wide."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_PRICES, BAR_SCHEMA
from marketloop.data.sources.dates import DayOrder, read_dates
from marketloop.data.sources.protocol import RAW_EXTRAS
from marketloop.data.sources.spelling import match_columns, match_wide
from marketloop.data.sources.tables import Table, ending_of, read_numbers

__all__ = ["Layout", "UnadjustedBars", "combine_fields", "layout_of", "ticker_of", "to_bars"]

_NUMBERS: Final = (*BAR_PRICES, "volume", "adj_close")
_TAIL: Final = re.compile(r"(?i)([ _.-]*(\(\d+\)|copy|data|daily|1d|prices?|history|historical|ohlcv?|us))+$")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is laid out.

    Parameters
    ----------
    date : str
        Its date column.
    columns : mapping of field to column
        Tidy columns; empty for a wide table.
    """

    date: str
    columns: Mapping[str, str]

    @property
    def tidy(self) -> bool:
        """Tell whether open, high, low and close are columns."""
        return all(field in self.columns for field in BAR_PRICES)


@dataclass(frozen=True, slots=True)
class UnadjustedBars:
    """Raw bars as a file has them.

    Parameters
    ----------
    bars : frame
        Columns of `BAR_SCHEMA`, `RAW_EXTRAS` and ``adj_close``.
    timed : bool
        The dates had times of day.
    zone : str, optional
        The time zone in which the dates were taken, where the stamps name one.
    """

    bars: pl.DataFrame
    timed: bool
    zone: str | None


def layout_of(table: Table) -> Layout:
    """Find the date column and the price columns of a table.

    Raises
    ------
    UsageError
        It has no date column.
    """
    found = match_columns(table.frame.columns)
    if "date" not in found:
        listed = ", ".join(table.frame.columns[:12])
        raise UsageError(f'"{table.path}" has no date column (it has {listed}); name one of its columns "date"')
    return Layout(found["date"], found)


def ticker_of(table: Table) -> str:
    """Return the ticker that a file is named after: ``aapl_daily.csv`` and ``AAPL (1).csv`` are AAPL.

    >>> from pathlib import Path
    >>> ticker_of(Table(Path("brk.b_data.csv"), pl.DataFrame(), ""))
    'BRK.B'
    """
    stem = table.path.name[: -len(ending_of(table.path) or "")]
    return (_TAIL.sub("", stem) or stem).upper()


def to_bars(
    table: Table, layout: Layout, *, order: DayOrder | None, exchange_zone: str | None, ticker: str | None = None
) -> UnadjustedBars:
    """Turn a table into raw bars.

    Parameters
    ----------
    table, layout : the table and how it is laid out
    order : {"day", "month"}, optional
        What stands first in numeric dates, where the column itself cannot tell.
    exchange_zone : str, optional
        Time zone of the exchange.
    ticker : str, optional
        Ticker of a file that has no ticker column; default: after the file's name.

    Raises
    ------
    UsageError
        Open, high or low is missing, or the dates cannot be read.
    """
    where = f'"{table.path}", column "{layout.date}"'
    dates = read_dates(table.frame[layout.date], where, order=order, exchange_zone=exchange_zone)
    keyed = pl.DataFrame({"date": dates.dates, "date_text": table.frame[layout.date].cast(pl.String)}).with_columns(
        pl.when(pl.col("date").is_null()).then("date_text"), origin=pl.lit(table.path.name)
    )
    bars = _tidy(table, layout, keyed, ticker or ticker_of(table)) if layout.tidy else _wide(table, layout, keyed)
    return UnadjustedBars(bars, dates.timed, dates.zone)


def combine_fields(parts: Mapping[str, tuple[Table, Layout]]) -> Table:
    """Join wide tables of one field each (``open.csv``, ``high.csv``, ...: dates down, tickers across) into one."""
    joined: pl.DataFrame | None = None
    for field, (table, layout) in parts.items():
        others = [column for column in table.frame.columns if column != layout.date]
        renamed = (pl.col(column).alias(f"{column}_{field}") for column in others)
        named = table.frame.select(pl.col(layout.date).alias("date"), *renamed)
        joined = named if joined is None else joined.join(named, on="date", how="full", coalesce=True)
    first = next(iter(parts.values()))[0]
    return Table(first.path.parent, joined if joined is not None else first.frame, first.digest)


def _tidy(table: Table, layout: Layout, keyed: pl.DataFrame, ticker: str) -> pl.DataFrame:
    frame = table.frame
    numbers = [read_numbers(frame[layout.columns[field]]).alias(field) for field in _NUMBERS if field in layout.columns]
    missing = [pl.lit(None, pl.Float64).alias(field) for field in _NUMBERS if field not in layout.columns]
    named = layout.columns.get("ticker")
    tickers = frame[named].cast(pl.String).str.strip_chars() if named else pl.repeat(ticker, frame.height, eager=True)
    return keyed.with_columns(*numbers, *missing, tickers.alias("ticker")).select(*_columns())


def _wide(table: Table, layout: Layout, keyed: pl.DataFrame) -> pl.DataFrame:
    columns = match_wide(table.frame.columns)
    fields = {column.field for column in columns}
    if not fields.issuperset(BAR_PRICES):
        missing = [field for field in BAR_PRICES if field not in fields.union(layout.columns)]
        raise UsageError(
            f'"{table.path}" has no {", ".join(missing)}: open, high, low, close and volume are needed for each ticker '
            "(tidy columns, or wide ones such as AAPL_open, AAPL_high, AAPL_low, AAPL_close, AAPL_volume)"
        )
    parts = []
    for ticker in dict.fromkeys(column.ticker for column in columns):
        mine = {column.field: column.column for column in columns if column.ticker == ticker}
        numbers = [read_numbers(table.frame[mine[field]]).alias(field) for field in _NUMBERS if field in mine]
        absent = [pl.lit(None, pl.Float64).alias(field) for field in _NUMBERS if field not in mine]
        part = keyed.with_columns(*numbers, *absent, ticker=pl.lit(ticker)).select(*_columns())
        # A wide table has a cell for every day, so a ticker that did not trade yet is all null: no row was delivered.
        parts.append(part.filter(~pl.all_horizontal(pl.col(field).is_null() for field in _NUMBERS)))
    return pl.concat(parts)


def _columns() -> Sequence[str]:
    return (*BAR_SCHEMA, *RAW_EXTRAS, "adj_close")
