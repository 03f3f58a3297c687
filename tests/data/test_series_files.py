"""Market series and sector maps from files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from marketloop.core.errors import UsageError
from marketloop.data.sources.sample import SampleSource
from marketloop.data.sources.series import (
    context_series_from_files,
    sector_series,
    sectors_from_file,
    series_from_source,
)

D = dt.date


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_date_and_value_are_read_and_gaps_left_out(tmp_path: Path) -> None:
    file = write(tmp_path / "vix.csv", "date,value\n2015-03-31,15.5\n2015-03-30,14.5\n2015-04-01,.\n")
    frame = context_series_from_files({"vix": file})["vix"]
    assert frame.rows() == [(D(2015, 3, 30), 14.5, None), (D(2015, 3, 31), 15.5, None)]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("2015-03-31T21:00:00Z", dt.datetime(2015, 3, 31, 21, tzinfo=dt.UTC)),
        ("2015-03-31 21:00", dt.datetime(2015, 3, 31, 21, tzinfo=dt.UTC)),
        ("2015-03-31 17:00:00-04:00", dt.datetime(2015, 3, 31, 21, tzinfo=dt.UTC)),
        ("2015-04-01", dt.datetime(2015, 4, 1, tzinfo=dt.UTC)),
    ],
)
def test_known_at_is_read_in_utc_unless_it_names_a_zone(tmp_path: Path, text: str, known: dt.datetime) -> None:
    file = write(tmp_path / "gdp.csv", f"date,value,known_at\n2015-03-31,1.0,{text}\n")
    assert context_series_from_files({"usd": file})["usd"]["known_at"].to_list() == [known]


def test_known_at_that_is_no_time_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "gdp.csv", "date,value,known_at\n2015-03-31,1.0,later\n")
    with pytest.raises(UsageError, match='column "known_at": not every value is a time stamp'):
        context_series_from_files({"usd": file})


def test_bars_of_one_ticker_give_their_adjusted_close(tmp_path: Path) -> None:
    file = write(tmp_path / "spx.csv", "Date,Open,High,Low,Close,Adj Close\n2015-03-31,1,1,1,2.0,1.5\n")
    assert context_series_from_files({"spx": file})["spx"]["value"].to_list() == [1.5]


def test_selection_takes_a_ticker_or_a_column(tmp_path: Path) -> None:
    bars = write(tmp_path / "x.csv", "date,ticker,close\n2015-03-31,^VIX,15\n2015-03-31,^GSPC,2000\n")
    wide = write(tmp_path / "y.csv", "date,dgs2,dgs10\n2015-03-31,0.5,1.9\n")
    found = context_series_from_files({"vix": f"{bars}#^VIX", "us10y": f"{wide}#dgs10"})
    assert found["vix"]["value"].to_list() == [15.0]
    assert found["us10y"]["value"].to_list() == [1.9]


def test_file_that_needs_a_selection_says_how(tmp_path: Path) -> None:
    bars = write(tmp_path / "x.csv", "date,ticker,close\n2015-03-31,^VIX,15\n2015-03-31,^GSPC,2000\n")
    wide = write(tmp_path / "y.csv", "date,dgs2,dgs10\n2015-03-31,0.5,1.9\n")
    with pytest.raises(UsageError, match=r'holds several tickers \(\^GSPC, \^VIX\); select one as "x.csv#TICKER"'):
        context_series_from_files({"vix": bars})
    with pytest.raises(UsageError, match=r'has no column "value"; it has dgs2, dgs10; select one as "y.csv#COLUMN"'):
        context_series_from_files({"us10y": wide})
    with pytest.raises(UsageError, match=r'Did you mean "\^VIX"\?'):
        context_series_from_files({"vix": f"{bars}#VIX"})


def test_missing_file_and_missing_date_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'none.csv" cannot be read \(No such file or directory\)'):
        context_series_from_files({"vix": tmp_path / "none.csv"})
    with pytest.raises(UsageError, match="has no date column"):
        context_series_from_files({"vix": write(tmp_path / "x.csv", "a,b\n1,2\n")})


def test_sector_funds_are_named_after_their_sector(tmp_path: Path) -> None:
    file = write(tmp_path / "etf.csv", "date,ticker,close\n2015-03-31,XLE,77\n2015-03-31,XLK,41\n2015-03-31,SPY,206\n")
    found = sector_series(file)
    assert {name: frame["value"].to_list() for name, frame in found.items()} == {
        "sector:Energy": [77.0],
        "sector:Information Technology": [41.0],
    }


def test_sector_map_is_read_from_common_spellings(tmp_path: Path) -> None:
    file = write(tmp_path / "members.csv", "Symbol,GICS Sub-Sector,GICS Sector\nXOM,Oil,Energy\nAAPL,PCs,Technology\n")
    assert sectors_from_file(file).rows() == [("AAPL", "Technology"), ("XOM", "Energy")]
    with pytest.raises(UsageError, match="needs the columns ticker and sector; it has a, b"):
        sectors_from_file(write(tmp_path / "x.csv", "a,b\n1,2\n"))


def test_ticker_of_the_source_can_be_a_series() -> None:
    sample = SampleSource()
    bars = sample.fetch(["IBM"], D(2010, 1, 1), D(2010, 1, 10)).bars
    assert series_from_source(sample, {"spx": "IBM"}, bars)["spx"].height == 5
    with pytest.raises(UsageError, match=r'\[context\] vix = "\^VIX": the source sample has no such ticker'):
        series_from_source(sample, {"vix": "^VIX"}, bars)
