"""Reads a column of dates, whatever form it comes in, without guessing between day and month."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from marketloop.core.errors import UsageError

__all__ = ["DayOrder", "ReadDates", "day_order", "read_dates"]

DayOrder = Literal["day", "month"]

_YEARS: Final = (1900, 2100)
_NUMERIC: Final = r"^(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4}|\d{2})\b"
_ISO: Final = r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})"
_ZONE: Final = r"\d:?\d{2}(?::?\d{2}(?:\.\d+)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})$"
_SPELLED: Final = ("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%d/%b/%Y")
_Unit = Literal["s", "ms", "us", "ns"]
_EPOCHS: Final[tuple[tuple[float, float, _Unit], ...]] = (
    (1e8, 1e11, "s"),
    (1e11, 1e14, "ms"),
    (1e14, 1e17, "us"),
    (1e17, 1e20, "ns"),
)


@dataclass(frozen=True, slots=True)
class ReadDates:
    """Dates read from one column.

    Parameters
    ----------
    dates : Date series
        Null where the value could not be read.
    timed : bool
        The column holds times of day, not bare dates.
    zone : str, optional
        The time zone in which the dates were taken, where the stamps name one.
    """

    dates: pl.Series
    timed: bool = False
    zone: str | None = None


def read_dates(
    column: pl.Series, where: str, *, order: DayOrder | None = None, exchange_zone: str | None = None
) -> ReadDates:
    """Read dates from text, dates, time stamps or epoch numbers.

    Text may be ISO (``2015-03-31``, ``20150331``), numeric (``3/31/2015``, ``31.03.2015``) or spelled (``31-Mar-2015``,
    ``Mar 31, 2015``). Where all time-zone-aware stamps stand at midnight of their own zone they are labels and give
    that zone's date; else they give the date in `exchange_zone`, or in their own zone where that is not known. Epoch
    numbers are UTC.

    Parameters
    ----------
    column : series
    where : str
        Names the column and file in messages.
    order : {"day", "month"}, optional
        What stands first in numeric dates; needed where `day_order` cannot tell.
    exchange_zone : str, optional
        Time zone of the exchange.

    Raises
    ------
    UsageError
        Nothing in the column is a date, or day and month cannot be told apart.
    """
    filled = column.drop_nulls()
    if isinstance(column.dtype, pl.Date):
        return ReadDates(column)
    if isinstance(column.dtype, pl.Datetime):
        read = _from_stamps(column, exchange_zone)
    elif column.dtype.is_numeric():
        read = _from_numbers(column, exchange_zone)
    else:
        read = _from_text(column.cast(pl.String).str.strip_chars(), where, order, exchange_zone)
    if len(filled) and read.dates.is_null().all():
        raise UsageError(
            f"{where}: no value is a date (the first is {filled[0]!r}); write dates as YYYY-MM-DD, one per row"
        )
    return read


def day_order(column: pl.Series) -> DayOrder | None:
    """Return what stands first in the numeric dates of a text column; None where the column cannot tell.

    >>> day_order(pl.Series(["03/04/2015", "31/03/2015"]))
    'day'
    """
    if column.dtype != pl.String:
        return None
    parts = column.str.strip_chars().str.extract_groups(_NUMERIC).struct.unnest().drop_nulls()
    first, second = parts["1"].cast(pl.Int64), parts["3"].cast(pl.Int64)
    day_first, month_first = bool((first > 12).any()), bool((second > 12).any())
    if day_first != month_first:
        return "day" if day_first else "month"
    dotted = len(parts) > 0 and bool((parts["2"] == ".").all())
    # With dots the day stands first wherever such dates are written.
    return "day" if dotted and not month_first else None


def _from_stamps(column: pl.Series, exchange_zone: str | None) -> ReadDates:
    zone = getattr(column.dtype, "time_zone", None)
    local = column.dt.replace_time_zone(None)
    timed = bool((local.dt.time().cast(pl.Int64) != 0).any())
    if zone is None or not timed or exchange_zone is None:
        return ReadDates(local.dt.date(), timed, zone)
    return ReadDates(
        column.dt.convert_time_zone(exchange_zone).dt.replace_time_zone(None).dt.date(), timed, exchange_zone
    )


def _from_numbers(column: pl.Series, exchange_zone: str | None) -> ReadDates:
    whole = column.cast(pl.Int64, strict=False)
    typical = float(whole.drop_nulls().median() or 0)  # type: ignore[arg-type]
    if _YEARS[0] * 10_000 < typical < _YEARS[1] * 10_000:
        return ReadDates(whole.cast(pl.String).str.to_date("%Y%m%d", strict=False))
    for low, high, unit in _EPOCHS:
        if low <= typical < high:
            return _from_stamps(
                pl.from_epoch(whole, time_unit=unit).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), exchange_zone
            )
    return ReadDates(pl.Series(column.name, [None] * len(column), dtype=pl.Date))


def _from_text(text: pl.Series, where: str, order: DayOrder | None, exchange_zone: str | None) -> ReadDates:
    filled = text.filter(text.is_not_null() & (text != ""))
    if len(filled) and filled.str.contains(r"^\d{8,19}(\.0+)?$").mean() > 0.5:  # type: ignore[operator]
        return _from_numbers(text.cast(pl.Float64, strict=False), exchange_zone)
    if bool(filled.str.contains(_NUMERIC).any()):
        order = day_order(text) or order
        if order is None:
            example = filled.filter(filled.str.contains(_NUMERIC))[0]
            raise UsageError(
                f'{where}: "{example}" can be day/month or month/day and nothing in the column decides; '
                "write dates as YYYY-MM-DD"
            )
    month_and_day = ("3", "1") if order == "day" else ("1", "3")
    frame = pl.DataFrame({"text": text}).with_columns(
        iso=_joined(pl.col("text").str.extract_groups(_ISO), "1", "2", "3"),
        numeric=_joined(pl.col("text").str.extract_groups(_NUMERIC), "4", *month_and_day),
        spelled=pl.col("text").str.replace(r"(\d)\s+\d{1,2}:\d{2}.*$", "$1").str.replace_all(",", ""),
    )
    read = [pl.col("spelled").str.to_date(form, strict=False) for form in _SPELLED]
    # "%Y" would read the 15 of "1-Apr-15" as the year 15; "%y" comes later in the list.
    spelled = [pl.when(date.dt.year() >= _YEARS[0]).then(date) for date in read]
    dates = frame.select(pl.coalesce("iso", "numeric", *spelled).alias("date"))["date"]
    zones = filled.str.extract(_ZONE, 1).drop_nulls()
    clock = filled.str.replace(r"\s*(Z|UTC|[+-]\d{2}:?\d{2})$", "")
    timed = bool(clock.str.contains(r"[1-9]\d?:\d{2}|:\d*[1-9]").any())
    if timed and len(zones) == len(filled) and exchange_zone is not None:
        stamps = text.str.replace(r"(Z|\s*UTC)$", "+00:00").str.to_datetime(strict=False, time_zone="UTC")
        return _from_stamps(stamps, exchange_zone)
    return ReadDates(dates, timed, zones[0] if len(zones) else None)


def _joined(groups: pl.Expr, year: str, month: str, day: str) -> pl.Expr:
    number = {part: groups.struct.field(part).cast(pl.Int32, strict=False) for part in (year, month, day)}
    # Two digits of a year: 69 and later lie in the 1900s, as in POSIX.
    full = (
        pl.when(number[year] >= 100)
        .then(number[year])
        .otherwise(pl.when(number[year] >= 69).then(number[year] + 1900).otherwise(number[year] + 2000))
    )
    text = pl.format(
        "{}-{}-{}",
        full,
        number[month].cast(pl.String).str.zfill(2),
        number[day].cast(pl.String).str.zfill(2),
    )
    return text.str.to_date("%Y-%m-%d", strict=False)
