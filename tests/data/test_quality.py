"""Each quality rule, the warnings, and what holds for any frame."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_SCHEMA
from marketloop.core.values import Sessions
from marketloop.data.quality import RULES, TOLERANCE, Quality, examine, merge_reports, report_of

D = dt.date
Bars = Callable[..., pl.DataFrame]


def warnings_of(quality: Quality, rule: str) -> list[dict[str, Any]]:
    return [dict(w) for w in quality.report.warnings if w["rule"] == rule]


@pytest.mark.parametrize(
    ("values", "rule", "reason"),
    [
        ({"date": None}, "bad_date", "the date is missing or cannot be read"),
        ({"date": D(2105, 1, 3)}, "bad_date", "2105-01-03 lies outside the calendar as loaded"),
        ({"ticker": None}, "bad_ticker", 'the ticker is "missing"; expected 1 to 32 printable characters'),
        ({"ticker": ""}, "bad_ticker", 'the ticker is ""; expected 1 to 32 printable characters'),
        ({"date": D(2014, 1, 4)}, "not_a_session", "the exchange is closed on 2014-01-04"),
        ({"open": None}, "null_price", "open missing, high 11.0, low 9.0, close 10.5: a price is missing"),
        ({"close": math.nan}, "null_price", "open 10.0, high 11.0, low 9.0, close missing: a price is missing"),
        ({"high": math.inf}, "null_price", "open 10.0, high missing, low 9.0, close 10.5: a price is missing"),
        ({"low": 0.0}, "non_positive_price", "open 10.0, high 11.0, low 0.0, close 10.5: a price is not positive"),
        ({"high": 8.0}, "high_below_low", "high 8.0 is below low 9.0"),
        ({"open": 12.0}, "open_outside_range", "open 12.0 lies outside low 9.0 to high 11.0"),
        ({"close": 8.5}, "close_outside_range", "close 8.5 lies outside low 9.0 to high 11.0"),
        ({"volume": -1.0}, "negative_volume", "volume -1.0 is negative"),
    ],
)
def test_row_that_breaks_a_rule_is_quarantined_with_the_reason(
    one_bar: Bars, sessions: Sessions, values: dict[str, Any], rule: str, reason: str
) -> None:
    quality = examine(pl.concat([one_bar(**values), one_bar(ticker="BBB")]), sessions)
    assert quality.accepted["ticker"].to_list() == ["BBB"]
    assert quality.quarantined.select("rule", "reason").rows() == [(rule, reason)]
    assert quality.report.rules == {rule: 1}
    assert (quality.report.rows, quality.report.accepted, quality.report.quarantined) == (2, 1, 1)


def test_row_that_breaks_two_rules_is_counted_under_the_first(one_bar: Bars, sessions: Sessions) -> None:
    quality = examine(one_bar(high=8.0, open=None), sessions)
    assert quality.report.rules == {"null_price": 1}


def test_rounding_is_no_defect(one_bar: Bars, sessions: Sessions) -> None:
    bar = one_bar(open=11.0 * (1 + 0.9 * TOLERANCE), close=9.0 * (1 - 0.9 * TOLERANCE))
    assert examine(bar, sessions).report.accepted == 1
    assert examine(one_bar(open=11.0 * (1 + 2 * TOLERANCE)), sessions).report.rules == {"open_outside_range": 1}


def test_identical_duplicate_is_quarantined_without_a_warning(one_bar: Bars, sessions: Sessions) -> None:
    quality = examine(pl.concat([one_bar(), one_bar(), one_bar()]), sessions)
    assert quality.report.rules == {"duplicate": 2}
    assert quality.quarantined["reason"][0] == "another row of AAA on 2014-01-02 was kept"
    assert warnings_of(quality, "conflicting_duplicate") == []


def test_conflicting_duplicate_keeps_the_larger_volume_and_warns(one_bar: Bars, sessions: Sessions) -> None:
    quality = examine(pl.concat([one_bar(), one_bar(close=10.7, volume=200.0)]), sessions)
    assert quality.accepted["close"].to_list() == [10.7]
    (found,) = warnings_of(quality, "conflicting_duplicate")
    assert found["detail"] == "two different bars of AAA on 2014-01-02: kept close 10.7, set aside close 10.5"


def test_defective_duplicate_never_displaces_a_good_row(one_bar: Bars, sessions: Sessions) -> None:
    quality = examine(pl.concat([one_bar(high=1.0, volume=900.0), one_bar()]), sessions)
    assert quality.accepted.rows() == one_bar().rows()
    assert quality.report.rules == {"high_below_low": 1}


def test_unreadable_date_is_quoted(one_bar: Bars, sessions: Sessions) -> None:
    raw = one_bar(date=None).with_columns(date_text=pl.lit("31/31/2014"), origin=pl.lit("aaa.csv"))
    row = examine(raw, sessions).quarantined.row(0, named=True)
    assert row["reason"] == "the date is 31/31/2014 or cannot be read"
    assert row["origin"] == "aaa.csv"


def test_wrong_calendar_is_refused_with_the_remedy(sessions: Sessions) -> None:
    days = pl.date_range(D(2014, 3, 1), D(2014, 4, 30), eager=True)
    raw = pl.DataFrame({"date": days}).with_columns(
        ticker=pl.lit("BTC"), open=1.0, high=1.0, low=1.0, close=1.0, volume=1.0
    )
    with pytest.raises(UsageError, match=r'19 of 61 bars .* calendar XNYS is closed .*2014-03-01.*calendar = "24/7"'):
        examine(raw, sessions)


def test_missing_column_is_named(one_bar: Bars, sessions: Sessions) -> None:
    with pytest.raises(UsageError, match=r"lacks the column\(s\) volume"):
        examine(one_bar().drop("volume"), sessions)


def test_jump_warns_and_the_rows_stay(make_bars: Bars, sessions: Sessions) -> None:
    bars = make_bars("AAA")
    half = pl.when(pl.col("date") >= D(2014, 1, 15)).then(0.5).otherwise(1.0)
    quality = examine(bars.with_columns(pl.col("open", "high", "low", "close") * half), sessions)
    (found,) = warnings_of(quality, "jump")
    assert (found["ticker"], found["date"]) == ("AAA", "2014-01-15")
    assert quality.report.accepted == 20


def test_gap_of_more_than_5_sessions_warns(make_bars: Bars, sessions: Sessions) -> None:
    rows = make_bars("AAA")
    six_missing = pl.concat([rows.head(4), rows.tail(10)])
    assert [w["count"] for w in warnings_of(examine(six_missing, sessions), "gap")] == [6]
    five_missing = pl.concat([rows.head(5), rows.tail(10)])
    assert warnings_of(examine(five_missing, sessions), "gap") == []


def test_volume_of_nothing_but_nan_warns_and_the_rows_stay(make_bars: Bars, sessions: Sessions) -> None:
    quality = examine(make_bars("EURUSD").with_columns(volume=pl.lit(math.nan)), sessions)
    assert quality.report.accepted == 20
    assert quality.accepted["volume"].null_count() == 20
    (found,) = warnings_of(quality, "no_volume")
    assert found["detail"] == "EURUSD has no volume at all"


def test_zero_and_missing_volume_warn_per_ticker(make_bars: Bars, sessions: Sessions) -> None:
    row = pl.int_range(pl.len())
    bars = make_bars("AAA").with_columns(volume=pl.when(row < 3).then(0.0).when(row > 3).then("volume"))
    quality = examine(bars, sessions)
    assert [(w["count"], w["date"]) for w in warnings_of(quality, "zero_volume")] == [(3, "2014-01-02")]
    assert [(w["count"], w["date"]) for w in warnings_of(quality, "missing_volume")] == [(1, "2014-01-07")]


def test_stale_tail_warns_from_ten_equal_closes_on(make_bars: Bars, sessions: Sessions) -> None:
    bars, row = make_bars("AAA"), pl.int_range(pl.len())
    assert [w["count"] for w in warnings_of(examine(_frozen(bars, row >= 10), sessions), "stale_tail")] == [10]
    assert warnings_of(examine(_frozen(bars, row >= 11), sessions), "stale_tail") == []


def test_ticker_that_ends_before_the_others_warns(make_bars: Bars, sessions: Sessions) -> None:
    bars = pl.concat([make_bars("AAA", count=30), make_bars("BBB", count=19)])
    (found,) = warnings_of(examine(bars, sessions), "ended_early")
    assert (found["ticker"], found["count"]) == ("BBB", 11)


def test_revision_of_history_warns_and_the_new_value_stays(make_bars: Bars, sessions: Sessions) -> None:
    before = make_bars("AAA", "BBB")
    row = pl.int_range(pl.len())
    after = before.with_columns(close=pl.when(row.is_in([3, 7])).then(pl.col("close") * 1.001).otherwise("close"))
    quality = examine(after, sessions, previous=before)
    (found,) = warnings_of(quality, "revision")
    assert found["detail"] == "2 stored bars of AAA were revised, by up to 0.001 relative"
    assert quality.accepted.equals(after)
    barely = before.with_columns(close=pl.col("close") * (1 + 1e-8))
    assert warnings_of(examine(barely, sessions, previous=before), "revision") == []


def test_scales_of_two_currencies_are_no_defect(make_bars: Bars, sessions: Sessions) -> None:
    yen = make_bars("7203.T").with_columns(pl.col("open", "high", "low", "close") * 9_000)
    quality = examine(pl.concat([make_bars("AAA"), yen]), sessions)
    assert quality.report.warnings == ()
    assert quality.report.accepted == 40


def test_report_of_the_store_equals_the_report_of_the_frame(make_bars: Bars, sessions: Sessions) -> None:
    row = pl.int_range(pl.len())
    raw = make_bars("AAA").with_columns(high=pl.when(row == 4).then(1.0).otherwise("high"), volume=pl.lit(0.0))
    quality = examine(raw, sessions)
    assert report_of(quality.accepted, quality.quarantined, sessions) == quality.report


def test_reports_of_batches_add_up(make_bars: Bars, sessions: Sessions) -> None:
    row = pl.int_range(pl.len())
    raw = make_bars("AAA", "BBB").with_columns(high=pl.when(row % 7 == 0).then(1.0).otherwise("high"))
    whole = examine(raw, sessions).report
    parts = [examine(part, sessions).report for part in raw.partition_by("ticker")]
    added = merge_reports(parts)
    assert (added.rows, added.accepted, added.quarantined, added.rules) == (40, 34, 6, whole.rules)


price = st.sampled_from([9.0, 10.0, 11.0, 0.0, -1.0, None, math.nan])
raw_rows = st.lists(
    st.fixed_dictionaries(
        {
            "date": st.sampled_from([D(2014, 1, 2), D(2014, 1, 3), D(2014, 1, 4), D(2014, 1, 6), D(1900, 1, 1), None]),
            "ticker": st.sampled_from(["AAA", "BBB", "", None]),
            "open": price,
            "high": price,
            "low": price,
            "close": price,
            "volume": st.sampled_from([0.0, 5.0, -5.0, None, math.nan]),
        }
    ),
    max_size=9,
)


@given(rows=raw_rows, order=st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_frame_is_split_completely_and_whatever_its_order(
    rows: list[dict[str, Any]], order: Any, sessions: Sessions
) -> None:
    quality = examine(pl.DataFrame(rows, schema=dict(BAR_SCHEMA)), sessions)
    assert quality.accepted.height + quality.quarantined.height == len(rows) == quality.report.rows
    assert sum(quality.report.rules.values()) == quality.quarantined.height
    assert set(quality.report.rules) <= {rule.name for rule in RULES}
    assert quality.quarantined["reason"].null_count() == 0
    order.shuffle(rows)
    again = examine(pl.DataFrame(rows, schema=dict(BAR_SCHEMA)), sessions)
    assert again.accepted.equals(quality.accepted)
    assert again.quarantined.equals(quality.quarantined)
    assert again.report == quality.report


@given(rows=raw_rows)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_accepted_rows_are_sound_and_stay_accepted(rows: list[dict[str, Any]], sessions: Sessions) -> None:
    accepted = examine(pl.DataFrame(rows, schema=dict(BAR_SCHEMA)), sessions).accepted
    for row in accepted.iter_rows(named=True):
        assert 0 < row["low"] <= min(row["open"], row["close"]) <= max(row["open"], row["close"]) <= row["high"]
        assert row["volume"] is None or row["volume"] >= 0
    assert accepted.select("ticker", "date").is_unique().all()
    assert examine(accepted, sessions).accepted.equals(accepted)


def _frozen(bars: pl.DataFrame, when: pl.Expr) -> pl.DataFrame:
    wide = bars.with_columns(high=pl.lit(110.0), low=pl.lit(90.0))
    return wide.with_columns(close=pl.when(when).then(100.0).otherwise("close"))
