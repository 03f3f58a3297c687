"""The `folder` source: the user's own CSV and Parquet files, one or many, in any common layout."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from marketloop.core.errors import UsageError, did_you_mean
from marketloop.core.frames import BAR_PRICES, BAR_SCHEMA
from marketloop.data.sources.adjust import ADJUSTED, AS_GIVEN, adjust
from marketloop.data.sources.dates import DayOrder, day_order
from marketloop.data.sources.layouts import Layout, UnadjustedBars, combine_fields, layout_of, ticker_of, to_bars
from marketloop.data.sources.protocol import RAW_EXTRAS, Fetched, no_sectors
from marketloop.data.sources.spelling import field_of
from marketloop.data.sources.tables import ENDINGS, Table, ending_of, read_table

__all__ = ["FolderSource"]

_MIXED: Final = "adj_close where given"


@dataclass(frozen=True, slots=True)
class _Content:
    """Everything that was read: bars, unreadable files, findings, and how prices were adjusted."""

    bars: pl.DataFrame
    tickers: tuple[str, ...]
    failures: Mapping[str, str]
    warnings: tuple[Mapping[str, Any], ...]
    adjustment: str


class FolderSource:
    """Bars from one file or from all files below a directory.

    CSV (``.csv .csv.gz .tsv .txt``) and Parquet; tidy with a ticker column, one file per ticker, wide
    (``AAPL_close`` or ``Close.AAPL``), or one wide file per field (``open.csv``, ``high.csv``, ...). Files that cannot
    be read are reported and the others are used. Files are read once, at the first question.

    Parameters
    ----------
    path : file or directory
    exchange_zone : str, optional
        Time zone of the exchange; time-zone-aware stamps that are not midnights give the date there.

    Raises
    ------
    UsageError
        By any question: the path does not exist, or no file below it holds bars.
    """

    name = "folder"

    def __init__(self, path: Path, *, exchange_zone: str | None = None) -> None:
        self.path = Path(path)
        self.exchange_zone = exchange_zone
        self._content: _Content | None = None

    @property
    def adjustment(self) -> str:
        """``adj_close`` where every file has an adjusted close, ``as_given`` where none has."""
        return self._read().adjustment

    def tickers(self) -> tuple[str, ...]:
        """Return all tickers of the files, sorted."""
        return self._read().tickers

    def fetch(self, tickers: Sequence[str], start: dt.date, end: dt.date) -> Fetched:
        """Return the bars of `tickers` dated from `start` to `end`, and rows of theirs whose date cannot be read.

        Rows without any ticker come with the first ticker of the source, so that they are seen exactly once.
        """
        content = self._read()
        wanted = pl.col("ticker").is_in(list(tickers))
        if content.tickers and content.tickers[0] in tickers:
            wanted |= pl.col("ticker").is_null() | (pl.col("ticker") == "")
        dated = pl.col("date").is_null() | pl.col("date").is_between(start, end)
        bars = content.bars.filter(wanted.fill_null(value=False) & dated)
        known = set(content.tickers)
        unknown = {
            ticker: f'"{self.path}" has no ticker {ticker}.{did_you_mean(ticker, known)}'
            for ticker in tickers
            if ticker not in known
        }
        return Fetched(bars, {**content.failures, **unknown}, content.warnings)

    def series(self) -> dict[str, pl.DataFrame]:
        """Return no market series: files of these are named in ``[context]``."""
        return {}

    def sectors(self) -> pl.DataFrame:
        """Return no sectors: a file of these is named in ``[context]``."""
        return no_sectors()

    def _read(self) -> _Content:
        if self._content is None:
            self._content = _read_all(self.path, self.exchange_zone)
        return self._content


def _read_all(path: Path, exchange_zone: str | None) -> _Content:
    failures: dict[str, str] = {}
    tables: list[tuple[Table, Layout]] = []
    for file in _files(path):
        try:
            table = read_table(file)
            tables.append((table, layout_of(table)))
        except UsageError as error:
            failures[file.name] = str(error)
    warnings: list[Mapping[str, Any]] = []
    parts: list[UnadjustedBars] = []
    agreed, names = _agreed_order(tables), _names(tables, warnings)
    for table, layout in _fields_combined(tables):
        try:
            ticker = names.get(table.path)
            parts.append(to_bars(table, layout, order=agreed, exchange_zone=exchange_zone, ticker=ticker))
        except UsageError as error:
            failures[table.path.name] = str(error)
    if not parts:
        raise UsageError(next(iter(failures.values())) + _others(len(failures) - 1))
    zones = sorted({part.zone for part in parts if part.zone is not None})
    if zones:
        text = f"time stamps were read as dates in the time zone {', '.join(zones)}"
        warnings.append({"rule": "time_zone", "ticker": None, "date": None, "count": len(zones), "detail": text})
    return _gather(path, parts, failures, tuple(warnings))


def _gather(
    path: Path, parts: Sequence[UnadjustedBars], failures: Mapping[str, str], warnings: tuple[Mapping[str, Any], ...]
) -> _Content:
    bars = pl.concat([part.bars for part in parts])
    if any(part.timed for part in parts):
        keyed = bars.filter(pl.col("date").is_not_null())
        days = keyed.select("ticker", "date").n_unique() if keyed.height else 0
        if keyed.height > 2 * days:
            raise UsageError(f'"{path}" holds {keyed.height / days:.0f} bars per ticker and day; give it daily bars')
    given = [bool(part.bars["adj_close"].is_not_null().any()) for part in parts]
    adjustment = AS_GIVEN if not any(given) else ADJUSTED if all(given) else _MIXED
    adjusted = adjust(bars).select(*BAR_SCHEMA, *RAW_EXTRAS)
    tickers = adjusted["ticker"].drop_nulls().unique().sort()
    return _Content(adjusted, tuple(tickers.filter(tickers != "").to_list()), failures, warnings, adjustment)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f'"{path}" does not exist; give --path a CSV or Parquet file, or a folder of these')
    inside = sorted(file for file in path.rglob("*") if file.is_file() and ending_of(file) and file.name[0] != ".")
    if not inside:
        raise UsageError(f'the folder "{path}" holds no CSV or Parquet file; put some there ({", ".join(ENDINGS)})')
    return inside


def _agreed_order(tables: Sequence[tuple[Table, Layout]]) -> DayOrder | None:
    """Return what stands first in numeric dates where all files that can tell say the same."""
    orders = {order for table, layout in tables if (order := day_order(table.frame[layout.date])) is not None}
    return orders.pop() if len(orders) == 1 else None


def _names(tables: Sequence[tuple[Table, Layout]], warnings: list[Mapping[str, Any]]) -> dict[Path, str]:
    """Name the ticker of each file after the file; a copy of a file is named as the original."""
    originals: dict[str, Table] = {}
    names: dict[Path, str] = {}
    for table, _ in sorted(tables, key=lambda pair: (len(pair[0].path.name), pair[0].path.name)):
        original = originals.setdefault(table.digest, table)
        names[table.path] = ticker_of(original)
        if original is not table:
            text = f"{table.path.name} is a copy of {original.path.name}; its rows are set aside as duplicates"
            warnings.append({"rule": "duplicated_file", "ticker": None, "date": None, "count": 1, "detail": text})
    return names


def _fields_combined(tables: Sequence[tuple[Table, Layout]]) -> list[tuple[Table, Layout]]:
    """Join ``open.csv, high.csv, low.csv, close.csv``, each dates by tickers, into one wide table."""
    fields: dict[str, tuple[Table, Layout]] = {}
    for table, layout in tables:
        field = field_of(table.path.name.split(".")[0])
        if field is not None and not layout.tidy:
            fields[field] = (table, layout)
    if not set(BAR_PRICES) <= set(fields):
        return list(tables)
    rest = [pair for pair in tables if all(pair[0] is not table for table, _ in fields.values())]
    whole = combine_fields(fields)
    return [*rest, (whole, layout_of(whole))]


def _others(count: int) -> str:
    return f" ({count} other file{'s' if count > 1 else ''} could not be used either)" if count > 0 else ""
