"""The market around the bars: sessions of the project's calendar and series as known at each close."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from marketloop.core.errors import UsageError, did_you_mean
from marketloop.core.frames import CONTEXT_COLUMNS
from marketloop.core.values import Context, Sessions
from marketloop.data.calendar import load_closes, load_sessions
from marketloop.data.context import build_context
from marketloop.data.sources.series import context_series_from_files, sector_series
from marketloop.loop.house import House

__all__ = ["Market", "market_of", "sessions_around"]

BEFORE = dt.timedelta(days=450)
AFTER = dt.timedelta(days=30)
FILE_ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Market:
    """Sessions and context of a project's bars; `fingerprint` changes when any value of a series does.

    `tickers` are stored tickers that ``[context]`` reads as series: they describe the market and are not traded in it.
    """

    sessions: Sessions
    context: Context
    fingerprint: str
    tickers: tuple[str, ...] = ()


def sessions_around(calendar: str, first: dt.date, last: dt.date) -> Sessions:
    """Return the sessions of `calendar` from well before `first` to a little after `last`."""
    return load_sessions(calendar, first - BEFORE, last + AFTER)


def market_of(house: House, bars: pl.DataFrame) -> Market:
    """Join what the store and ``[context]`` know of the market to the sessions of `bars`.

    ``[context] vix = "^VIX"`` names a ticker of the stored bars, a file name a table ``date, value[, known_at]``; both
    win over what the source itself delivered.

    Raises
    ------
    UsageError
        A ticker or file of ``[context]`` does not exist.
    """
    first, last = bars["date"].min(), bars["date"].max()
    if not isinstance(first, dt.date) or not isinstance(last, dt.date):
        raise UsageError("the project has no bars yet: run `marketloop collect` first")
    name = house.settings.project.calendar
    sessions = sessions_around(name, first, last)
    series = dict(house.store.series())
    asked = house.settings.context
    for column in CONTEXT_COLUMNS:
        wanted = getattr(asked, column)
        if wanted is not None:
            series[column] = _series(house, bars, column, wanted)
    if asked.sector_etfs is not None:
        series |= sector_series(_inside(house, asked.sector_etfs))
    sectors = house.store.sectors() if asked.sectors is None else _sectors(_inside(house, asked.sectors))
    closes = load_closes(sessions.calendar, sessions.date(sessions.first), last + AFTER)
    context = build_context(series, sectors, sessions=sessions, close_utc=closes)
    return Market(sessions, context, _fingerprint(context), _tickers_read(house))


def _tickers_read(house: House) -> tuple[str, ...]:
    asked = (getattr(house.settings.context, column) for column in CONTEXT_COLUMNS)
    return tuple(name for name in asked if name is not None and not _is_file(name))


def _is_file(wanted: str) -> bool:
    return wanted.partition("#")[0].lower().endswith(FILE_ENDINGS)


def _series(house: House, bars: pl.DataFrame, column: str, wanted: str) -> pl.DataFrame:
    if _is_file(wanted):
        return context_series_from_files({column: _inside(house, wanted)})[column]
    own = bars.filter(pl.col("ticker") == wanted)
    if own.is_empty():
        near = did_you_mean(wanted, bars["ticker"].unique().to_list())
        raise UsageError(
            f'[context] {column} = "{wanted}": no stored ticker and no .csv or .parquet file of that name.{near}'
        )
    return own.select("date", pl.col("close").alias("value"))


def _inside(house: House, name: str) -> Path:
    path = Path(name)
    return path if path.is_absolute() else house.project.root / path


def _sectors(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise UsageError(f"[context] sectors: no file {path}; expected a CSV or Parquet table ticker, sector")
    try:
        frame = pl.read_parquet(path) if path.suffix.lower() == ".parquet" else pl.read_csv(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"[context] sectors: {path} cannot be read ({reason}); expected a table ticker, sector"
        ) from error
    names = {column.strip().lower().replace("_", " "): column for column in frame.columns}
    ticker = next((names[n] for n in ("ticker", "symbol") if n in names), None)
    sector = next((names[n] for n in ("sector", "gics sector") if n in names), None)
    if ticker is None or sector is None:
        raise UsageError(f"[context] sectors: {path} has {', '.join(frame.columns)}; expected ticker and sector")
    return frame.select(pl.col(ticker).alias("ticker"), pl.col(sector).alias("sector"))


def _fingerprint(context: Context) -> str:
    digest = hashlib.sha256()
    for frame in (context.market, context.sectors, context.sector_prices):
        digest.update(frame.hash_rows(seed=0).to_numpy().tobytes())
    digest.update(pl.__version__.encode())
    return digest.hexdigest()[:16]
