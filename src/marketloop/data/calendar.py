"""Sessions of an exchange, numbered from a fixed origin, and the time at which each of them closes."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.errors import MarketLoopError, UsageError
from marketloop.core.values import Sessions
from marketloop.data.framecache import FrameCache

__all__ = ["ORIGIN", "load_closes", "load_sessions", "load_timezone"]

ORIGIN: Final = dt.date(1990, 1, 1)
"""The first session on or after this day has number 0, in every calendar."""

Days = NDArray[np.datetime64]
_LINE: Final = re.compile(r"^(session|holiday)[ ,:=]+(\d{4}-\d{2}-\d{2})$", re.IGNORECASE)


def load_sessions(calendar: str, start: dt.date, end: dt.date, *, override: Path | None = None) -> Sessions:
    """Load the sessions of `calendar` from `start` to `end`, both included.

    The number of a session counts from `ORIGIN` (earlier ones are negative), so it is the same whatever range is
    asked for. Days before the first that a calendar knows (XTKS: 1997) hold no sessions.

    Parameters
    ----------
    calendar : str
        A code of exchange-calendars (``XNYS``, ``XLON``, ``24/7``) or an alias of one (``NYSE``).
    override : path, optional
        Text file that corrects the calendar, one line each: ``session 2027-01-09`` adds a session, ``holiday
        2027-01-11`` removes one; ``#`` begins a comment. Numbers count the corrected calendar.

    Raises
    ------
    UsageError
        The calendar is unknown, the range holds no session or ends after what the calendar knows.
    """
    name, _ = _facts(calendar)
    if end < start:
        raise UsageError(f"the range {start} to {end} ends before it begins; give a start that is not after the end")
    dates = _corrected(_days(name, start, end), override)
    first = int(np.searchsorted(dates, np.datetime64(start)))
    last = int(np.searchsorted(dates, np.datetime64(end), side="right"))
    if first == last:
        raise UsageError(f"the calendar {name} has no session from {start} to {end}; ask for a longer range")
    origin = int(np.searchsorted(dates, np.datetime64(ORIGIN)))
    return Sessions(calendar=name, dates=dates[first:last], first=first - origin)


def load_closes(calendar: str, start: dt.date, end: dt.date, *, override: Path | None = None) -> pl.DataFrame:
    """Load when each session of `calendar` closes.

    Returns
    -------
    frame ``date, close_utc``
        One row per session, half days included; ``24/7`` closes at 24:00 UTC. A session that only the override file
        knows closes at the time (UTC) of the session before it.
    """
    sessions = load_sessions(calendar, start, end, override=override)
    known = _timetable(sessions.calendar, *_years(start, end))
    midnight = pl.col("date").cast(pl.Datetime("us"))
    after = (pl.col("close_utc") - midnight).fill_null(strategy="forward").fill_null(strategy="backward")
    return (
        pl.DataFrame({"date": sessions.dates})
        .join(known, on="date", how="left", maintain_order="left")
        .select("date", (midnight + after).dt.replace_time_zone("UTC").alias("close_utc"))
    )


def load_timezone(calendar: str) -> str:
    """Return the time zone of the exchange, e.g. ``America/New_York``."""
    return _facts(calendar)[1]


def _years(start: dt.date, end: dt.date) -> tuple[int, int]:
    return min(start, ORIGIN).year, max(end, ORIGIN).year


def _days(name: str, start: dt.date, end: dt.date) -> Days:
    days: Days = _timetable(name, *_years(start, end))["date"].to_numpy().astype("datetime64[D]")
    return days


@lru_cache(maxsize=64)
def _facts(calendar: str) -> tuple[str, str]:
    """Return the code of a calendar and the time zone of its exchange; an unknown one raises `UsageError`."""
    kept = _kept(
        f"facts {calendar}",
        lambda exchange: pl.DataFrame([exchange.facts(calendar)], schema=["name", "zone"], orient="row"),
    )
    return kept["name"][0], kept["zone"][0]


@lru_cache(maxsize=16)
def _timetable(name: str, first_year: int, last_year: int) -> pl.DataFrame:
    """Return ``date, close_utc`` of every session of these years."""
    return _kept(f"{name} {first_year} {last_year}", lambda e: e.timetable(name, first_year, last_year))


def _kept(what: str, build: Callable[[Any], pl.DataFrame]) -> pl.DataFrame:
    """Return a frame that was built once with this version of exchange-calendars and is kept in the user's cache.

    To import that library and to lay out fifty years of sessions takes longer than a night that finds nothing new.
    Where no file can be kept it is built each time.
    """
    key = hashlib.sha256(f"1 {version('exchange-calendars')} {what}".encode()).hexdigest()[:32]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 -- without a home: as it is
    cache = FrameCache(Path(home) / "marketloop" / "calendars", keep=100)
    frame = cache.get(key)
    if frame is None:
        frame = build(importlib.import_module("marketloop.data.exchange"))
        with suppress(MarketLoopError):
            cache.put(key, frame)
    return frame


def _corrected(dates: Days, override: Path | None) -> Days:
    if override is None:
        return dates
    extra: set[dt.date] = set()
    closed: set[dt.date] = set()
    for kind, day in _read_override(override):
        (extra if kind == "session" else closed).add(day)
    inside = np.array(sorted(extra), dtype="datetime64[D]")
    added = np.union1d(dates, inside[(inside >= dates[0]) & (inside <= dates[-1])]) if extra else dates
    kept: Days = np.setdiff1d(added, np.array(sorted(closed), dtype="datetime64[D]"))
    return kept


def _read_override(path: Path) -> Iterator[tuple[str, dt.date]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f'the calendar file "{path}" cannot be read ({error}); correct its path or remove it'
        ) from None
    for number, line in enumerate(lines, start=1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        match = _LINE.match(text)
        try:
            day = dt.date.fromisoformat(match[2]) if match else None
        except ValueError:
            day = None
        if match is None or day is None:
            raise UsageError(
                f'{path}, line {number}: "{text}" is no calendar line; '
                'expected "session YYYY-MM-DD" or "holiday YYYY-MM-DD"'
            )
        yield match[1].lower(), day
