"""Everything that a user's folder may hold: one sentence with the remedy, nothing lost, and the next run works."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.stories.conftest import Ask, start

from marketloop.cli import main
from marketloop.data.synthetic import MarketSpec, simulate
from marketloop.runtime.template import record_settings

FAST = ("--algorithm", "ridge", "--feature-set", "basic")


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return simulate(MarketSpec(tickers=3, sessions=120)).bars.sort("ticker", "date")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bars"
    made.mkdir()
    return made


@pytest.fixture
def mine(folder: Path, tmp_path: Path, ask: Ask) -> Path:
    """Return the root of a project that reads `folder`."""
    ask("init", "mine", "--path", folder)
    record_settings(tmp_path / "mine" / "marketloop.toml", {"tracking.enabled": False})
    return tmp_path / "mine"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command which must end with `code`, and returns its one sentence."""

    def run(*arguments: object, code: int) -> str:
        capsys.readouterr()
        assert main([*map(str, arguments)]) == code
        (sentence,) = capsys.readouterr().err.splitlines()
        assert sentence.startswith("marketloop: ")
        assert "unforeseen" not in sentence
        return sentence

    return run


def one(bars: pl.DataFrame, ticker: str) -> pl.DataFrame:
    return bars.filter(pl.col("ticker") == ticker).drop("ticker")


def rules(document: dict[str, Any]) -> set[str]:
    return {warning["rule"] for warning in document["quality"]["warnings"]}


def test_empty_folder(mine: Path, refused: Callable[..., str]) -> None:
    assert "holds no CSV or Parquet file" in refused("--project", mine, "collect", code=2)


def test_file_without_a_date_column(
    mine: Path, folder: Path, bars: pl.DataFrame, refused: Callable[..., str], ask: Ask
) -> None:
    bars.drop("date").write_csv(folder / "all.csv")
    assert "date" in refused("--project", mine, "collect", code=2)
    bars.write_csv(folder / "all.csv")
    assert ask("--project", mine, "collect")["new_rows"] == 360


def test_dates_as_text_in_three_formats(mine: Path, folder: Path, bars: pl.DataFrame, ask: Ask) -> None:
    for ticker, form in (("SYN001", "%d.%m.%Y"), ("SYN002", "%b %d, %Y"), ("SYN003", "%Y%m%d")):
        frame = one(bars, ticker).with_columns(pl.col("date").dt.strftime(form))
        frame.write_csv(folder / f"{ticker}.csv")
    done = ask("--project", mine, "collect")
    assert (done["new_rows"], done["first"], done["quality"]["quarantined"]) == (360, "2013-01-02", 0)
    assert done["last"] == str(bars["date"].max())


def test_dates_that_may_be_read_in_two_ways_are_not_guessed(
    mine: Path, folder: Path, refused: Callable[..., str]
) -> None:
    (folder / "A.csv").write_text("date,open,high,low,close\n01/02/2013,1,1,1,1\n01/03/2013,1,1,1,1\n")
    assert "day" in refused("--project", mine, "collect", code=2)


def test_time_zone_aware_stamps(mine: Path, folder: Path, bars: pl.DataFrame, ask: Ask) -> None:
    stamps = pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("America/New_York")
    bars.with_columns(stamps).write_parquet(folder / "all.parquet")
    done = ask("--project", mine, "collect")
    assert (done["new_rows"], done["first"]) == (360, "2013-01-02")
    assert "time_zone" in rules(done)


def test_ticker_with_ten_bars(mine: Path, folder: Path, bars: pl.DataFrame, ask: Ask) -> None:
    one(bars, "SYN001").head(10).write_csv(folder / "AAA.csv")
    assert ask("--project", mine, "collect")["new_rows"] == 10
    done = ask("--project", mine, "retrain", "price_predictor", *FAST, code=3)
    assert done["outcome"] == "failed"
    assert "collect a longer history" in done["families"][0]["error"]
    assert ask("--project", mine, "champion") == {"champions": []}


def test_history_that_is_too_short_for_the_family(mine: Path, folder: Path, ask: Ask) -> None:
    simulate(MarketSpec(tickers=2, sessions=500)).bars.write_parquet(folder / "all.parquet")
    error = ask("--project", mine, "train", "price_predictor", *FAST, code=2)["error"]
    assert "needs at least 1000 labelled rows" in error
    assert "collect more tickers or a longer history" in error


def test_one_ticker_only(mine: Path, folder: Path, ask: Ask) -> None:
    long = simulate(MarketSpec(tickers=1, sessions=1500, seed=2)).bars
    long.write_parquet(folder / "all.parquet")
    done = ask("--project", mine, "retrain", "price_predictor", *FAST)
    assert done["outcome"] == "provisional"
    assert len(ask("--project", mine, "predict", "--feature-set", "basic")["predictions"]) == 1


def test_volume_that_is_missing_throughout(mine: Path, folder: Path, ask: Ask) -> None:
    silent = simulate(MarketSpec(tickers=12, sessions=620, seed=2)).bars.with_columns(volume=pl.lit(float("nan")))
    silent.write_parquet(folder / "all.parquet")
    done = ask("--project", mine, "collect")
    assert (done["quality"]["quarantined"], rules(done)) == (0, {"no_volume"})
    family = ask("--project", mine, "retrain", "price_predictor", *FAST)["families"][0]
    assert family["verdict"] == "provisional"
    assert any("volume_spike" in text for text in family["warnings"])


def test_two_currencies_of_scale(mine: Path, folder: Path, bars: pl.DataFrame, ask: Ask) -> None:
    prices = ["open", "high", "low", "close"]
    dear = one(bars, "SYN001").with_columns(pl.col(prices) * 1e6)
    dear.write_csv(folder / "DEAR.csv")
    half = one(bars, "SYN002").with_columns(
        pl.when(pl.int_range(pl.len()) < 60).then(pl.col(c) * 100).otherwise(pl.col(c)).alias(c) for c in prices
    )
    half.write_csv(folder / "MIXED.csv")
    done = ask("--project", mine, "collect")
    assert done["new_rows"] == 240
    jumps = [w for w in done["quality"]["warnings"] if w["rule"] == "jump"]
    assert [w["ticker"] for w in jumps] == ["MIXED"]
    assert "split" in jumps[0]["detail"]


def test_duplicated_files(mine: Path, folder: Path, bars: pl.DataFrame, ask: Ask) -> None:
    one(bars, "SYN001").write_csv(folder / "AAA.csv")
    shutil.copy(folder / "AAA.csv", folder / "AAA (1).csv")
    done = ask("--project", mine, "collect")
    assert (done["tickers"], done["new_rows"], done["quality"]["rules"]) == (["AAA"], 120, {"duplicate": 120})
    assert "duplicated_file" in rules(done)


def test_truncated_parquet(mine: Path, folder: Path, bars: pl.DataFrame, refused: Callable[..., str], ask: Ask) -> None:
    bars.write_parquet(folder / "whole.parquet")
    content = (folder / "whole.parquet").read_bytes()
    (folder / "whole.parquet").unlink()
    (folder / "cut.parquet").write_bytes(content[: len(content) // 2])
    assert "cut.parquet" in refused("--project", mine, "collect", code=2)
    (folder / "whole.parquet").write_bytes(content)
    done = ask("--project", mine, "collect")
    assert (done["new_rows"], list(done["failures"])) == (360, ["cut.parquet"])


@pytest.mark.parametrize("name", ["data", "models"])
def test_folder_of_the_project_that_cannot_be_written(
    name: str, mine: Path, folder: Path, bars: pl.DataFrame, refused: Callable[..., str], ask: Ask
) -> None:
    bars.write_csv(folder / "all.csv")
    shutil.rmtree(mine / name)
    (mine / name).write_text("in the way", encoding="utf-8")
    assert "something of another kind is in the way" in refused("--project", mine, "collect", code=2)
    (mine / name).unlink()
    assert ask("--project", mine, "collect")["new_rows"] == 360


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 1 MB, where that is permitted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=False)


@pytest.fixture
def read_only(mine: Path, tmp_path: Path) -> Iterator[Path]:
    """Show the project at a second place where nothing can be written, where that is permitted."""
    view = tmp_path / "view"
    view.mkdir()
    for command in (["mount", "--bind", str(mine), str(view)], ["mount", "-o", "remount,bind,ro", str(view)]):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            subprocess.run(["umount", "-l", view], capture_output=True, check=False)
            pytest.skip("mounting a folder as read-only is not permitted here")
    yield view
    subprocess.run(["umount", "-l", view], check=False)


def test_full_disk(small_disk: Path, folder: Path, refused: Callable[..., str], ask: Ask) -> None:
    simulate(MarketSpec(tickers=20, sessions=1500)).bars.write_parquet(folder / "all.parquet")
    ask("init", small_disk / "mine", "--path", folder)
    here = ("--project", small_disk / "mine")
    assert "the disk is full" in refused(*here, "collect", code=3)
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    done = ask(*here, "collect")
    assert done["new_rows"] == 20 * 1500
    assert ask(*here, "quality")["accepted"] == 20 * 1500


def test_read_only_project_says_so_and_can_be_read(
    mine: Path, read_only: Path, folder: Path, refused: Callable[..., str], ask: Ask, bars: pl.DataFrame
) -> None:
    bars.write_parquet(folder / "all.parquet")
    ask("--project", mine, "collect")
    for command in (("collect",), ("retrain",), ("train", "price_predictor")):
        assert "is read-only: make it writable" in refused("--project", read_only, *command, code=3)
    assert ask("--project", read_only, "quality")["accepted"] == 360
    assert len(ask("--project", read_only, "features", "--feature-set", "basic")["features"]) == 20
    assert ask("--project", mine, "collect")["up_to_date"]


def wait_for(sign: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not sign():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


def interrupt(running: subprocess.Popen[str]) -> str:
    """Press Ctrl-C, and return the one sentence."""
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130, errors
    (sentence,) = errors.splitlines()
    return sentence


def test_interrupted_collect_goes_on_where_it_was(mine: Path, folder: Path, ask: Ask) -> None:
    many = simulate(MarketSpec(tickers=400, sessions=300)).bars
    for (ticker,), part in many.group_by("ticker"):
        part.write_parquet(folder / f"{ticker}.parquet")
    running = start("--project", mine, "collect", cwd=mine)
    wait_for(lambda: any((mine / "data").rglob("_delta_log/*.json")), running)  # the first batch is being stored
    assert "interrupted: what was finished is kept" in interrupt(running)
    ask("--project", mine, "collect")
    again = ask("--project", mine, "quality")
    assert (again["accepted"], again["quarantined"]) == (400 * 300, 0)


def test_interrupted_retrain_is_recorded_and_the_next_one_runs(mine: Path, folder: Path, ask: Ask) -> None:
    simulate(MarketSpec(tickers=12, sessions=1250, seed=6)).bars.write_parquet(folder / "all.parquet")
    ask("--project", mine, "collect")
    running = start("--project", mine, "retrain", "price_predictor", "--algorithm", "xgboost", cwd=mine)
    wait_for(lambda: (mine / "data" / "cache").is_dir() and any((mine / "data" / "cache").iterdir()), running)
    assert "interrupted" in interrupt(running)
    status = ask("--project", mine, "status")
    assert (status["running"], status["last_cycle"]["outcome"]) == (False, "failed")
    assert ask("--project", mine, "champion") == {"champions": []}
    assert ask("--project", mine, "retrain", "price_predictor", *FAST)["outcome"] in {"provisional", "promoted"}


def test_bars_that_ended_years_ago_are_no_error(mine: Path, folder: Path, bars: pl.DataFrame, ask: Ask) -> None:
    bars.write_csv(folder / "all.csv")
    ask("--project", mine, "collect")
    assert ask("--project", mine, "collect")["up_to_date"]
