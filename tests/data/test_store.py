"""The store: versions, upserts, and what a failure leaves behind."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from marketloop.core.errors import FailedError, UsageError
from marketloop.core.values import Sessions
from marketloop.data.quality import examine
from marketloop.data.store import DeltaBarStore

D = dt.date
Bars = Callable[..., pl.DataFrame]


@pytest.fixture
def store(tmp_path: Path) -> DeltaBarStore:
    return DeltaBarStore(tmp_path / "data")


def test_empty_store_has_no_version_and_no_rows(store: DeltaBarStore) -> None:
    assert store.version is None
    assert store.read().is_empty()
    assert store.tickers() == ()
    assert store.metadata() == {}
    assert not store.root.exists()


def test_read_is_sorted_and_filtered(store: DeltaBarStore, make_bars: Bars) -> None:
    bars = make_bars("BBB", "AAA")
    store.merge(bars.sample(fraction=1.0, shuffle=True, seed=1), metadata={})
    assert_frame_equal(store.read(), bars.sort("ticker", "date"))
    part = store.read(tickers=["BBB"], start=D(2014, 1, 6), end=D(2014, 1, 8))
    assert part.select("ticker", "date").rows() == [("BBB", D(2014, 1, day)) for day in (6, 7, 8)]


def test_merge_replaces_by_ticker_and_date_and_inserts_the_rest(store: DeltaBarStore, make_bars: Bars) -> None:
    bars = make_bars("AAA", "BBB")
    assert store.merge(bars.filter(pl.col("date") <= D(2014, 1, 15)), metadata={}) == 0
    row = pl.int_range(pl.len())
    revised = bars.with_columns(close=pl.when(row == 3).then(pl.col("close") + 0.5).otherwise("close"))
    assert store.merge(revised, metadata={}) == 1
    assert_frame_equal(store.read(), revised)


def test_merge_without_a_change_keeps_the_version(store: DeltaBarStore, make_bars: Bars) -> None:
    bars = make_bars("AAA").with_columns(volume=pl.lit(None, pl.Float64))
    version = store.merge(bars, metadata={})
    assert store.merge(bars, metadata={"more": 1}) == version
    assert store.merge(bars.clear(), metadata={}) == version
    assert store.version == version


def test_earlier_versions_and_their_metadata_stay_readable(store: DeltaBarStore, make_bars: Bars) -> None:
    bars = make_bars("AAA")
    for at, rows in enumerate((5, 10, 20)):
        store.merge(bars.head(rows), metadata={"step": at})
    assert [store.read(version=v).height for v in range(3)] == [5, 10, 20]
    assert [store.metadata(v) for v in range(3)] == [{"step": 0}, {"step": 1}, {"step": 2}]
    assert store.metadata() == {"step": 2}


def test_unknown_version_is_refused(store: DeltaBarStore, make_bars: Bars) -> None:
    with pytest.raises(UsageError, match="has no version 3: it is empty; run `marketloop collect`"):
        store.read(version=3)
    store.merge(make_bars("AAA"), metadata={})
    with pytest.raises(UsageError, match="has no version 3; expected 0 to 0"):
        store.read(version=3)


def test_many_small_merges_leave_few_files_and_all_rows(
    store: DeltaBarStore, make_bars: Bars, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketloop.data.delta._FILES_BEFORE_COMPACTION", 4)
    bars = make_bars("AAA", count=12)
    for rows in range(1, 13):
        store.merge(bars.slice(rows - 1, 1), metadata={"rows": rows})
    assert_frame_equal(store.read(), bars)
    assert store.metadata() == {"rows": 12}
    assert [store.read(version=v).height for v in (0, 2, 4)] == [1, 3, 5]


def test_merge_after_another_writer_is_refused_and_loses_nothing(
    store: DeltaBarStore, make_bars: Bars, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = DeltaBarStore(store.root)
    store.merge(make_bars("AAA"), metadata={})
    read = DeltaBarStore.read

    def read_while_another_writes(self: DeltaBarStore, **options: Any) -> pl.DataFrame:
        found = read(self, **options)
        monkeypatch.undo()
        other.merge(make_bars("BBB"), metadata={})
        return found

    monkeypatch.setattr(DeltaBarStore, "read", read_while_another_writes)
    with pytest.raises(FailedError, match="another process wrote to it at the same time; run the command again"):
        store.merge(make_bars("BBB", count=25), metadata={})
    assert_frame_equal(store.read(), pl.concat([make_bars("AAA"), make_bars("BBB")]))
    assert store.merge(make_bars("BBB", count=25), metadata={}) == 2


def test_coverage_tells_the_range_of_each_ticker(store: DeltaBarStore, make_bars: Bars) -> None:
    store.merge(pl.concat([make_bars("BBB", count=3), make_bars("AAA", count=2, first=4)]), metadata={})
    assert store.coverage().rows() == [
        ("AAA", D(2014, 1, 8), D(2014, 1, 9), 2),
        ("BBB", D(2014, 1, 2), D(2014, 1, 6), 3),
    ]


def test_quarantine_keeps_each_row_once(store: DeltaBarStore, one_bar: Bars, sessions: Sessions) -> None:
    rows = examine(pl.concat([one_bar(high=1.0), one_bar(ticker=None)]), sessions).quarantined
    store.put_quarantine(rows)
    store.put_quarantine(rows)
    assert store.quarantine().select("rule", "ticker").rows() == [("bad_ticker", None), ("high_below_low", "AAA")]


def test_series_are_replaced_by_name_and_unchanged_ones_keep_the_version(store: DeltaBarStore) -> None:
    frame = pl.DataFrame({"date": [D(2014, 1, 2), D(2014, 1, 3)], "value": [1.0, 2.0]}).with_columns(
        known_at=pl.lit(None, pl.Datetime("us", "UTC"))
    )
    assert store.put_series({"vix": frame, "spx": frame}) == 0
    assert store.put_series({"vix": frame}) == 0
    assert store.put_series({"vix": frame.head(1)}) == 1
    assert store.series()["vix"].height == 1
    assert_frame_equal(store.series()["spx"], frame)
    assert store.series(version=0)["vix"].height == 2


def test_sectors_are_kept(store: DeltaBarStore) -> None:
    sectors = pl.DataFrame({"ticker": ["BBB", "AAA"], "sector": ["Energy", "Utilities"]})
    assert store.put_sectors(sectors) == 0
    assert store.put_sectors(sectors) == 0
    assert store.sectors().rows() == [("AAA", "Utilities"), ("BBB", "Energy")]
    assert store.versions() == {"bars": None, "series": None, "sectors": 0}


def test_damaged_table_says_what_to_do(store: DeltaBarStore, make_bars: Bars) -> None:
    store.merge(make_bars("AAA"), metadata={})
    for file in (store.root / "bars").glob("*.parquet"):
        file.write_bytes(b"not Parquet")
    with pytest.raises(FailedError, match=r'cannot read the table ".*bars": it is damaged .* collect again'):
        store.read()


def test_damaged_log_says_what_to_do(store: DeltaBarStore, make_bars: Bars) -> None:
    store.merge(make_bars("AAA"), metadata={})
    for file in (store.root / "bars" / "_delta_log").glob("*.json"):
        file.write_text("{broken", encoding="utf-8")
    with pytest.raises(FailedError, match=r'cannot read the table ".*bars": it is damaged'):
        _ = store.version


def test_file_in_the_way_says_what_to_do(tmp_path: Path, make_bars: Bars) -> None:
    (tmp_path / "data").write_text("x", encoding="utf-8")
    with pytest.raises(FailedError, match="a file stands where a folder is needed; move it away"):
        DeltaBarStore(tmp_path / "data").merge(make_bars("AAA"), metadata={})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 256 kB; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_keeps_the_version_before_and_says_what_to_do(small_disk: Path, make_bars: Bars) -> None:
    store = DeltaBarStore(small_disk / "data")
    bars = make_bars("AAA", "BBB")
    store.merge(bars, metadata={})
    (small_disk / "ballast").write_bytes(b"x" * 150_000)
    many = make_bars(*(f"T{n:03}" for n in range(400)), count=50)
    with pytest.raises(FailedError, match="the disk is full; free some space and run the command again"):
        store.merge(many, metadata={})
    assert_frame_equal(store.read(), bars)
    assert store.version == 0
    (small_disk / "ballast").unlink()
    assert store.merge(make_bars("CCC"), metadata={}) == 1


def test_read_only_disk_says_what_to_do(small_disk: Path, make_bars: Bars) -> None:
    store = DeltaBarStore(small_disk / "data")
    store.merge(make_bars("AAA"), metadata={})
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(FailedError, match="the folder is not writable; make it writable or choose another"):
        store.merge(make_bars("BBB"), metadata={})
    assert store.tickers() == ("AAA",)


WRITER = """
import sys, datetime as dt, polars as pl
from pathlib import Path
from typing import Any
from marketloop.data.store import DeltaBarStore
store = DeltaBarStore(Path(sys.argv[1]))
day = dt.date(2014, 1, 1)
print("ready", flush=True)
for step in range(100_000):
    frames = [pl.DataFrame({"date": [day + dt.timedelta(days=n) for n in range(step % 50 + 1)]}).with_columns(
        ticker=pl.lit(f"T{t:02}"), open=pl.lit(float(step + 1)), high=pl.lit(float(step + 1)),
        low=pl.lit(float(step + 1)), close=pl.lit(float(step + 1)), volume=pl.lit(1.0)) for t in range(40)]
    store.merge(pl.concat(frames), metadata={"step": step})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_writer_leaves_a_whole_version_that_the_next_write_goes_on_from(tmp_path: Path, make_bars: Bars) -> None:
    for pause in (0.05, 0.15, 0.35):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(pause)
            os.kill(writer.pid, signal.SIGKILL)
        store = DeltaBarStore(tmp_path)
        if store.version is None:
            continue
        counts = store.read().group_by("ticker").agg(pl.len(), pl.col("close").max())
        assert counts.height == 40
        assert counts["len"].n_unique() == counts["close"].n_unique() == 1
    store = DeltaBarStore(tmp_path)
    store.merge(make_bars("AAA"), metadata={})
    assert "AAA" in store.tickers()
