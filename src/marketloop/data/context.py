"""Joins market series to sessions as they were known at each close of the universe's own exchange."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

import polars as pl

from marketloop.core.errors import UsageError
from marketloop.core.frames import CONTEXT_COLUMNS, require_columns
from marketloop.core.values import Context, Sessions
from marketloop.data.calendar import load_closes
from marketloop.data.sources.protocol import SERIES_SCHEMA

__all__ = ["SECTOR_PREFIX", "CloseTimes", "as_known", "build_context", "with_known_at"]

CloseTimes = pl.DataFrame | Callable[[Sessions], pl.DataFrame]
"""Frame ``date, close_utc`` with one row per session, or the function of the sessions that gives it."""

SECTOR_PREFIX: Final = "sector:"

FRESH_SESSIONS: Final = 10
"""Sessions after which a value that was not followed by a newer one counts as not known any more."""

_NEW_YORK: Final = "America/New_York"
_CLOSE: Final = dt.time(16, 0)
_PUBLISHED: Final = dt.time(18, 0)
"""Official yields of a day appear in its evening, after every close of that day in New York."""


def build_context(
    series: Mapping[str, pl.DataFrame], sectors: pl.DataFrame, *, sessions: Sessions, close_utc: CloseTimes
) -> Context:
    """Build the context of a universe.

    Parameters
    ----------
    series : mapping of name to frame ``date, value[, known_at]``
        Names ``vix, spx, us10y, usd`` and ``sector:<Name>``. Where `known_at` is missing it is the close of New York on
        the date; for ``us10y`` the evening of the date, so that the next session is the first to know it.
    sectors : frame ``ticker, sector``
    sessions : Sessions
        The sessions of the universe's exchange; one row of the context each.
    close_utc : frame ``date, close_utc``, or a function of the sessions that returns it
        When each of these sessions closes, e.g. `marketloop.data.calendar.load_closes`.

    Raises
    ------
    UsageError
        A series has an unknown name or no value column, or a value is known before its date begins.
    """
    closes = close_utc(sessions) if callable(close_utc) else close_utc
    calendar = pl.DataFrame({"date": sessions.dates}).join(closes, on="date", how="left", maintain_order="left")
    missing = calendar.filter(pl.col("close_utc").is_null())
    if not missing.is_empty():
        raise UsageError(f"the closing time of session {missing['date'][0]} is missing; load it for all sessions")
    unknown = [name for name in series if name not in CONTEXT_COLUMNS and not name.startswith(SECTOR_PREFIX)]
    if unknown:
        raise UsageError(
            f'unknown market series "{unknown[0]}": expected one of {", ".join(CONTEXT_COLUMNS)} or sector:<Name>'
        )
    market = calendar.select("date")
    for name in CONTEXT_COLUMNS:
        values = as_known(with_known_at(name, series[name]), calendar) if name in series else None
        market = market.with_columns((pl.lit(None, pl.Float64) if values is None else values).alias(name))
    return Context(market=market, sectors=_sector_map(sectors), sector_prices=_sector_prices(series, calendar))


def as_known(series: pl.DataFrame, calendar: pl.DataFrame) -> pl.Series:
    """Return the newest value of `series` that was known at each close, null where none was, or only an old one.

    Parameters
    ----------
    series : frame `SERIES_SCHEMA`
        `known_at` filled. A later correction of an older date never replaces a newer date's value.
    calendar : frame ``date, close_utc``
        Consecutive sessions, ascending.

    Returns
    -------
    Float64 series, one value per row of `calendar`
    """
    closes = calendar["close_utc"]
    known = (
        series.drop_nulls(["value", "known_at"])
        .sort("known_at", "date", maintain_order=True)
        .filter(pl.col("date") == pl.col("date").cum_max())
    )
    # The first session at whose close the value was known: its age counts from there.
    first = closes.to_numpy().searchsorted(known["known_at"].to_numpy())
    known = known.with_columns(_first=pl.Series(first, dtype=pl.Int64))
    rows = calendar.select("close_utc").with_row_index("_row")
    joined = rows.join_asof(known.select("known_at", "value", "_first"), left_on="close_utc", right_on="known_at")
    age = pl.col("_row").cast(pl.Int64) - pl.col("_first")
    return joined.select(pl.when(age <= FRESH_SESSIONS).then(pl.col("value")).alias("value"))["value"]


def with_known_at(name: str, series: pl.DataFrame) -> pl.DataFrame:
    """Return `series` in `SERIES_SCHEMA` with every missing `known_at` filled in by the rule of its name."""
    require_columns(series, ("date", "value"), f'the market series "{name}"')
    given = series if "known_at" in series.columns else series.with_columns(pl.lit(None).alias("known_at"))
    frame = given.select(pl.col(column).cast(kind) for column, kind in SERIES_SCHEMA.items())
    # East of Greenwich a day begins up to 14 hours before it does in UTC.
    begins = pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.offset_by("-14h")
    early = frame.filter(pl.col("known_at") < begins)
    if not early.is_empty():
        row: dict[str, Any] = early.row(0, named=True)
        raise UsageError(
            f'the market series "{name}" says that its value of {row["date"]} was known on {row["known_at"]:%Y-%m-%d}, '
            "before that day; correct known_at"
        )
    if frame.is_empty() or frame["known_at"].null_count() == 0:
        return frame
    return frame.with_columns(pl.col("known_at").fill_null(_default_known_at(name, frame["date"])))


def _default_known_at(name: str, dates: pl.Series) -> pl.Series:
    evening = name == "us10y"
    local = dates.to_frame("date").select(
        pl.col("date"),
        pl.col("date").dt.combine(_PUBLISHED if evening else _CLOSE, "us").dt.replace_time_zone(_NEW_YORK).alias("at"),
    )
    usual = local.with_columns(pl.col("at").dt.convert_time_zone("UTC"))
    if evening:
        return usual["at"]
    days = dates.drop_nulls().sort()
    closes = load_closes("XNYS", days[0], days[-1] + dt.timedelta(days=7))
    exact = usual.join(closes, on="date", how="left", maintain_order="left")
    return exact.select(pl.coalesce("close_utc", "at").alias("at"))["at"]


def _sector_map(sectors: pl.DataFrame) -> pl.DataFrame:
    require_columns(sectors, ("ticker", "sector"), "the sector map")
    return sectors.select(pl.col("ticker").cast(pl.String), pl.col("sector").cast(pl.String)).sort("ticker")


def _sector_prices(series: Mapping[str, pl.DataFrame], calendar: pl.DataFrame) -> pl.DataFrame:
    parts = [Context.empty().sector_prices]
    for name in sorted(series):
        if name.startswith(SECTOR_PREFIX):
            close = as_known(with_known_at(name, series[name]), calendar).alias("close")
            sector = pl.lit(name.removeprefix(SECTOR_PREFIX)).alias("sector")
            parts.append(calendar.select("date", sector, close).drop_nulls("close"))
    return pl.concat(parts)
