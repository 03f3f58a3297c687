"""What exchange-calendars knows of an exchange, as plain values; it is slow, and only loaded for what is not kept."""

from __future__ import annotations

import datetime as dt

import exchange_calendars as xc
import polars as pl
from exchange_calendars.calendar_utils import _default_calendar_factories as _factories
from exchange_calendars.errors import InvalidCalendarName

from marketloop.core.errors import UsageError, did_you_mean

__all__ = ["facts", "timetable"]


def facts(calendar: str) -> tuple[str, str]:
    """Return the code of the calendar that `calendar` names, and the time zone of its exchange.

    Raises
    ------
    UsageError
        There is no such calendar.
    """
    try:
        name = str(xc.resolve_alias(calendar))
    except (InvalidCalendarName, TypeError, AttributeError):
        name = str(calendar)
    if name not in _factories:
        guess = did_you_mean(calendar, xc.get_calendar_names())
        raise UsageError(f'unknown calendar "{calendar}": expected a code such as XNYS, XLON, XTKS or 24/7.{guess}')
    return name, str(_factories[name].tz)


def timetable(name: str, first_year: int, last_year: int) -> pl.DataFrame:
    """Return ``date, close_utc`` (without a zone) of every session of these years.

    Raises
    ------
    UsageError
        The calendar ends before the last year does.
    """
    low, high = _factories[name].bound_min(), _factories[name].bound_max()
    start, end = dt.date(first_year, 1, 1), dt.date(last_year, 12, 31)
    if high is not None and end > high.date():
        raise UsageError(f"the calendar {name} ends on {high.date()}, before the end of {last_year}; ask for less")
    if low is not None:
        start = max(start, low.date())
    # The end is given because the library would otherwise end one year after the day on which it runs.
    closes = xc.get_calendar(name, start=start.isoformat(), end=end.isoformat()).closes
    return pl.DataFrame(
        {"date": closes.index.values.astype("datetime64[D]"), "close_utc": closes.to_numpy("datetime64[us]")}
    )
