"""The offline sample: real, adjusted, clean, and honest about what it lacks."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from marketloop.core.errors import UsageError
from marketloop.data.builtin import BUILTIN_SOURCES, build_source
from marketloop.data.calendar import load_sessions
from marketloop.data.quality import examine
from marketloop.data.sources import FolderSource, SampleSource, Source

D = dt.date


def test_sample_has_five_tickers_from_2000_to_2013() -> None:
    sample = SampleSource()
    bars = sample.fetch(sample.tickers(), D(1990, 1, 1), D(2030, 1, 1)).bars
    assert isinstance(sample, Source)
    assert sample.tickers() == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    assert (bars["date"].min(), bars["date"].max(), bars.height) == (D(2000, 3, 1), D(2013, 3, 1), 12_154)


def test_sample_passes_every_quality_rule() -> None:
    sample = SampleSource()
    sessions = load_sessions("XNYS", D(2000, 1, 1), D(2013, 12, 31))
    report = examine(sample.fetch(sample.tickers(), D(1990, 1, 1), D(2030, 1, 1)).bars, sessions).report
    assert report.quarantined == 0
    # The day on which Apple warned about its profit: no split.
    assert [(w["rule"], w["ticker"], w["date"]) for w in report.warnings] == [("jump", "AAPL", "2000-09-29")]


def test_split_leaves_no_trace_in_price_or_volume() -> None:
    days = SampleSource().fetch(["AAPL"], D(2005, 2, 24), D(2005, 3, 1)).bars.sort("date")
    assert days["close"].to_list() == pytest.approx([5.714372, 5.718228, 5.765135, 5.718870], abs=1e-6)
    raw = [27_125_500 * 2, 16_348_400 * 2, 11_635_900, 16_721_000]
    assert days["volume"].to_list() == pytest.approx(raw, rel=2e-3)


def test_sample_knows_the_index_and_nothing_else() -> None:
    series = SampleSource().series()
    assert list(series) == ["spx"]
    first = series["spx"].row(0, named=True)
    assert (first["date"], first["known_at"]) == (D(1999, 1, 4), None)
    assert first["value"] == pytest.approx(1228.1, abs=0.01)
    assert SampleSource().sectors().is_empty()


def test_unknown_ticker_of_the_sample_is_a_failure() -> None:
    fetched = SampleSource().fetch(["TSLA"], D(2010, 1, 1), D(2011, 1, 1))
    assert fetched.failures == {"TSLA": "the sample has no ticker TSLA; it has AAPL, FB, GOOG, IBM, MSFT"}


def test_every_builtin_source_can_be_built() -> None:
    assert BUILTIN_SOURCES == ("folder", "sample", "synthetic")
    assert isinstance(build_source("sample"), SampleSource)
    assert build_source("synthetic", options={"tickers": 2, "sessions": 300}).name == "synthetic"


def test_folder_source_is_built_with_its_path(tmp_path: Path) -> None:
    source = build_source("folder", path=tmp_path, options={"exchange_zone": "Asia/Tokyo"})
    assert isinstance(source, FolderSource)
    assert source.exchange_zone == "Asia/Tokyo"


def test_source_that_cannot_be_built_says_why() -> None:
    with pytest.raises(UsageError, match=r'unknown source "sampel": expected one of .* Did you mean "sample"'):
        build_source("sampel")
    with pytest.raises(UsageError, match="the source folder needs a path; give --path FILE_OR_DIR"):
        build_source("folder")
    with pytest.raises(UsageError, match='the source sample takes no options; remove "seed"'):
        build_source("sample", options={"seed": 1})
