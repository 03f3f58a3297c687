"""Names of retraining policies: at which closes each wants a candidate."""

from __future__ import annotations

import datetime as dt

import pytest

from marketloop.core.errors import UsageError
from marketloop.data.calendar import load_sessions
from marketloop.loop.replay_rules import rule_named, split_names

SESSIONS = load_sessions("XNYS", dt.date(2017, 1, 3), dt.date(2017, 12, 29))
NIGHTS = range(SESSIONS.first, SESSIONS.first + len(SESSIONS.dates))
ZONE = "America/New_York"


def dates(name: str, nights: range = NIGHTS) -> list[dt.date]:
    wanted = rule_named(name, nights, SESSIONS, zone=ZONE).sessions
    assert wanted is not None
    return [SESSIONS.date(night) for night in sorted(wanted)]


def test_monthly_means_the_last_close_of_a_month() -> None:
    assert dates("monthly")[:3] == [dt.date(2017, 1, 31), dt.date(2017, 2, 28), dt.date(2017, 3, 31)]
    assert len(dates("monthly")) == 12


def test_weekly_means_the_last_close_of_a_week_holidays_included() -> None:
    # Good Friday 2017-04-14 is no session
    assert dt.date(2017, 4, 13) in dates("weekly")
    assert all((b - a).days in range(6, 9) for a, b in zip(dates("weekly"), dates("weekly")[1:], strict=False))


def test_quarterly_means_the_last_close_of_a_quarter() -> None:
    assert dates("quarterly") == [
        dt.date(2017, 3, 31),
        dt.date(2017, 6, 30),
        dt.date(2017, 9, 29),
        dt.date(2017, 12, 29),
    ]


def test_cron_line_means_the_newest_close_before_its_time() -> None:
    assert dates("cron:0 2 * * tue")[:2] == [dt.date(2017, 1, 9), dt.date(2017, 1, 13)]  # the 16th is a holiday
    assert dates("cron:30 18 * * fri")[0] == dt.date(2017, 1, 6)


def test_nightly_is_every_close_and_never_is_none() -> None:
    assert len(dates("nightly")) == len(NIGHTS)
    assert dates("never") == []


def test_every_counts_session_numbers_so_the_first_night_does_not_matter() -> None:
    assert set(dates("every:10", NIGHTS[7:])) <= set(dates("every:10"))
    assert len(dates("every:10")) == 25


def test_schedule_of_a_night_does_not_depend_on_how_far_the_data_reach() -> None:
    for name in ("monthly", "weekly", "quarterly", "cron:0 2 * * tue"):
        short = dates(name, NIGHTS[:100])
        assert short == [date for date in dates(name) if date <= SESSIONS.date(NIGHTS[99])]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wekly", "weekly"),
        ("every:0", "from 1 to 1000"),
        ("every:-3", "from 1 to 1000"),
        ("every:x", "from 1 to 1000"),
        ("every:", "from 1 to 1000"),
        ("cron:0 2 * *", "expected five fields"),
        ("cron:99 2 * * *", "cron:99"),
        ("cron:0 2 31 2 *", "never fire"),
        ("", "retraining policy"),
    ],
)
def test_policy_that_cannot_be_read_says_what_is_expected(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        rule_named(name, NIGHTS, SESSIONS, zone=ZONE)


def test_schedule_after_a_session_without_bars_means_the_newest_one_that_has_them() -> None:
    nights = [night for night in NIGHTS if SESSIONS.date(night) != dt.date(2017, 1, 31)]
    wanted = rule_named("monthly", nights, SESSIONS, zone=ZONE).sessions
    assert wanted is not None
    assert SESSIONS.date(min(wanted)) == dt.date(2017, 1, 30)
    assert len(wanted) == 12


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("never,weekly", ("never", "weekly")),
        (" never , every:5 ", ("never", "every:5")),
        ("cron:0 2 1 1,4,7,10 *,weekly", ("cron:0 2 1 1,4,7,10 *", "weekly")),
        ("cron:30 18 * * mon,fri,never", ("cron:30 18 * * mon,fri", "never")),
        ("", ()),
    ],
)
def test_commas_inside_a_cron_line_belong_to_it(text: str, found: tuple[str, ...]) -> None:
    assert split_names(text) == found
