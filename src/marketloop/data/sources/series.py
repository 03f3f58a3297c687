"""Market series and sectors from files: volatility, index, yield and currency series, sector ETFs, sector maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from marketloop.core.errors import UsageError, did_you_mean
from marketloop.data.sources.dates import read_dates
from marketloop.data.sources.layouts import layout_of
from marketloop.data.sources.protocol import SERIES_SCHEMA, Source
from marketloop.data.sources.spelling import match_columns
from marketloop.data.sources.tables import Table, read_numbers, read_table

__all__ = ["SECTOR_ETFS", "context_series_from_files", "sector_series", "sectors_from_file", "series_from_source"]

SECTOR_ETFS: Final[Mapping[str, str]] = {
    "XLB": "Materials",
    "XLC": "Communication Services",
    "XLE": "Energy",
    "XLF": "Financials",
    "XLI": "Industrials",
    "XLK": "Information Technology",
    "XLP": "Consumer Staples",
    "XLRE": "Real Estate",
    "XLU": "Utilities",
    "XLV": "Health Care",
    "XLY": "Consumer Discretionary",
}
"""The SPDR fund of each GICS sector."""

_SELECT: Final = "#"


def context_series_from_files(files: Mapping[str, str | Path]) -> dict[str, pl.DataFrame]:
    """Read market series from CSV or Parquet files.

    Parameters
    ----------
    files : mapping of series name to path
        The file has ``date, value[, known_at]``, or bars (the adjusted close, else the close, is taken).
        ``path#NAME`` selects a column of a wide file (``yields.parquet#dgs10``) or a ticker of a file of bars
        (``indices.parquet#^VIX``). `known_at` is a time stamp, in UTC where it names no zone.

    Returns
    -------
    mapping of series name to frame `SERIES_SCHEMA`
        Sorted by date, rows without a value left out; `known_at` is null where the file has none.

    Raises
    ------
    UsageError
        A file cannot be read, has no value column, or needs a selection.
    """
    return {name: _one_series(name, str(file)) for name, file in files.items()}


def sector_series(file: Path, funds: Mapping[str, str] = SECTOR_ETFS) -> dict[str, pl.DataFrame]:
    """Read sector ETFs from a file of bars, as series called ``sector:<Name>``."""
    table = read_table(file)
    column = match_columns(table.frame.columns).get("ticker")
    if column is None:
        raise UsageError(f'"{file}" has no ticker column; expected bars of {", ".join(funds)}')
    present = set(table.frame[column].cast(pl.String).to_list())
    return {
        f"sector:{name}": _one_series(name, f"{file}{_SELECT}{fund}") for fund, name in funds.items() if fund in present
    }


def series_from_source(source: Source, tickers: Mapping[str, str], bars: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Turn bars of the `tickers` ``{series: ticker}`` of a source into market series.

    Raises
    ------
    UsageError
        `bars` holds no row of a ticker.
    """
    found: dict[str, pl.DataFrame] = {}
    for name, ticker in tickers.items():
        mine = bars.filter(pl.col("ticker") == ticker)
        if mine.is_empty():
            raise UsageError(
                f'[context] {name} = "{ticker}": the source {source.name} has no such ticker; '
                "name one that it has, or a file with date and value"
            )
        found[name] = _series(mine["date"], mine["close"], None)
    return found


def sectors_from_file(file: Path) -> pl.DataFrame:
    """Read a sector map: columns for the ticker and for its ``sector`` (``GICS Sector`` and the like).

    Returns
    -------
    frame ``ticker, sector``
        One row per ticker, sorted.
    """
    frame = read_table(file).frame
    ticker = match_columns(frame.columns).get("ticker")
    sector = next((c for c in frame.columns if "sector" in c.lower() and "sub" not in c.lower()), None)
    if ticker is None or sector is None:
        raise UsageError(f'"{file}" needs the columns ticker and sector; it has {", ".join(frame.columns)}')
    named = frame.select(pl.col(ticker).cast(pl.String).alias("ticker"), pl.col(sector).cast(pl.String).alias("sector"))
    return named.drop_nulls().unique("ticker", keep="first", maintain_order=True).sort("ticker")


def _one_series(name: str, file: str) -> pl.DataFrame:
    path, selected = file, ""
    if not Path(file).is_file() and _SELECT in file:
        path, selected = file.rsplit(_SELECT, 1)
    table = read_table(Path(path))
    layout = layout_of(table)
    table = _of_ticker(name, table, layout.columns.get("ticker"), selected)
    column = _value_column(name, table, selected)
    dates = read_dates(table.frame[layout.date], f'"{path}", column "{layout.date}"').dates
    known = next((c for c in table.frame.columns if c.lower() == "known_at"), None)
    return _series(dates, read_numbers(table.frame[column]), None if known is None else _stamps(table, known))


def _of_ticker(name: str, table: Table, column: str | None, selected: str) -> Table:
    if column is None:
        return table
    tickers = table.frame[column].cast(pl.String)
    present = sorted(set(tickers.drop_nulls().to_list()))
    wanted = selected or (present[0] if len(present) == 1 else "")
    if wanted not in present:
        listed = ", ".join(present[:8])
        raise UsageError(
            f'[context] {name}: "{table.path}" holds several tickers ({listed}); '
            f'select one as "{table.path.name}{_SELECT}TICKER".{did_you_mean(selected, present)}'
        )
    return Table(table.path, table.frame.filter(tickers == wanted), table.digest)


def _value_column(name: str, table: Table, selected: str) -> str:
    columns = table.frame.columns
    if selected in columns:
        return selected
    found = match_columns(columns)
    by_name = {column.lower(): column for column in columns}
    for column in (by_name.get("value"), found.get("adj_close"), found.get("close")):
        if column is not None:
            return column
    others = [c for c in columns if c not in {found.get("date"), found.get("ticker")} and c.lower() != "known_at"]
    if len(others) == 1 and not selected:
        return others[0]
    raise UsageError(
        f'[context] {name}: "{table.path}" has no column "{selected or "value"}"; it has {", ".join(others)}; '
        f'select one as "{table.path.name}{_SELECT}COLUMN"'
    )


def _series(dates: pl.Series, values: pl.Series, known: pl.Series | None) -> pl.DataFrame:
    stamps = known if known is not None else pl.Series([None] * len(dates), dtype=SERIES_SCHEMA["known_at"])
    frame = pl.DataFrame({"date": dates, "value": values.fill_nan(None), "known_at": stamps})
    return frame.filter(pl.col("date").is_not_null() & pl.col("value").is_not_null()).sort("date", "known_at")


def _stamps(table: Table, column: str) -> pl.Series:
    stamps = table.frame[column]
    if stamps.dtype == pl.String:
        read = _parse_stamps(stamps)
    elif stamps.dtype == pl.Date:
        read = stamps.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    else:
        zone = getattr(stamps.dtype, "time_zone", None)
        read = stamps.dt.replace_time_zone("UTC") if zone is None else stamps.dt.convert_time_zone("UTC")
    if read.null_count() > stamps.null_count():
        raise UsageError(
            f'"{table.path}", column "{column}": not every value is a time stamp; write 2015-03-31T21:00:00Z'
        )
    return read.cast(SERIES_SCHEMA["known_at"])


def _parse_stamps(stamps: pl.Series) -> pl.Series:
    text = pl.col("t").str.strip_chars().str.replace("T", " ").str.replace(r"\s*(Z|UTC)$", "+00:00")
    timed = pl.when(text.str.len_chars() == 10).then(text + " 00:00:00").otherwise(text)
    zoned = pl.when(timed.str.contains(r"[+-]\d{2}:?\d{2}$")).then(timed).otherwise(timed + "+00:00")
    forms = ("%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M%z")
    reads = [zoned.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC") for form in forms]
    return stamps.to_frame("t").select(pl.coalesce(*reads).alias("t"))["t"]
