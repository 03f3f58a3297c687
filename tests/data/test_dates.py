"""Dates in every form that files hold them in."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from marketloop.core.errors import UsageError
from marketloop.data.sources.dates import day_order, read_dates

D = dt.date
WHERE = '"aaa.csv", column "Date"'


def read(*values: Any, **options: Any) -> list[dt.date | None]:
    return read_dates(pl.Series(values), WHERE, **options).dates.to_list()


@pytest.mark.parametrize(
    "text",
    [
        "2015-03-31", "2015/03/31", "2015.3.31", "20150331", "3/31/2015", "03/31/15", "31.03.2015", "31.3.15",
        "31/03/2015", "31-03-2015", "31-Mar-2015", "31-Mar-15", "31 March 2015", "Mar 31, 2015", "March 31 2015",
        "2015-03-31 16:00:00", "2015-03-31T16:00", "3/31/2015 16:00", "2015-03-31 00:00:00-04:00",
        "2015-03-31T00:00:00Z",
    ],
)  # fmt: skip
def test_text_is_read_in_many_forms(text: str) -> None:
    assert read(text) == [D(2015, 3, 31)]


@pytest.mark.parametrize(
    "number", [20150331, 1427760000, 1427760000_000, 1427760000_000_000, 1427760000_000_000_000, 1427760000.0]
)
def test_numbers_are_dates_or_epochs(number: float) -> None:
    assert read(number) == [D(2015, 3, 31)]


def test_epoch_as_text_is_read() -> None:
    assert read("1427760000", "1427846400") == [D(2015, 3, 31), D(2015, 4, 1)]


def test_whole_column_decides_between_day_and_month() -> None:
    assert read("01/02/2015", "31/01/2015") == [D(2015, 2, 1), D(2015, 1, 31)]
    assert read("01/02/2015", "01/31/2015") == [D(2015, 1, 2), D(2015, 1, 31)]


def test_dots_put_the_day_first() -> None:
    assert read("01.02.2015") == [D(2015, 2, 1)]


def test_undecidable_day_and_month_asks_for_iso_dates() -> None:
    with pytest.raises(UsageError, match=r'"aaa.csv", column "Date": "01/02/2015" can be .* YYYY-MM-DD'):
        read("01/02/2015", "03/04/2015")
    assert read("01/02/2015", order="day") == [D(2015, 2, 1)]


def test_column_that_mixes_both_orders_decides_nothing() -> None:
    assert day_order(pl.Series(["31/01/2015", "01/31/2015"])) is None


def test_value_that_is_no_date_becomes_null() -> None:
    assert read("2015-03-31", "n/a", "2015-02-30", None) == [D(2015, 3, 31), None, None, None]


def test_column_without_any_date_is_refused() -> None:
    with pytest.raises(UsageError, match=r"column \"Date\": no value is a date \(the first is 'AAA'\)"):
        read("AAA", "BBB")


def test_stamps_at_midnight_of_their_zone_are_labels_of_the_day() -> None:
    stamps = pl.Series([dt.datetime(2015, 3, 31, tzinfo=dt.UTC)])
    result = read_dates(stamps, WHERE, exchange_zone="America/New_York")
    assert (result.dates.to_list(), result.zone) == ([D(2015, 3, 31)], "UTC")


def test_stamps_within_a_day_give_the_date_at_the_exchange() -> None:
    stamps = pl.Series([dt.datetime(2015, 3, 30, 15, tzinfo=dt.UTC)])
    result = read_dates(stamps, WHERE, exchange_zone="Asia/Tokyo")
    assert (result.dates.to_list(), result.zone) == ([D(2015, 3, 31)], "Asia/Tokyo")


def test_stamps_give_the_date_of_their_own_zone_when_no_exchange_is_known() -> None:
    stamps = pl.Series([dt.datetime(2015, 4, 1, 2, tzinfo=dt.UTC)]).dt.convert_time_zone("America/New_York")
    result = read_dates(stamps, WHERE)
    assert (result.dates.to_list(), result.zone) == ([D(2015, 3, 31)], "America/New_York")


def test_text_with_offsets_across_summer_time_gives_the_local_date() -> None:
    assert read("2015-01-30 00:00:00-05:00", "2015-03-31 00:00:00-04:00") == [D(2015, 1, 30), D(2015, 3, 31)]
    assert read("2015-03-30T15:00:00Z", exchange_zone="Asia/Tokyo") == [D(2015, 3, 31)]
