"""The `sample` source: real daily bars that ship inside ordinary packages, so that everything works offline."""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import polars as pl

from marketloop.core.errors import FailedError
from marketloop.core.frames import BAR_SCHEMA
from marketloop.data.sources.adjust import ADJUSTED, adjust
from marketloop.data.sources.dates import read_dates
from marketloop.data.sources.protocol import RAW_EXTRAS, SERIES_SCHEMA, Fetched, no_sectors
from marketloop.data.sources.spelling import match_columns

__all__ = ["SampleSource"]


class SampleSource:
    """Daily bars of AAPL, FB, GOOG, IBM and MSFT, March 2000 to March 2013, adjusted for splits and dividends.

    The bars come from the package bokeh_sampledata, the S&P 500 index (1999-2018, as the series ``spx``) from the
    package arch. There is no VIX (arch's begins later), no yield, no dollar index and no sectors.

    Raises
    ------
    FailedError
        A package or its file is missing.
    """

    name = "sample"
    adjustment = ADJUSTED

    def tickers(self) -> tuple[str, ...]:
        """Return the five tickers."""
        return tuple(_bars()["ticker"].unique().sort().to_list())

    def fetch(self, tickers: Sequence[str], start: dt.date, end: dt.date) -> Fetched:
        """Return the adjusted bars of `tickers` dated from `start` to `end`."""
        known = self.tickers()
        wanted = pl.col("ticker").is_in(list(tickers)) & pl.col("date").is_between(start, end)
        failures = {t: f"the sample has no ticker {t}; it has {', '.join(known)}" for t in tickers if t not in known}
        return Fetched(_bars().filter(wanted), failures)

    def series(self) -> dict[str, pl.DataFrame]:
        """Return ``spx``: closes of the S&P 500 index, without the time at which they became known."""
        return {"spx": _index()}

    def sectors(self) -> pl.DataFrame:
        """Return no sectors."""
        return no_sectors()


@lru_cache(maxsize=1)
def _bars() -> pl.DataFrame:
    table = _read(_file("bokeh_sampledata", "_data", "stocks.csv.gz"))
    extras = [pl.lit(None, pl.String).alias(column) for column in RAW_EXTRAS]
    bars = adjust(table.with_columns(*extras))
    return bars.select(pl.col(c).cast(t) for c, t in {**BAR_SCHEMA, **RAW_EXTRAS}.items())


@lru_cache(maxsize=1)
def _index() -> pl.DataFrame:
    table = _read(_file("arch", "data", "sp500", "sp500.csv.gz"))
    known = pl.lit(None, SERIES_SCHEMA["known_at"]).alias("known_at")
    return table.select("date", pl.col("close").cast(pl.Float64).alias("value"), known).sort("date")


def _read(path: Path) -> pl.DataFrame:
    frame = pl.read_csv(path)
    frame = frame.rename({column: field for field, column in match_columns(frame.columns).items()})
    return frame.with_columns(read_dates(frame["date"], f'"{path}", column "date"').dates.alias("date"))


def _file(package: str, *parts: str) -> Path:
    # The packages are found, not imported: importing arch takes seconds, and only its file is wanted.
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, *parts)
        if path.is_file():
            return path
    raise FailedError(f"the sample data {'/'.join(parts)} of the package {package} is missing; run `make setup` again")
