"""Named universes: which tickers a region, a list or a membership file stands for, and the largest of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from marketloop.core.errors import UsageError, unknown_name
from marketloop.data.sources.dates import read_dates
from marketloop.data.sources.spelling import match_columns
from marketloop.data.sources.tables import read_table

__all__ = ["REGIONS", "Universe", "largest", "members_on", "membership_from_file", "resolve_universe"]

REGIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "CA": (".TO", ".V"),
    "DE": (".DE", ".F"),
    "FR": (".PA",),
    "HK": (".HK",),
    "IN": (".NS", ".BO"),
    "JP": (".T",),
    "UK": (".L",),
    "US": (),
}
"""Endings of the tickers of each region; a ticker with none of these endings is American."""

ALL: Final = "all"
_TOP_SESSIONS: Final = 60


@dataclass(frozen=True, slots=True)
class Universe:
    """A set of tickers with a name.

    Parameters
    ----------
    name : str
    tickers : sorted tickers
    membership : frame ``ticker, start_date, end_date``, optional
        Who belonged when, where it is known.
    warnings : tuple of str
        What a reader of results must know, above all survivorship.
    """

    name: str
    tickers: tuple[str, ...]
    membership: pl.DataFrame | None = None
    warnings: tuple[str, ...] = ()


def resolve_universe(
    name: str,
    available: Sequence[str],
    *,
    named: Mapping[str, Sequence[str]] | None = None,
    membership: pl.DataFrame | None = None,
) -> Universe:
    """Return the universe called `name` among the tickers that a source has.

    Parameters
    ----------
    name : str
        ``all``, a region (`REGIONS`, by the tickers' endings), a name of `named`, or ``sp500`` where `membership` is
        given.
    available : tickers of the source
    named : mapping, optional
        Universes that plugins add.
    membership : frame ``ticker, start_date, end_date``, optional
        Point-in-time members of ``sp500``; a null end is still a member.

    Raises
    ------
    UsageError
        The name is unknown, or the source has none of its tickers.
    """
    lists = dict(named or {})
    if membership is not None:
        lists["sp500"] = membership["ticker"].unique().to_list()
    if name in lists:
        tickers = tuple(sorted(set(lists[name]) & set(available)))
        dated = membership if name == "sp500" else None
    elif name == ALL or name in REGIONS:
        tickers = tuple(sorted(t for t in available if name == ALL or _region(t) == name))
        dated = None
    elif name == "sp500":
        raise UsageError(
            'the universe "sp500" changes by date, and collect cannot read its members by date yet; '
            "use --region US, or name the tickers"
        )
    else:
        raise unknown_name("universe", name, (ALL, *REGIONS, "sp500", *lists))
    if not tickers:
        raise UsageError(f'the source has no ticker of the universe "{name}"; it has {_listed(available)}')
    return Universe(name, tickers, dated, _warnings(name, tickers, lists, dated))


def membership_from_file(path: Path) -> pl.DataFrame:
    """Read ``ticker, start_date, end_date`` from CSV or Parquet; a missing end is still a member."""
    frame = read_table(path).frame
    ticker = match_columns(frame.columns).get("ticker")
    by_name = {column.lower(): column for column in frame.columns}
    start = next((by_name[c] for c in ("start_date", "start", "from", "date_added") if c in by_name), None)
    end = next((by_name[c] for c in ("end_date", "end", "to", "date_removed") if c in by_name), None)
    if ticker is None or start is None:
        listed = ", ".join(frame.columns)
        raise UsageError(f'"{path}" needs the columns ticker, start_date and end_date; it has {listed}')
    return pl.DataFrame(
        {
            "ticker": frame[ticker].cast(pl.String),
            "start_date": _days(frame, start, path),
            "end_date": _days(frame, end, path),
        }
    )


def members_on(membership: pl.DataFrame, date: dt.date) -> tuple[str, ...]:
    """Return who belonged on `date` (first and last day included), sorted.

    >>> members = pl.DataFrame({"ticker": ["A", "B"], "start_date": [dt.date(2000, 1, 3)] * 2,
    ...                         "end_date": [None, dt.date(2010, 6, 30)]})
    >>> members_on(members, dt.date(2010, 7, 1))
    ('A',)
    """
    began = pl.col("start_date").is_null() | (pl.col("start_date") <= date)
    stays = pl.col("end_date").is_null() | (pl.col("end_date") >= date)
    return tuple(membership.filter(began & stays)["ticker"].unique().sort().to_list())


def largest(bars: pl.DataFrame, count: int, *, sessions: int = _TOP_SESSIONS) -> tuple[str, ...]:
    """Return the `count` tickers with the largest median traded value, sorted by name.

    Parameters
    ----------
    bars : frame `BAR_SCHEMA`
    count : int, at least 1
    sessions : int
        How many of the last dates of `bars` are looked at. A ticker without volume ranks last; ties go by name.
    """
    if count < 1:
        raise UsageError(f"--top {count}: expected at least 1 ticker")
    days = bars["date"].unique().sort().tail(sessions)
    recent = bars.filter(pl.col("date").is_in(days.implode()))
    traded = recent.group_by("ticker").agg((pl.col("close") * pl.col("volume")).median().alias("traded"))
    ranked = traded.sort(["traded", "ticker"], descending=[True, False], nulls_last=True)
    return tuple(sorted(ranked["ticker"].head(count).to_list()))


def _region(ticker: str) -> str:
    endings = ((region, ending) for region, known in REGIONS.items() for ending in known)
    return next((region for region, ending in endings if ticker.upper().endswith(ending)), "US")


def _days(frame: pl.DataFrame, column: str | None, path: Path) -> pl.Series:
    if column is None or frame[column].null_count() == frame.height:
        return pl.Series([None] * frame.height, dtype=pl.Date)
    return read_dates(frame[column], f'"{path}", column "{column}"').dates


def _warnings(
    name: str, tickers: Sequence[str], lists: Mapping[str, Sequence[str]], membership: pl.DataFrame | None
) -> tuple[str, ...]:
    if membership is None:
        text = (
            f'the universe "{name}" is the list of tickers that exists now: those that left before are absent, '
            "so results over its past look better than they were (survivorship)"
        )
        return (text,)
    ever = len(set(lists[name]))
    if ever == len(tickers):
        return ()
    return (f'{ever - len(tickers)} of {ever} tickers that ever were in "{name}" have no bars here (survivorship)',)


def _listed(tickers: Sequence[str]) -> str:
    shown = ", ".join(tickers[:5])
    return f"{len(tickers)} tickers ({shown}{', ...' if len(tickers) > 5 else ''})" if tickers else "no tickers at all"
