"""A series is held to what its source said at the time."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from marketloop.data.vintages import check_series, series_warnings

DAY = dt.timedelta(days=1)


def at(day: int, hour: int = 21) -> dt.datetime:
    return dt.datetime(2020, 3, 1, hour, tzinfo=dt.UTC) + (day - 1) * DAY


def series(values: dict[int, float], *, late: float = 0.0, known: dict[int, dt.datetime] | None = None) -> pl.DataFrame:
    """Values by day of March 2020, known `late` days after 21:00 of their day."""
    days = list(values)
    return pl.DataFrame(
        {
            "date": [dt.date(2020, 3, day) for day in days],
            "value": list(values.values()),
            "known_at": [(known or {}).get(day, at(day) + late * DAY) for day in days],
        },
        schema={"date": pl.Date, "value": pl.Float64, "known_at": pl.Datetime("us", "UTC")},
    )


THEN, NOW = series({2: 1.0, 3: 2.0}), series({2: 1.0, 3: 2.0, 4: 3.0, 5: 4.0})
MINUTES_AFTER = at(3, 21) + dt.timedelta(minutes=5)


def test_series_that_was_said_as_it_is_used_is_honest() -> None:
    assert check_series(NOW, [(MINUTES_AFTER, THEN)]) == ()


def test_value_that_the_source_did_not_have_yet_is_found() -> None:
    (late,) = check_series(NOW, [(MINUTES_AFTER, series({2: 1.0}))])
    assert (late.date, late.value, late.said) == (dt.date(2020, 3, 3), 2.0, None)
    assert "said to be known since 2020-03-03 21:00, but the source said nothing" in late.detail


def test_value_corrected_under_the_time_of_the_first_print_is_found() -> None:
    (late,) = check_series(series({2: 1.0, 3: 2.02, 4: 3.0}), [(MINUTES_AFTER, THEN)])
    assert (late.value, late.said) == (2.02, 2.0)


def test_correction_with_its_own_time_stands_beside_the_first_print() -> None:
    corrected = pl.concat([NOW, series({3: 2.5}, known={3: at(9)})])
    assert check_series(corrected, [(MINUTES_AFTER, THEN)]) == ()
    assert check_series(corrected, [(MINUTES_AFTER, THEN), (at(9, 23), corrected)]) == ()


@pytest.mark.parametrize(
    "answer",
    [series({3: 2.0}), series({2: 1.0, 3: 2.0000000000000004}), THEN.head(0)],
    ids=["it begins later", "the last bit differs", "it is empty"],
)
def test_harmless_difference_is_left_alone(answer: pl.DataFrame) -> None:
    assert check_series(NOW, [(MINUTES_AFTER, answer)]) == ()


def test_value_that_is_late_and_says_so_is_honest() -> None:
    assert check_series(series({2: 1.0, 3: 2.0}, late=3), [(MINUTES_AFTER, THEN.head(0))]) == ()
    assert check_series(series({2: 1.0, 3: 2.0}, late=3), [(MINUTES_AFTER, series({2: 1.0}, late=-2))]) == ()


def test_new_answer_that_rewrites_the_past_is_a_warning_by_name() -> None:
    stored = {"vix": THEN, "usd": THEN, "sector:Energy": THEN}
    new = {"vix": series({2: 1.5, 3: 2.0, 4: 3.0}), "usd": NOW, "sector:Energy": series({2: 0.5, 3: 1.0}), "spx": NOW}
    (sentence,) = series_warnings(new, stored)
    assert sentence.startswith('the market series "vix" rewrites its past: the value 1.5 of 2020-03-02')


def test_series_without_known_at_are_dated_by_their_names() -> None:
    bare = {"us10y": THEN.drop("known_at")}
    assert series_warnings({"us10y": NOW.drop("known_at")}, bare) == ()
    assert len(series_warnings({"us10y": series({2: 9.0, 3: 2.0}).drop("known_at")}, bare)) == 1
