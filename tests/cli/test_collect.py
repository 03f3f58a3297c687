from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.cli.conftest import Ask, small_project

from marketloop.cli import main

pytestmark = pytest.mark.xdist_group("commands")
KEYS = (
    *("source", "data_version", "tickers", "sessions", "first", "last", "new_rows", "revised_rows"),
    *("up_to_date", "quality", "failures", "warnings"),
)


def test_collect_stores_bars_and_says_how_many(tmp_path: Path, ask: Ask) -> None:
    root = small_project(tmp_path / "mine", "tickers=3", "sessions=300")
    done = ask("--project", root, "collect")
    assert tuple(done) == KEYS
    assert (done["source"], done["tickers"]) == ("synthetic", ["SYN001", "SYN002", "SYN003"])
    assert (done["sessions"], done["new_rows"], done["up_to_date"]) == (300, 900, False)
    assert done["first"] == "2013-01-02"
    assert done["quality"]["quarantined"] == 0
    again = ask("--project", root, "collect")
    assert (again["new_rows"], again["up_to_date"]) == (0, True)


def test_collect_refreshes_what_the_first_call_asked_for(tmp_path: Path, ask: Ask) -> None:
    main(["init", "mine"])
    options = ("--option", "tickers=4", "--option", "sessions=300", "--option", "seed=5")
    ask("--project", "mine", "collect", "--source", "synthetic", *options, "--tickers", "SYN002,SYN004")
    again = ask("--project", "mine", "collect")
    assert again["tickers"] == ["SYN002", "SYN004"]
    recorded = json.loads((tmp_path / "mine" / "data" / "collection.json").read_text(encoding="utf-8"))
    assert recorded["source"] == "synthetic"
    assert recorded["options"] == {"tickers": "4", "sessions": "300", "seed": "5"}


def test_collect_writes_a_copy_with_metadata(tmp_path: Path, ask: Ask) -> None:
    root = small_project(tmp_path / "mine", "tickers=2", "sessions=60")
    ask("--project", root, "collect", "--output", "copies/bars.parquet")
    assert pl.read_parquet(tmp_path / "copies" / "bars.parquet").height == 120
    assert pl.read_parquet(tmp_path / "copies" / "market_data.parquet").height == 120
    assert json.loads((tmp_path / "copies" / "metadata.json").read_text(encoding="utf-8"))["rows"] == 120


def test_collect_takes_a_part_of_the_history_with_the_pre_roll(tmp_path: Path, ask: Ask) -> None:
    root = small_project(tmp_path / "mine", "tickers=2", "sessions=600")
    done = ask("--project", root, "collect", "--start-date", "2014-06-02", "--end-date", "2014-12-31")
    assert done["first"] == "2013-05-02"  # 272 sessions before
    assert done["last"] == "2014-12-31"


def test_collect_reads_the_timeframe_of_the_settings(tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    root = small_project(tmp_path / "mine", "tickers=2", "sessions=900")
    monkeypatch.setenv("MARKETLOOP_DATA__TIMEFRAME", "1y")
    assert ask("--project", root, "collect")["first"] > "2014-01-01"


def test_collect_lists_failures_and_keeps_the_rest(tmp_path: Path, ask: Ask) -> None:
    root = small_project(tmp_path / "mine", "tickers=2", "sessions=60")
    done = ask("--project", root, "collect", "--tickers", "SYN001,NOPE")
    assert list(done["failures"]) == ["NOPE"]
    assert done["new_rows"] == 60


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--source", "smaple"), 'Did you mean "sample"?'),
        (("--start", "2020"), "expected a date as YYYY-MM-DD"),
        (("--start", "2020-02-01", "--end", "2020-01-01"), "ends before it begins"),
        (("--timeframe", "5x"), "expected a number and y, mo, w or d"),
        (("--option", "seed"), "expected NAME=VALUE"),
        (("--option", "sede=3"), 'Did you mean "seed"?'),
        (("--region", "UZ"), 'unknown universe "UZ"'),
        (("--tikers", "A"), 'Did you mean "--tickers"?'),
        (("--source", "folder"), "needs a path"),
    ],
)
def test_collect_names_what_is_wrong(
    flags: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_project(tmp_path / "mine", "tickers=2", "sessions=60")
    assert main(["--project", str(root), "collect", *flags]) == 2
    assert words in capsys.readouterr().err


def test_collect_prints_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_project(tmp_path / "mine", "tickers=2", "sessions=60")
    assert main(["--project", str(root), "collect"]) == 0
    assert "2 tickers x 60 sessions (2013-01-02 to 2013-03-28) from synthetic: 120 new rows" in capsys.readouterr().out
