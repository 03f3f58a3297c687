"""What a source of bars promises, and what one answer of it holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import polars as pl

from marketloop.core.frames import BAR_SCHEMA

__all__ = ["RAW_EXTRAS", "SERIES_SCHEMA", "Fetched", "Source", "no_bars", "no_sectors"]

RAW_EXTRAS: Mapping[str, pl.DataType] = {"origin": pl.String(), "date_text": pl.String()}
"""Columns that raw bars may carry beside `BAR_SCHEMA`: the file a row came from, and a date that could not be read."""

SERIES_SCHEMA: Mapping[str, pl.DataType] = {
    "date": pl.Date(),
    "value": pl.Float64(),
    "known_at": pl.Datetime("us", "UTC"),
}
"""One market series; `known_at` is null where the source does not say when the value became known."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer of a source.

    Parameters
    ----------
    bars : frame with the columns of `BAR_SCHEMA`, and any of `RAW_EXTRAS`
        Adjusted bars with every defect still inside: the quality rules find them.
    failures : mapping
        Ticker (or file) to the one-sentence reason for which nothing came.
    warnings : tuple of mappings
        Findings about the delivery itself, in the form of `QualityReport.warnings`.
    """

    bars: pl.DataFrame
    failures: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Mapping[str, Any], ...] = ()


@runtime_checkable
class Source(Protocol):
    """Somewhere that bars and market series come from."""

    @property
    def name(self) -> str:
        """What settings call it."""
        ...

    @property
    def adjustment(self) -> str:
        """How prices were adjusted; recorded with the bars, and bars of two policies are never mixed."""
        ...

    def tickers(self) -> tuple[str, ...]:
        """Return all tickers that it can give, sorted."""
        ...

    def fetch(self, tickers: Sequence[str], start: dt.date, end: dt.date) -> Fetched:
        """Return the bars of `tickers` dated from `start` to `end`, both included."""
        ...

    def series(self) -> Mapping[str, pl.DataFrame]:
        """Return its market series by name (``vix, spx, us10y, usd, sector:<Name>``), each in `SERIES_SCHEMA`."""
        ...

    def sectors(self) -> pl.DataFrame:
        """Return ``ticker, sector``; empty where it does not know."""
        ...


def no_bars() -> pl.DataFrame:
    """Return an empty frame of raw bars."""
    return pl.DataFrame(schema={**BAR_SCHEMA, **RAW_EXTRAS})


def no_sectors() -> pl.DataFrame:
    """Return an empty sector map."""
    return pl.DataFrame(schema={"ticker": pl.String(), "sector": pl.String()})
