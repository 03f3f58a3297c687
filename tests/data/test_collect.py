"""`collect`: incremental, resumable, and honest about failures."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from marketloop.core.errors import FailedError, UsageError
from marketloop.core.values import Sessions
from marketloop.data.collect import collect
from marketloop.data.collection import Collection
from marketloop.data.sources.protocol import Fetched, no_sectors
from marketloop.data.store import DeltaBarStore
from marketloop.data.views import write_copies

D = dt.date
Bars = Callable[..., pl.DataFrame]


@dataclass
class ListSource:
    """A source that gives the rows of a frame and remembers what it was asked for."""

    bars: pl.DataFrame
    broken: tuple[str, ...] = ()
    adjustment: str = "as_given"
    name: str = "list"
    asked: list[tuple[tuple[str, ...], dt.date, dt.date]] = field(default_factory=list)

    def tickers(self) -> tuple[str, ...]:
        return tuple(self.bars["ticker"].unique().sort().to_list())

    def fetch(self, tickers: Sequence[str], start: dt.date, end: dt.date) -> Fetched:
        self.asked.append((tuple(tickers), start, end))
        if set(self.broken) & set(tickers):
            raise FailedError("the vendor does not answer")
        wanted = pl.col("ticker").is_in(list(tickers)) & pl.col("date").is_between(start, end)
        return Fetched(self.bars.filter(wanted))

    def series(self) -> Mapping[str, pl.DataFrame]:
        return {}

    def sectors(self) -> pl.DataFrame:
        return no_sectors()


@pytest.fixture
def store(tmp_path: Path) -> DeltaBarStore:
    return DeltaBarStore(tmp_path / "data")


def test_collect_stores_good_rows_and_quarantines_the_rest(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions
) -> None:
    row = pl.int_range(pl.len())
    raw = make_bars("AAA", "BBB").with_columns(high=pl.when(row == 4).then(1.0).otherwise("high"))
    result = collect(ListSource(raw), store, sessions=sessions)
    assert (result.version, result.new_rows, result.up_to_date) == (0, 39, False)
    assert (result.report.rows, result.report.accepted, result.report.rules) == (40, 39, {"high_below_low": 1})
    assert store.read().height == 39
    assert store.quarantine()["rule"].to_list() == ["high_below_low"]


def test_second_collect_asks_for_missing_sessions_only(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions
) -> None:
    source = ListSource(make_bars("AAA", "BBB", count=40))
    collect(source, store, sessions=sessions, end=D(2014, 1, 31))
    before = store.version
    source.asked.clear()
    result = collect(source, store, sessions=sessions, end=D(2014, 2, 10))
    # Jan 27..31 are asked for again, to notice revisions; Feb 3..10 are new.
    assert source.asked == [(("AAA", "BBB"), D(2014, 1, 27), D(2014, 2, 10))]
    assert (result.new_rows, result.revised_rows) == (12, 0)
    assert result.version != before
    assert_frame_equal(store.read(), source.bars.filter(pl.col("date") <= D(2014, 2, 10)))


def test_one_ticker_with_ten_bars_is_collected(store: DeltaBarStore, make_bars: Bars, sessions: Sessions) -> None:
    result = collect(ListSource(make_bars("AAA", count=10)), store, sessions=sessions)
    assert (result.new_rows, result.failures, result.report.warnings) == (10, {}, ())


def test_nothing_new_is_no_error_and_keeps_the_version(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions
) -> None:
    source = ListSource(make_bars("AAA"))
    first = collect(source, store, sessions=sessions)
    again = collect(source, store, sessions=sessions)
    assert again.up_to_date
    assert (again.version, again.new_rows) == (first.version, 0)


def test_start_is_preceded_by_272_sessions(store: DeltaBarStore, make_bars: Bars, sessions: Sessions) -> None:
    source = ListSource(make_bars("AAA", count=500))
    collect(source, store, sessions=sessions, start=D(2015, 7, 1))
    first = store.coverage()["first"][0]
    assert sessions.numbers([D(2015, 7, 1)])[0] - sessions.numbers([first])[0] == 272


def test_earlier_start_fetches_the_earlier_history_once(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions
) -> None:
    source = ListSource(make_bars("AAA", count=500, first=20))
    collect(source, store, sessions=sessions, start=D(2015, 7, 1))
    collect(source, store, sessions=sessions)
    assert store.read().height == 500
    source.asked.clear()
    collect(source, store, sessions=sessions)
    ((_, since, _),) = source.asked
    assert since > D(2015, 12, 1)


def test_ticker_that_fails_is_listed_and_the_rest_goes_on(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions
) -> None:
    names = [f"T{n:03}" for n in range(130)]
    source = ListSource(make_bars(*names, count=3), broken=("T129",))
    result = collect(source, store, sessions=sessions)
    assert result.failures == dict.fromkeys(["T128", "T129"], "the vendor does not answer")
    assert len(store.tickers()) == 128
    source.broken = ()
    assert collect(source, store, sessions=sessions).new_rows == 6
    assert len(store.tickers()) == 130


def test_interrupted_collect_keeps_what_it_has_and_resumes(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions
) -> None:
    names = [f"T{n:03}" for n in range(200)]
    source = ListSource(make_bars(*names, count=3))

    def interrupt(done: int, total: int) -> None:
        assert (done, total) == (128, 200)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(source, store, sessions=sessions, on_progress=interrupt)
    assert len(store.tickers()) == 128
    result = collect(source, store, sessions=sessions)
    assert result.new_rows == 72 * 3
    assert_frame_equal(store.read(), source.bars.sort("ticker", "date"))


def test_revised_history_is_fetched_anew_as_a_whole(store: DeltaBarStore, make_bars: Bars, sessions: Sessions) -> None:
    bars = make_bars("AAA", "BBB", count=60)
    collect(ListSource(bars), store, sessions=sessions)
    dividend = pl.when(pl.col("ticker") == "AAA").then(0.98).otherwise(1.0)
    source = ListSource(bars.with_columns(pl.col("open", "high", "low", "close") * dividend))
    result = collect(source, store, sessions=sessions)
    assert_frame_equal(store.read(), source.bars)
    assert result.new_rows == 0
    assert not result.up_to_date
    assert [tickers for tickers, _, _ in source.asked] == [("AAA", "BBB"), ("AAA",)]
    assert [w["ticker"] for w in result.report.warnings if w["rule"] == "revision"] == ["AAA"]


def test_revision_and_new_bars_together_are_stored_in_one_version(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions
) -> None:
    bars = make_bars("AAA", "BBB", count=60)
    collect(ListSource(bars), store, sessions=sessions, end=D(2014, 3, 20))
    source = ListSource(bars.with_columns(pl.col("open", "high", "low", "close") * 0.5))
    before = store.version
    result = collect(source, store, sessions=sessions)
    assert before is not None
    assert result.version == before + 1
    assert (result.new_rows, result.revised_rows) == (2 * 6, 2 * 54)
    assert_frame_equal(store.read(), source.bars)


def test_ticker_that_the_source_does_not_know_is_refused(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions
) -> None:
    with pytest.raises(UsageError, match=r'the source list has no ticker AAB; it has 1 others. Did you mean "AAA"\?'):
        collect(ListSource(make_bars("AAA")), store, sessions=sessions, tickers=["AAB"])


def test_other_adjustment_than_that_of_the_store_is_refused(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions
) -> None:
    collect(ListSource(make_bars("AAA")), store, sessions=sessions)
    with pytest.raises(UsageError, match='by "adj_close", the stored bars by "as_given": they cannot be mixed'):
        collect(ListSource(make_bars("AAA"), adjustment="adj_close"), store, sessions=sessions)


def test_source_without_one_usable_bar_fails_with_the_reason(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions
) -> None:
    with pytest.raises(FailedError, match="the source list gave no bars: AAA: the vendor does not answer"):
        collect(ListSource(make_bars("AAA"), broken=("AAA",)), store, sessions=sessions)
    with pytest.raises(FailedError, match="gave no usable bar; look at the quarantine"):
        collect(ListSource(make_bars("AAA").with_columns(high=pl.lit(1.0))), store, sessions=sessions)


def test_wrong_calendar_stores_nothing(store: DeltaBarStore, sessions: Sessions) -> None:
    days = pl.date_range(D(2014, 3, 1), D(2014, 4, 30), eager=True)
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)
    raw = pl.DataFrame({"date": days}).with_columns(ticker=pl.lit("BTC"), **{k: pl.lit(v) for k, v in columns.items()})
    with pytest.raises(UsageError, match=r"\[project\] calendar"):
        collect(ListSource(raw), store, sessions=sessions)
    assert store.version is None


def test_metadata_and_copies_show_what_is_stored(
    store: DeltaBarStore, make_bars: Bars, sessions: Sessions, tmp_path: Path
) -> None:
    at = dt.datetime(2016, 12, 31, 12, tzinfo=dt.UTC)
    collect(ListSource(make_bars("AAA", "BBB", count=3)), store, sessions=sessions, at=at)
    output = tmp_path / "out" / "bars.parquet"
    write_copies(store, output)
    assert_frame_equal(pl.read_parquet(output), store.read())
    assert (tmp_path / "out" / "market_data.parquet").read_bytes() == output.read_bytes()
    metadata = json.loads((tmp_path / "out" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata == json.loads((store.root / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["ranges"]["AAA"] == {"first": "2014-01-02", "last": "2014-01-06", "rows": 3}
    assert (metadata["collected_at"], metadata["source"]) == ("2016-12-31T12:00:00+00:00", "list")
    assert (metadata["adjustment"], metadata["data_version"], metadata["rows"]) == ("as_given", 0, 6)


def test_collection_record_round_trips(tmp_path: Path) -> None:
    assert Collection.load(tmp_path) is None
    record = Collection("folder", "bars.csv", ("AAA", "BBB"), "US", D(2014, 1, 2), {"exchange_zone": "Asia/Tokyo"})
    record.save(tmp_path / "data")
    assert Collection.load(tmp_path / "data") == record
    Collection("sample").save(tmp_path / "data")
    assert Collection.load(tmp_path / "data") == Collection("sample")


def test_damaged_collection_record_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "collection.json").write_text('{"source": "folder"', encoding="utf-8")
    with pytest.raises(FailedError, match=r"is damaged .* remove it and name the source again"):
        Collection.load(tmp_path)
