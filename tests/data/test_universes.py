"""Universes by region, list and membership, and the largest tickers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from marketloop.core.errors import UsageError
from marketloop.data.universes import largest, members_on, membership_from_file, resolve_universe

D = dt.date
AVAILABLE = ("AAPL", "BRK.B", "INFY.NS", "TCS.BO", "VOD.L")


def test_region_is_told_by_the_endings_of_tickers() -> None:
    assert resolve_universe("US", AVAILABLE).tickers == ("AAPL", "BRK.B")
    assert resolve_universe("IN", AVAILABLE).tickers == ("INFY.NS", "TCS.BO")
    assert resolve_universe("all", AVAILABLE).tickers == AVAILABLE


def test_list_of_today_warns_about_survivorship() -> None:
    (text,) = resolve_universe("US", AVAILABLE).warnings
    assert "those that left before are absent" in text
    assert "(survivorship)" in text


def test_named_universe_of_a_plugin_is_found() -> None:
    found = resolve_universe("mine", AVAILABLE, named={"mine": ("VOD.L", "XXX")})
    assert found.tickers == ("VOD.L",)


def test_membership_by_date_is_read_and_asked(tmp_path: Path) -> None:
    text = "ticker,start_date,end_date\nAAPL,2000-01-03,\nVOD.L,2000-01-03,2010-06-30\nGONE,1999-01-04,2001-01-31\n"
    (tmp_path / "members.csv").write_text(text, encoding="utf-8")
    membership = membership_from_file(tmp_path / "members.csv")
    assert members_on(membership, D(2010, 6, 30)) == ("AAPL", "VOD.L")
    assert members_on(membership, D(2010, 7, 1)) == ("AAPL",)
    found = resolve_universe("sp500", AVAILABLE, membership=membership)
    assert found.tickers == ("AAPL", "VOD.L")
    assert found.warnings == ('1 of 3 tickers that ever were in "sp500" have no bars here (survivorship)',)


def test_membership_file_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("ticker,sector\nAAPL,Tech\n", encoding="utf-8")
    with pytest.raises(UsageError, match="needs the columns ticker, start_date and end_date; it has ticker, sector"):
        membership_from_file(tmp_path / "x.csv")


def test_universe_that_cannot_be_resolved_says_why() -> None:
    with pytest.raises(UsageError, match=r'unknown universe "sp50": expected one of .* Did you mean "sp500"\?'):
        resolve_universe("sp50", AVAILABLE)
    with pytest.raises(UsageError, match="cannot read its members by date yet"):
        resolve_universe("sp500", AVAILABLE)
    with pytest.raises(UsageError, match='has no ticker of the universe "JP"; it has 5 tickers'):
        resolve_universe("JP", AVAILABLE)


def test_largest_goes_by_median_traded_value_of_the_last_sessions(make_bars: Callable[..., pl.DataFrame]) -> None:
    bars = make_bars("AAA", "BBB", "CCC", count=80)
    early = pl.col("date") < D(2014, 1, 20)
    factor = (
        pl.when((pl.col("ticker") == "AAA") & early).then(1e6).when(pl.col("ticker") == "BBB").then(2.0).otherwise(1.0)
    )
    traded = bars.with_columns(volume=pl.col("volume") * factor)
    assert largest(traded, 1) == ("BBB",)
    assert largest(traded, 2) == ("BBB", "CCC")
    assert largest(traded, 9) == ("AAA", "BBB", "CCC")
    with pytest.raises(UsageError, match="--top 0: expected at least 1 ticker"):
        largest(traded, 0)


def test_ticker_without_volume_ranks_last(make_bars: Callable[..., pl.DataFrame]) -> None:
    bars = make_bars("AAA", "BBB").with_columns(volume=pl.when(pl.col("ticker") == "BBB").then("volume"))
    assert largest(bars, 1) == ("BBB",)
