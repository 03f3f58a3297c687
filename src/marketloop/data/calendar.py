"""Sessions of an exchange, numbered from a fixed origin, and the time at which each of them closes."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import exchange_calendars as xc
import numpy as np
import polars as pl
from exchange_calendars.calendar_utils import _default_calendar_factories as _factories
from exchange_calendars.errors import InvalidCalendarName
from numpy.typing import NDArray

from marketloop.core.errors import UsageError, did_you_mean
from marketloop.core.values import Sessions

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
    name = _canonical(calendar)
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
    closes = _calendar(sessions.calendar, *_years(start, end)).closes
    known = pl.DataFrame(
        {"date": closes.index.values.astype("datetime64[D]"), "close_utc": closes.to_numpy("datetime64[us]")}
    )
    midnight = pl.col("date").cast(pl.Datetime("us"))
    after = (pl.col("close_utc") - midnight).fill_null(strategy="forward").fill_null(strategy="backward")
    return (
        pl.DataFrame({"date": sessions.dates})
        .join(known, on="date", how="left", maintain_order="left")
        .select("date", (midnight + after).dt.replace_time_zone("UTC").alias("close_utc"))
    )


def load_timezone(calendar: str) -> str:
    """Return the time zone of the exchange, e.g. ``America/New_York``."""
    return str(_factories[_canonical(calendar)].tz)


def _canonical(calendar: str) -> str:
    try:
        name = str(xc.resolve_alias(calendar))
    except (InvalidCalendarName, TypeError, AttributeError):
        name = str(calendar)
    if name not in _factories:
        guess = did_you_mean(calendar, xc.get_calendar_names())
        raise UsageError(f'unknown calendar "{calendar}": expected a code such as XNYS, XLON, XTKS or 24/7.{guess}')
    return name


def _years(start: dt.date, end: dt.date) -> tuple[int, int]:
    return min(start, ORIGIN).year, max(end, ORIGIN).year


def _days(name: str, start: dt.date, end: dt.date) -> Days:
    days: Days = _calendar(name, *_years(start, end)).sessions.values.astype("datetime64[D]")
    return days


@lru_cache(maxsize=16)
def _calendar(name: str, first_year: int, last_year: int) -> xc.ExchangeCalendar:
    low, high = _factories[name].bound_min(), _factories[name].bound_max()
    start, end = dt.date(first_year, 1, 1), dt.date(last_year, 12, 31)
    if high is not None and end > high.date():
        raise UsageError(f"the calendar {name} ends on {high.date()}, before the end of {last_year}; ask for less")
    if low is not None:
        start = max(start, low.date())
    # The end is given because the library would otherwise end one year after the day on which it runs.
    return xc.get_calendar(name, start=start.isoformat(), end=end.isoformat())


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
