"""Sessions, their numbers and their closes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from marketloop.core.errors import UsageError
from marketloop.data.calendar import load_closes, load_sessions, load_timezone

D = dt.date


def test_number_0_is_the_first_session_of_1990() -> None:
    sessions = load_sessions("XNYS", D(1989, 12, 27), D(1990, 1, 3))
    assert sessions.numbers([D(1989, 12, 28), D(1989, 12, 29), D(1990, 1, 2), D(1990, 1, 3)]).tolist() == [-2, -1, 0, 1]


@pytest.mark.parametrize(("start", "end"), [(D(2015, 1, 1), D(2015, 12, 31)), (D(1985, 1, 1), D(2020, 6, 30))])
def test_number_does_not_depend_on_the_range_asked_for(start: dt.date, end: dt.date) -> None:
    assert load_sessions("XNYS", start, end).numbers([D(2015, 3, 31)]).tolist() == [6361]


def test_sessions_leave_out_weekends_and_holidays() -> None:
    sessions = load_sessions("XNYS", D(2014, 7, 3), D(2014, 7, 7))
    assert sessions.dates.tolist() == [D(2014, 7, 3), D(2014, 7, 7)]


def test_sessions_of_24_7_are_all_days_and_close_at_midnight_utc() -> None:
    closes = load_closes("24/7", D(2014, 7, 4), D(2014, 7, 6))
    assert closes["date"].to_list() == [D(2014, 7, 4), D(2014, 7, 5), D(2014, 7, 6)]
    assert closes["close_utc"][0] == dt.datetime(2014, 7, 5, tzinfo=dt.UTC)


def test_closes_know_summer_time_and_half_days() -> None:
    closes = dict(load_closes("XNYS", D(2014, 7, 2), D(2014, 12, 2)).iter_rows())
    assert closes[D(2014, 7, 2)] == dt.datetime(2014, 7, 2, 20, tzinfo=dt.UTC)
    assert closes[D(2014, 7, 3)] == dt.datetime(2014, 7, 3, 17, tzinfo=dt.UTC)
    assert closes[D(2014, 12, 2)] == dt.datetime(2014, 12, 2, 21, tzinfo=dt.UTC)


def test_alias_names_the_same_calendar() -> None:
    assert load_sessions("NYSE", D(2014, 1, 2), D(2014, 1, 3)).calendar == "XNYS"


def test_calendar_that_begins_after_1990_counts_from_its_first_session() -> None:
    sessions = load_sessions("XTKS", D(1990, 1, 1), D(1997, 1, 10))
    assert sessions.first == 0
    assert sessions.dates[0] == np.datetime64("1997-01-06")


def test_timezone_is_that_of_the_exchange() -> None:
    assert load_timezone("XTKS") == "Asia/Tokyo"


def test_unknown_calendar_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r'unknown calendar "XNY": expected a code .* Did you mean "XNYS"\?'):
        load_sessions("XNY", D(2014, 1, 1), D(2014, 2, 1))


def test_range_beyond_the_calendar_says_where_it_ends() -> None:
    with pytest.raises(UsageError, match="the calendar XKRX ends on 2050-12-31"):
        load_sessions("XKRX", D(2014, 1, 1), D(2060, 1, 1))


def test_range_without_sessions_is_refused() -> None:
    with pytest.raises(UsageError, match="no session from 2014-07-04 to 2014-07-06"):
        load_sessions("XNYS", D(2014, 7, 4), D(2014, 7, 6))
    with pytest.raises(UsageError, match="ends before it begins"):
        load_sessions("XNYS", D(2014, 7, 4), D(2014, 7, 3))


def test_override_adds_and_removes_sessions_and_renumbers_later_ones(tmp_path: Path) -> None:
    override = tmp_path / "calendar.txt"
    override.write_text("# corrections\nsession 2014-07-04\nholiday 2014-07-07  # mourning\n\n", encoding="utf-8")
    plain = load_sessions("XNYS", D(2014, 7, 3), D(2014, 7, 8))
    corrected = load_sessions("XNYS", D(2014, 7, 3), D(2014, 7, 8), override=override)
    assert corrected.dates.tolist() == [D(2014, 7, 3), D(2014, 7, 4), D(2014, 7, 8)]
    assert corrected.first == plain.first
    closes = load_closes("XNYS", D(2014, 7, 3), D(2014, 7, 8), override=override)
    assert closes["close_utc"].null_count() == 0


@pytest.mark.parametrize("line", ["session 2014-13-01", "open 2014-01-04", "2014-01-04"])
def test_override_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    override = tmp_path / "calendar.txt"
    override.write_text(f"holiday 2014-07-07\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=f'calendar.txt, line 2: "{line}" is no calendar line'):
        load_sessions("XNYS", D(2014, 7, 3), D(2014, 7, 8), override=override)


def test_override_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"calendar file .* cannot be read"):
        load_sessions("XNYS", D(2014, 7, 3), D(2014, 7, 8), override=tmp_path / "none.txt")
