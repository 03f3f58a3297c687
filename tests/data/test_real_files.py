"""The real files: their known defects are found, counted and set aside."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from marketloop.core.values import Sessions
from marketloop.data.calendar import load_closes, load_sessions
from marketloop.data.collect import collect
from marketloop.data.context import build_context
from marketloop.data.quality import Quality, examine, report_of
from marketloop.data.sources import FolderSource, context_series_from_files, sectors_from_file
from marketloop.data.sources.series import sector_series
from marketloop.data.store import DeltaBarStore
from marketloop.data.universes import members_on, membership_from_file

D = dt.date
SP500 = "sp500_daily_2013_2018.parquet"


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return load_sessions("XNYS", D(1990, 1, 1), D(2018, 12, 31))


def examined(path: Path, sessions: Sessions) -> Quality:
    source = FolderSource(path)
    return examine(source.fetch(source.tickers(), D(1990, 1, 1), D(2018, 12, 31)).bars, sessions)


def test_defects_of_the_sp500_file_are_found(shared_data: Path, sessions: Sessions) -> None:
    quality = examined(shared_data / SP500, sessions)
    # 11 rows lack the open, 8 of these also high and low. One row has high < low, and it is also one of the 12 whose
    # open or close lies outside the range: 12 = 1 + 3 + 8.
    expected = {"null_price": 11, "high_below_low": 1, "open_outside_range": 3, "close_outside_range": 8}
    assert quality.report.rules == expected
    assert (quality.report.rows, quality.report.accepted) == (619_040, 619_017)
    nulls = quality.quarantined.filter(pl.col("rule") == "null_price")
    assert (nulls["open"].null_count(), nulls["high"].null_count(), nulls["low"].null_count()) == (11, 8, 8)
    # All 4 zero volumes stand in rows that lack prices, and LNT's half-price day (two jumps) has its close outside.
    assert nulls.filter(pl.col("volume") == 0).height == 4
    lnt = quality.quarantined.filter(pl.col("ticker") == "LNT", pl.col("date") == D(2016, 5, 19))
    assert lnt["rule"].to_list() == ["close_outside_range"]
    warnings = Counter(w["rule"] for w in quality.report.warnings)
    assert warnings == {"jump": 9, "gap": 3}
    spin_offs = {(w["ticker"], w["date"]) for w in quality.report.warnings if w["rule"] == "jump"}
    assert {("BAX", "2015-07-01"), ("EBAY", "2015-07-20"), ("NI", "2015-07-02"), ("DISCA", "2014-08-07")} <= spin_offs


def test_file_and_folder_of_csvs_give_the_same(shared_data: Path, sessions: Sessions, tmp_path: Path) -> None:
    tickers = ["AAPL", "BAX", "DHR", "LNT", "O", "REGN", "VRTX"]
    raw = pl.read_parquet(shared_data / SP500).filter(pl.col("ticker").is_in(tickers))
    raw.write_parquet(tmp_path / "all.parquet")
    (tmp_path / "each").mkdir()
    for (ticker,), part in raw.partition_by("ticker", as_dict=True).items():
        part.drop("ticker").write_csv(tmp_path / "each" / f"{ticker}.csv")
    one, many = examined(tmp_path / "all.parquet", sessions), examined(tmp_path / "each", sessions)
    assert one.accepted.equals(many.accepted)
    assert one.report == many.report


def test_collect_of_the_sp500_file_in_two_steps_stores_all_of_it(
    shared_data: Path, sessions: Sessions, tmp_path: Path
) -> None:
    source, store = FolderSource(shared_data / SP500), DeltaBarStore(tmp_path)
    first = collect(source, store, sessions=sessions, end=D(2018, 2, 6))
    second = collect(source, store, sessions=sessions)
    assert (first.new_rows, second.new_rows) == (619_017 - 505, 505)
    assert collect(source, store, sessions=sessions).up_to_date
    assert store.read().equals(examined(shared_data / SP500, sessions).accepted)
    report = report_of(store.read(), store.quarantine(), sessions)
    assert (report.rows, report.quarantined) == (619_040, 23)


def test_adjusted_second_vendor_is_read(shared_data: Path, sessions: Sessions) -> None:
    path = shared_data / "stocknet88_daily_2012_2017.parquet"
    quality = examined(path, sessions)
    assert FolderSource(path).adjustment == "adj_close"
    assert quality.report.rules == {"null_price": 3}
    zero = {w["ticker"]: w["count"] for w in quality.report.warnings if w["rule"] == "zero_volume"}
    assert zero == {"AGFS": 49, "PTR": 1, "SPLP": 61}
    first = quality.accepted.row(0, named=True)
    assert (first["ticker"], first["close"]) == ("AAPL", pytest.approx(87.12114))


def test_market_series_become_a_context(shared_data: Path) -> None:
    files = {
        "vix": shared_data / "context_indices_1990_2018.parquet#^VIX",
        "spx": shared_data / "context_indices_1990_2018.parquet#^GSPC",
        "usd": shared_data / "context_indices_1990_2018.parquet#DX-Y.NYB",
        "us10y": shared_data / "us_treasury_yields_1990_2018.parquet#dgs10",
    }
    series = context_series_from_files(files) | sector_series(shared_data / "sector_etfs_1998_2018.parquet")
    sectors = sectors_from_file(shared_data / "sp500_constituents_2018.parquet")
    window = load_sessions("XNYS", D(2015, 8, 21), D(2015, 9, 4))
    closes = load_closes("XNYS", D(2015, 8, 21), D(2015, 9, 4))
    built = build_context(series, sectors, sessions=window, close_utc=closes)
    row = built.market.filter(pl.col("date") == D(2015, 8, 24)).row(0, named=True)
    # The yield of the Monday (2.01) was published in its evening; at the close that of Friday (2.05) was known.
    assert (row["vix"], row["us10y"]) == (40.74, 2.05)
    assert built.market.null_count().sum_horizontal().item() == 0
    assert built.sector_prices["sector"].n_unique() == 9
    assert built.sectors.height == 505


def test_membership_by_date_is_read(shared_data: Path) -> None:
    membership = membership_from_file(shared_data / "sp500_membership_intervals.parquet")
    assert len(members_on(membership, D(2013, 2, 8))) == 497
