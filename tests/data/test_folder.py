"""The `folder` source: layouts, spellings, and input that is wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_SCHEMA
from marketloop.core.values import Sessions
from marketloop.data.quality import examine
from marketloop.data.sources import FolderSource, Source
from marketloop.data.sources.adjust import adjust
from marketloop.data.sources.spelling import match_wide
from marketloop.data.sources.tables import read_numbers

D = dt.date
Bars = Callable[..., pl.DataFrame]
FIRST, LAST = D(1990, 1, 1), D(2030, 1, 1)


def bars_of(path: Path, **options: str) -> pl.DataFrame:
    """Return everything the source gives, sorted, without the columns about its origin."""
    source = FolderSource(path, **options)
    return source.fetch(source.tickers(), FIRST, LAST).bars.select(*BAR_SCHEMA).sort("ticker", "date")


def wide(bars: pl.DataFrame, name: Callable[[str, str], str]) -> pl.DataFrame:
    fields = ("open", "high", "low", "close", "volume")
    parts = [part.select("date", *(pl.col(f).alias(name(t, f)) for f in fields)) for (t,), part in _by_ticker(bars)]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.join(part, on="date", how="full", coalesce=True, maintain_order="left_right")
    return joined


def _by_ticker(bars: pl.DataFrame) -> list[tuple[tuple[str], pl.DataFrame]]:
    parts = bars.partition_by("ticker", as_dict=True, maintain_order=True)
    return [((str(key[0]),), part) for key, part in parts.items()]


def test_folder_source_keeps_the_protocol(make_bars: Bars, tmp_path: Path) -> None:
    make_bars("AAA").write_csv(tmp_path / "x.csv")
    assert isinstance(FolderSource(tmp_path / "x.csv"), Source)


def test_tidy_parquet_and_csv_and_one_file_per_ticker_give_the_same(make_bars: Bars, tmp_path: Path) -> None:
    bars = make_bars("AAA", "BBB")
    bars.write_parquet(tmp_path / "tidy.parquet")
    bars.write_csv(tmp_path / "tidy.csv")
    each = tmp_path / "each"
    each.mkdir()
    for (ticker,), part in _by_ticker(bars):
        part.drop("ticker").write_csv(each / f"{ticker}.csv")
    for path in (tmp_path / "tidy.parquet", tmp_path / "tidy.csv", each):
        assert_frame_equal(bars_of(path), bars)


@pytest.mark.parametrize(
    "names",
    [
        ["Date", "Symbol", "Open", "High", "Low", "Close", "Volume"],
        ["timestamp", "Name", "o", "h", "l", "c", "v"],
        ["Datetime", "TICKER", " Open ", "HIGH", "low_price", "Close/Last", "Vol."],
        ["day", "sym", "open", "max", "min", "Price", "total_volume"],
    ],
)
def test_common_spellings_are_understood(make_bars: Bars, tmp_path: Path, names: list[str]) -> None:
    bars = make_bars("AAA")
    bars.rename(dict(zip(BAR_SCHEMA, names, strict=True))).write_csv(tmp_path / "x.csv")
    assert_frame_equal(bars_of(tmp_path / "x.csv"), bars)


def test_unnamed_first_column_is_the_date(make_bars: Bars, tmp_path: Path) -> None:
    make_bars("AAA").drop("ticker").rename({"date": ""}).write_csv(tmp_path / "AAA.csv")
    assert_frame_equal(bars_of(tmp_path / "AAA.csv"), make_bars("AAA"))


@pytest.mark.parametrize(
    "name",
    [
        lambda t, f: f"{t}_{f}",
        lambda t, f: f"{f}_{t}",
        lambda t, f: f"{t}.{f.title()}",
        lambda t, f: f"{f.title()} {t}",
        lambda t, f: f"('{f.title()}', '{t}')",
    ],
)
def test_wide_layouts_are_understood(make_bars: Bars, tmp_path: Path, name: Callable[[str, str], str]) -> None:
    bars = make_bars("BRK.B", "LOW")
    wide(bars, name).write_parquet(tmp_path / "wide.parquet")
    assert_frame_equal(bars_of(tmp_path / "wide.parquet"), bars)


def test_wide_ticker_that_is_a_word_for_a_price_is_a_ticker() -> None:
    assert [(c.ticker, c.field) for c in match_wide(["date", "LOW_open", "LOW_low"])] == [
        ("LOW", "open"),
        ("LOW", "low"),
    ]


def test_wide_table_leaves_out_days_before_a_ticker_traded(make_bars: Bars, tmp_path: Path) -> None:
    bars = pl.concat([make_bars("AAA", count=20), make_bars("BBB", count=5, first=15)])
    wide(bars, lambda t, f: f"{t}_{f}").write_csv(tmp_path / "wide.csv")
    assert_frame_equal(bars_of(tmp_path / "wide.csv"), bars)


def test_one_wide_file_per_field_is_understood(make_bars: Bars, tmp_path: Path) -> None:
    bars = make_bars("AAA", "BBB")
    for field in ("open", "high", "low", "close", "volume"):
        bars.pivot("ticker", index="date", values=field).write_csv(tmp_path / f"{field.title()}.csv")
    assert_frame_equal(bars_of(tmp_path), bars)


def test_close_only_table_is_refused_with_the_remedy(make_bars: Bars, tmp_path: Path) -> None:
    make_bars("AAA", "BBB").pivot("ticker", index="date", values="close").write_csv(tmp_path / "prices.csv")
    with pytest.raises(UsageError, match="has no open, high, low, close: open, high, low, close and volume are needed"):
        FolderSource(tmp_path / "prices.csv").tickers()
    make_bars("AAA").select("date", "ticker", "close").write_csv(tmp_path / "closes.csv")
    with pytest.raises(UsageError, match="has no open, high, low: open, high"):
        FolderSource(tmp_path / "closes.csv").tickers()


def test_file_is_named_after_its_ticker(make_bars: Bars, tmp_path: Path) -> None:
    for name in ("aapl_daily.csv", "MSFT_data.csv", "brk.b.us.txt", "BTC-USD.csv"):
        # Copies would be noticed, so each file differs.
        make_bars("x", count=len(name)).drop("ticker").write_csv(tmp_path / name)
    assert FolderSource(tmp_path).tickers() == ("AAPL", "BRK.B", "BTC-USD", "MSFT")


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y", "%d-%b-%Y"])
def test_dates_as_text_are_read_in_several_formats(make_bars: Bars, tmp_path: Path, form: str) -> None:
    bars = make_bars("AAA")
    bars.with_columns(pl.col("date").dt.strftime(form)).write_csv(tmp_path / "AAA.csv")
    assert_frame_equal(bars_of(tmp_path / "AAA.csv"), bars)


def test_other_files_decide_the_order_of_day_and_month(make_bars: Bars, tmp_path: Path) -> None:
    short, long = make_bars("AAA", count=7), make_bars("BBB", count=20)
    for bars, ticker in ((short, "AAA"), (long, "BBB")):
        text = bars.drop("ticker").with_columns(pl.col("date").dt.strftime("%m/%d/%Y"))
        text.write_csv(tmp_path / f"{ticker}.csv")
    assert_frame_equal(bars_of(tmp_path), pl.concat([short, long]))
    with pytest.raises(UsageError, match="can be day/month or month/day"):
        FolderSource(tmp_path / "AAA.csv").tickers()


def test_time_zone_aware_stamps_say_which_zone_was_taken(make_bars: Bars, tmp_path: Path) -> None:
    bars = make_bars("7203.T")
    stamps = pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("Asia/Tokyo").dt.convert_time_zone("UTC")
    bars.with_columns(stamps).write_parquet(tmp_path / "x.parquet")
    assert_frame_equal(bars_of(tmp_path / "x.parquet", exchange_zone="Asia/Tokyo"), bars)
    source = FolderSource(tmp_path / "x.parquet", exchange_zone="Asia/Tokyo")
    (found,) = source.fetch(["7203.T"], FIRST, LAST).warnings
    assert found["detail"] == "time stamps were read as dates in the time zone Asia/Tokyo"


def test_intraday_bars_are_refused(make_bars: Bars, tmp_path: Path) -> None:
    hours = pl.DataFrame({"hour": [14, 15, 16, 17]})
    bars = make_bars("AAA").join(hours, how="cross")
    at = pl.col("date").cast(pl.Datetime("us")) + pl.duration(hours=pl.col("hour"))
    bars.with_columns(date=at).drop("hour").write_parquet(tmp_path / "x.parquet")
    with pytest.raises(UsageError, match="holds 4 bars per ticker and day; give it daily bars"):
        FolderSource(tmp_path / "x.parquet").tickers()


def test_adjusted_close_moves_the_whole_bar_and_is_recorded(make_bars: Bars, tmp_path: Path) -> None:
    bars = make_bars("AAA")
    bars.with_columns(adj=pl.col("close") * 0.9).rename({"adj": "Adj Close"}).write_csv(tmp_path / "AAA.csv")
    source = FolderSource(tmp_path / "AAA.csv")
    assert source.adjustment == "adj_close"
    assert_frame_equal(
        bars_of(tmp_path / "AAA.csv"), bars.with_columns(pl.col("open", "high", "low", "close") * 0.9), rel_tol=1e-12
    )
    make_bars("BBB").write_csv(tmp_path / "BBB.csv")
    assert FolderSource(tmp_path / "BBB.csv").adjustment == "as_given"
    assert FolderSource(tmp_path).adjustment == "adj_close where given"


def test_split_moves_the_volume_before_it_and_a_dividend_does_not() -> None:
    raw = pl.DataFrame(
        {
            "date": [D(2014, 1, 2), D(2014, 1, 3), D(2014, 1, 6), D(2014, 1, 7)],
            "ticker": ["AAA"] * 4,
            "open": [100.0, 100.0, 50.0, 49.0],
            "high": [100.0, 100.0, 50.0, 49.0],
            "low": [100.0, 100.0, 50.0, 49.0],
            "close": [100.0, 100.0, 50.0, 49.0],
            "volume": [10.0, 10.0, 20.0, 20.0],
            "adj_close": [49.0, 49.0, 49.0, 49.0],
        }
    )
    adjusted = adjust(raw)
    assert adjusted["close"].to_list() == pytest.approx([49.0] * 4)
    assert adjusted["volume"].to_list() == pytest.approx([20.0] * 4)


def test_missing_and_negative_adjusted_closes_reach_the_quality_rules(
    make_bars: Bars, sessions: Sessions, tmp_path: Path
) -> None:
    row = pl.int_range(pl.len())
    adjusted = pl.when(row == 3).then(None).when(row == 5).then(-1.0).otherwise(pl.col("close"))
    make_bars("AAA").with_columns(adj_close=adjusted).write_parquet(tmp_path / "AAA.parquet")
    report = examine(bars_of(tmp_path / "AAA.parquet"), sessions).report
    assert report.rules == {"null_price": 1, "non_positive_price": 1}


def test_truncated_parquet_is_one_sentence_that_names_the_file(make_bars: Bars, tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    make_bars("AAA").write_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError) as caught:
        FolderSource(path).tickers()
    expected = f'the Parquet file "{path}" cannot be read (truncated or damaged); copy it again, or leave it out'
    assert str(caught.value) == expected


def test_unreadable_files_are_listed_and_the_rest_goes_on(make_bars: Bars, tmp_path: Path) -> None:
    make_bars("AAA").write_csv(tmp_path / "AAA.csv")
    (tmp_path / "BBB.parquet").write_bytes(b"PAR1 not really")
    (tmp_path / "CCC.csv").write_text("", encoding="utf-8")
    (tmp_path / "members.csv").write_text("ticker,sector\nAAA,Energy\n", encoding="utf-8")
    source = FolderSource(tmp_path)
    fetched = source.fetch(source.tickers(), FIRST, LAST)
    assert fetched.bars.height == 20
    assert sorted(fetched.failures) == ["BBB.parquet", "CCC.csv", "members.csv"]
    assert "has no date column (it has ticker, sector)" in fetched.failures["members.csv"]
    assert "it is empty" in fetched.failures["CCC.csv"]


def test_folder_without_one_usable_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("x,y\n1,2\n3,4\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"has no date column \(it has x, y\).*1 other file could not be used either"):
        FolderSource(tmp_path).tickers()


def test_empty_folder_and_missing_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no CSV or Parquet file; put some there \(\.csv"):
        FolderSource(tmp_path).tickers()
    with pytest.raises(UsageError, match="does not exist; give --path a CSV or Parquet file"):
        FolderSource(tmp_path / "none").tickers()
    (tmp_path / "x.xlsx").write_bytes(b"x")
    with pytest.raises(UsageError, match="is neither CSV nor Parquet"):
        FolderSource(tmp_path / "x.xlsx").tickers()


def test_copy_of_a_file_goes_to_quarantine_and_is_named(make_bars: Bars, sessions: Sessions, tmp_path: Path) -> None:
    make_bars("AAA").drop("ticker").write_csv(tmp_path / "AAA.csv")
    make_bars("AAA").drop("ticker").write_csv(tmp_path / "AAA final version.csv")
    source = FolderSource(tmp_path)
    fetched = source.fetch(source.tickers(), FIRST, LAST)
    (found,) = fetched.warnings
    assert found["detail"] == "AAA final version.csv is a copy of AAA.csv; its rows are set aside as duplicates"
    report = examine(fetched.bars, sessions).report
    assert (report.accepted, report.rules) == (20, {"duplicate": 20})


def test_rows_without_ticker_or_date_are_delivered_once(make_bars: Bars, sessions: Sessions, tmp_path: Path) -> None:
    row = pl.int_range(pl.len())
    text = pl.col("date").dt.strftime("%Y-%m-%d")
    raw = make_bars("AAA", "BBB").with_columns(
        date=pl.when(row == 2).then(pl.lit("soon")).otherwise(text),
        ticker=pl.when(row == 22).then(None).otherwise("ticker"),
    )
    raw.write_csv(tmp_path / "x.csv")
    source = FolderSource(tmp_path / "x.csv")
    fetched = [source.fetch([ticker], FIRST, LAST).bars for ticker in source.tickers()]
    report = examine(pl.concat(fetched), sessions).report
    assert (report.rows, report.rules) == (40, {"bad_date": 1, "bad_ticker": 1})


def test_unknown_ticker_is_a_failure_with_a_suggestion(make_bars: Bars, tmp_path: Path) -> None:
    make_bars("AAPL").write_csv(tmp_path / "x.csv")
    fetched = FolderSource(tmp_path / "x.csv").fetch(["AAPPL"], FIRST, LAST)
    assert fetched.failures["AAPPL"].endswith('has no ticker AAPPL. Did you mean "AAPL"?')


def test_fetch_gives_the_days_asked_for_both_included(make_bars: Bars, tmp_path: Path) -> None:
    make_bars("AAA").write_csv(tmp_path / "x.csv")
    fetched = FolderSource(tmp_path / "x.csv").fetch(["AAA"], D(2014, 1, 6), D(2014, 1, 8))
    assert fetched.bars["date"].to_list() == [D(2014, 1, 6), D(2014, 1, 7), D(2014, 1, 8)]


def test_semicolons_and_decimal_commas_are_understood(tmp_path: Path) -> None:
    text = "Date;Open;High;Low;Close;Volume\n02.01.2014;10,5;11,25;10,0;11,0;1.000\n"
    (tmp_path / "SAP.csv").write_text(text, encoding="utf-8")
    assert bars_of(tmp_path / "SAP.csv").row(0)[:6] == (D(2014, 1, 2), "SAP", 10.5, 11.25, 10.0, 11.0)


@pytest.mark.parametrize(
    ("text", "number"), [("1,234.5", 1234.5), ("$12.5", 12.5), ("2.5M", 2.5e6), ("3K", 3e3), ("-", None), ("", None)]
)
def test_numbers_with_signs_are_read(text: str, number: float | None) -> None:
    assert read_numbers(pl.Series([text, "1.5"]))[0] == number
