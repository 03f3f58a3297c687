"""The market around the bars: sessions of the project's calendar and series as known at each close."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from marketloop.core.errors import UsageError, did_you_mean
from marketloop.core.frames import CONTEXT_COLUMNS
from marketloop.core.values import Context, Sessions
from marketloop.data.calendar import load_closes, load_sessions
from marketloop.data.context import build_context, with_known_at
from marketloop.data.sources.series import context_series_from_files, sector_series
from marketloop.loop.house import House

__all__ = [
    "NO_INDEX",
    "Market",
    "MissingContextError",
    "index_market",
    "market_of",
    "newest_index",
    "sessions_around",
    "stored_bars",
    "tickers_read",
]

BEFORE = dt.timedelta(days=450)
AFTER = dt.timedelta(days=30)
FILE_ENDINGS = (".csv", ".parquet")
NO_INDEX = 'context is missing: there is no S&P 500 series; name one with [context] spx = "TICKER" or "FILE"'


class MissingContextError(UsageError):
    """A market series that a family cannot do without is not there."""


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
    sessions = sessions_around(house.settings.project.calendar, first, last)
    asked = house.settings.context
    series = _all_series(house, bars)
    if asked.sector_etfs is not None:
        series |= sector_series(_inside(house, asked.sector_etfs))
    sectors = house.store.sectors() if asked.sectors is None else _sectors(_inside(house, asked.sectors))
    context = build_context(series, sectors, sessions=sessions, close_utc=_closes(sessions))
    return Market(sessions, context, _fingerprint(context), tickers_read(house))


def index_market(house: House, bars: pl.DataFrame) -> Market:
    """Join the market series to the sessions of the S&P 500 instead of those of `bars`: all that it has.

    The sessions of the context end with the last one at whose close the S&P 500 had a new value; what became known
    after the house's clock, or is dated after ``[data] end``, is not there. There are no sectors.

    Raises
    ------
    MissingContextError
        There is no S&P 500 series.
    UsageError
        The series holds a value that is no index level.
    """
    series = {name: frame for name, frame in _all_series(house, bars).items() if name in CONTEXT_COLUMNS}
    index = series["spx"] = _index_values(house, series.get("spx"))
    sessions = sessions_around(house.settings.project.calendar, index["date"][0], index["date"][-1])
    closes = _closes(sessions)
    context = build_context(series, Context.empty().sectors, sessions=sessions, close_utc=closes)
    newest = _newest(index, closes, house.clock.now())
    seen = context.market.filter(pl.col("date") <= newest, pl.col("spx").is_not_null().cum_max())
    context = replace(context, market=seen)
    return Market(sessions, context, _fingerprint(context), tickers_read(house))


def newest_index(house: House) -> dt.date | None:
    """Return the newest day of the S&P 500 series as it lies in store or file, None where there is none."""
    wanted = house.settings.context.spx
    if wanted is None:
        series = house.store.series().get("spx")
    elif _is_file(wanted):
        series = context_series_from_files({"spx": _inside(house, wanted)})["spx"]
    else:
        series = house.store.read(tickers=[wanted])
    last = None if series is None else series["date"].max()
    return last if isinstance(last, dt.date) else None


def _newest(index: pl.DataFrame, closes: pl.DataFrame, now: dt.datetime) -> dt.date:
    """Return the last session that has closed and at whose close the index had a new value."""
    first_to_know = closes["close_utc"] >= index["known_at"].max()
    known = closes.filter(~first_to_know.shift(1, fill_value=False) & (pl.col("close_utc") <= now))
    day: dt.date = known["date"][-1]
    return day


def _index_values(house: House, index: pl.DataFrame | None) -> pl.DataFrame:
    """Return the S&P 500 as known by now, or say what is wrong with it."""
    if index is None or index.drop_nulls("value").is_empty():
        raise MissingContextError(NO_INDEX)
    bad = index.filter(~(pl.col("value").is_finite() & (pl.col("value") > 0)))
    if not bad.is_empty():
        raise UsageError(
            f"the S&P 500 series has the value {bad['value'][0]:g} on {bad['date'][0]}: expected an index level "
            "above 0; correct [context] spx"
        )
    end = house.settings.data.end or dt.date.max
    known = with_known_at("spx", index.drop_nulls("value")).filter(
        pl.col("known_at") <= house.clock.now(), pl.col("date") <= end
    )
    if known.is_empty():
        text = f"context is missing: all of the S&P 500 series ({index['date'][0]} and on) lies after what is known now"
        raise MissingContextError(text)
    return known.sort("date")


def _all_series(house: House, bars: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the market series of the store, each replaced by the one that ``[context]`` names."""
    series = dict(house.store.series())
    for column in CONTEXT_COLUMNS:
        wanted = getattr(house.settings.context, column)
        if wanted is not None:
            series[column] = _series(house, bars, column, wanted)
    return series


def _closes(sessions: Sessions) -> pl.DataFrame:
    days = sessions.dates[[0, -1]].astype(object)
    return load_closes(sessions.calendar, days[0], days[-1])


def tickers_read(house: House) -> tuple[str, ...]:
    """Return the stored tickers that ``[context]`` reads as series; they are not traded."""
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


def stored_bars(house: House, version: int | None = None) -> pl.DataFrame:
    """Return all stored bars, of a version or of now; raise `UsageError` when there are none."""
    bars = house.store.read(version=version)
    if bars.is_empty():
        raise UsageError("the project has no bars yet: run `marketloop collect` first")
    return bars
