"""Market series as they were known at each close of the universe's own exchange."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from marketloop.core.errors import UsageError
from marketloop.core.values import Context, Sessions
from marketloop.data.calendar import load_closes, load_sessions
from marketloop.data.context import build_context
from marketloop.data.sources.protocol import no_sectors

D = dt.date
UTC = dt.UTC


def series(rows: Sequence[tuple[dt.date, float | None, dt.datetime | None]]) -> pl.DataFrame:
    schema = {"date": pl.Date(), "value": pl.Float64(), "known_at": pl.Datetime("us", "UTC")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def daily(first: dt.date, values: Sequence[float]) -> pl.DataFrame:
    """Return one value per session of New York, without known_at."""
    days = load_sessions("XNYS", first, first + dt.timedelta(days=60)).dates[: len(values)]
    return pl.DataFrame({"date": days, "value": list(values)})


def closes(sessions: Sessions) -> pl.DataFrame:
    return load_closes(sessions.calendar, sessions.dates[0].astype(object), sessions.dates[-1].astype(object))


def context(calendar: str, first: dt.date, last: dt.date, **frames: pl.DataFrame) -> Context:
    return build_context(frames, no_sectors(), sessions=load_sessions(calendar, first, last), close_utc=closes)


def test_index_of_new_york_is_known_at_its_own_close() -> None:
    market = context("XNYS", D(2015, 3, 30), D(2015, 4, 1), spx=daily(D(2015, 3, 30), [1.0, 2.0, 3.0])).market
    assert market["spx"].to_list() == [1.0, 2.0, 3.0]
    assert market.columns == ["date", "vix", "spx", "us10y", "usd"]
    assert market["vix"].null_count() == 3


def test_index_of_new_york_is_known_in_tokyo_one_session_later() -> None:
    market = context("XTKS", D(2015, 3, 30), D(2015, 4, 1), spx=daily(D(2015, 3, 27), [1.0, 2.0, 3.0, 4.0])).market
    # March 27 is a Friday; on Monday March 30 Tokyo closes before New York opens.
    assert market["spx"].to_list() == [1.0, 2.0, 3.0]


def test_index_of_new_york_is_known_to_crypto_on_the_same_date() -> None:
    market = context("24/7", D(2015, 3, 27), D(2015, 3, 30), spx=daily(D(2015, 3, 27), [1.0, 2.0])).market
    assert market["spx"].to_list() == [1.0, 1.0, 1.0, 2.0]


def test_yield_is_known_from_the_next_session_on() -> None:
    market = context("XNYS", D(2015, 3, 30), D(2015, 4, 1), us10y=daily(D(2015, 3, 30), [1.0, 2.0, 3.0])).market
    assert market["us10y"].to_list() == [None, 1.0, 2.0]


def test_value_of_a_half_day_is_known_at_its_early_close() -> None:
    market = context("XNYS", D(2014, 11, 26), D(2014, 11, 28), vix=daily(D(2014, 11, 26), [12.0, 13.0])).market
    assert market.select("date", "vix").rows() == [(D(2014, 11, 26), 12.0), (D(2014, 11, 28), 13.0)]


def test_given_time_decides_to_the_second() -> None:
    close = dt.datetime(2015, 3, 31, 20, tzinfo=UTC)
    on_time, late = (D(2015, 3, 30), 1.0, close), (D(2015, 3, 31), 2.0, close + dt.timedelta(seconds=1))
    market = context("XNYS", D(2015, 3, 31), D(2015, 4, 1), usd=series([late, on_time])).market
    assert market["usd"].to_list() == [1.0, 2.0]


def test_correction_of_an_older_date_never_replaces_a_newer_value() -> None:
    first = (D(2015, 3, 27), 1.0, dt.datetime(2015, 3, 27, 20, tzinfo=UTC))
    newer = (D(2015, 3, 30), 2.0, dt.datetime(2015, 3, 30, 20, tzinfo=UTC))
    correction = (D(2015, 3, 27), 9.0, dt.datetime(2015, 3, 31, 12, tzinfo=UTC))
    market = context("XNYS", D(2015, 3, 27), D(2015, 4, 1), usd=series([correction, newer, first])).market
    assert market["usd"].to_list() == [1.0, 2.0, 2.0, 2.0]


def test_correction_of_the_newest_date_is_used_once_it_is_known() -> None:
    first = (D(2015, 3, 30), 1.0, dt.datetime(2015, 3, 30, 20, tzinfo=UTC))
    correction = (D(2015, 3, 30), 9.0, dt.datetime(2015, 3, 31, 12, tzinfo=UTC))
    market = context("XNYS", D(2015, 3, 30), D(2015, 3, 31), usd=series([first, correction])).market
    assert market["usd"].to_list() == [1.0, 9.0]


def test_value_counts_as_unknown_after_10_sessions_without_a_newer_one() -> None:
    market = context("XNYS", D(2015, 3, 2), D(2015, 3, 31), vix=daily(D(2015, 3, 2), [15.0])).market
    assert market["vix"].to_list() == [15.0] * 11 + [None] * 11


def test_value_known_on_a_closed_day_ages_from_the_next_session() -> None:
    saturday = dt.datetime(2015, 3, 7, 12, tzinfo=UTC)
    market = context("XNYS", D(2015, 3, 6), D(2015, 3, 31), usd=series([(D(2015, 3, 7), 1.0, saturday)])).market
    assert market["usd"].to_list() == [None] + [1.0] * 11 + [None] * 6


def test_missing_values_are_passed_over() -> None:
    rows = [(D(2015, 3, 30), 1.0, None), (D(2015, 3, 31), None, None)]
    market = context("XNYS", D(2015, 3, 30), D(2015, 3, 31), vix=series(rows)).market
    assert market["vix"].to_list() == [1.0, 1.0]


def test_future_values_change_nothing_before_they_are_known() -> None:
    values = [float(n) for n in range(1, 31)]
    whole = context(
        "XNYS", D(2015, 3, 2), D(2015, 4, 1), vix=daily(D(2015, 3, 2), values), us10y=daily(D(2015, 3, 2), values)
    )
    for cut in (3, 10, 17):
        part = daily(D(2015, 3, 2), values[:cut])
        short = context("XNYS", D(2015, 3, 2), D(2015, 4, 1), vix=part, us10y=part)
        assert short.market.head(cut).equals(whole.market.head(cut))


def test_sector_funds_become_prices_by_sector() -> None:
    frames = {"sector:Energy": daily(D(2015, 3, 31), [50.0, 51.0]), "sector:Utilities": daily(D(2015, 4, 1), [40.0])}
    sessions = load_sessions("XNYS", D(2015, 3, 31), D(2015, 4, 1))
    sectors = pl.DataFrame({"ticker": ["XOM"], "sector": ["Energy"]})
    built = build_context(frames, sectors, sessions=sessions, close_utc=closes(sessions))
    assert built.sector_prices.rows() == [
        (D(2015, 3, 31), "Energy", 50.0),
        (D(2015, 4, 1), "Energy", 51.0),
        (D(2015, 4, 1), "Utilities", 40.0),
    ]
    assert built.sectors.rows() == [("XOM", "Energy")]


def test_context_without_series_is_null_and_has_every_session() -> None:
    built = context("XNYS", D(2015, 3, 30), D(2015, 4, 1))
    assert built.market.schema == Context.empty().market.schema
    assert built.market["spx"].null_count() == 3
    assert built.sector_prices.schema == Context.empty().sector_prices.schema


def test_unknown_series_is_refused() -> None:
    with pytest.raises(UsageError, match='unknown market series "vox": expected one of vix, spx, us10y, usd or sector'):
        context("XNYS", D(2015, 3, 30), D(2015, 4, 1), vox=daily(D(2015, 3, 30), [1.0]))


def test_series_known_before_its_day_is_refused() -> None:
    early = dt.datetime(2015, 3, 28, tzinfo=ZoneInfo("America/New_York"))
    with pytest.raises(UsageError, match="value of 2015-03-30 was known on 2015-03-28, before that day"):
        context("XNYS", D(2015, 3, 30), D(2015, 4, 1), vix=series([(D(2015, 3, 30), 1.0, early.astimezone(UTC))]))


def test_session_without_a_closing_time_is_refused() -> None:
    sessions = load_sessions("XNYS", D(2015, 3, 30), D(2015, 4, 1))
    with pytest.raises(UsageError, match="closing time of session 2015-04-01 is missing"):
        build_context({}, no_sectors(), sessions=sessions, close_utc=closes(sessions).head(2))
