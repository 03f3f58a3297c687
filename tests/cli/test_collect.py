from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest
from tests.cli.conftest import Ask, small_project

from marketloop.cli import main
from marketloop.runtime.template import record_settings

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


def bars_file(path: Path, ticker: str) -> Path:
    days = pl.date_range(dt.date(2014, 1, 2), dt.date(2014, 6, 30), eager=True)
    frame = pl.DataFrame({"date": [day for day in days if day.weekday() < 5]})
    prices = {name: pl.lit(10.0) for name in ("open", "high", "low", "close")}
    frame.with_columns(ticker=pl.lit(ticker), volume=pl.lit(100.0), **prices).write_parquet(path)
    return path


def edit(root: str | Path, **values: object) -> None:
    record_settings(Path(root) / "marketloop.toml", {f"data.{name}": value for name, value in values.items()})


def test_setting_edited_after_a_collection_wins_over_what_it_recorded_and_says_so(tmp_path: Path, ask: Ask) -> None:
    root = small_project(tmp_path / "mine", "tickers=3", "sessions=60")
    ask("--project", root, "collect", "--tickers", "SYN001")
    quiet = ask("--project", root, "collect")
    assert (quiet["tickers"], quiet["warnings"]) == (["SYN001"], [])
    edit(root, tickers=["SYN002", "SYN003"])
    done = ask("--project", root, "collect")
    assert done["tickers"] == ["SYN002", "SYN003"]
    said = (
        '[data] tickers was changed since the last collection and holds now: nothing before, ["SYN002", "SYN003"] now'
    )
    assert done["warnings"] == [said]
    again = ask("--project", root, "collect")
    assert (again["tickers"], again["warnings"]) == (["SYN002", "SYN003"], [])


def test_flag_wins_over_a_setting_that_was_edited(tmp_path: Path, ask: Ask) -> None:
    root = small_project(tmp_path / "mine", "tickers=3", "sessions=60")
    ask("--project", root, "collect")
    edit(root, tickers=["SYN002"])
    done = ask("--project", root, "collect", "--tickers", "SYN003")
    assert (done["tickers"], done["warnings"]) == (["SYN003"], [])
    later = ask("--project", root, "collect")  # the flag came after the edit
    assert later["tickers"] == ["SYN003"]
    (said,) = later["warnings"]
    assert said.startswith('[data] tickers = ["SYN002"] does not hold: the last `collect` asked for ["SYN003"]')


def test_source_and_path_edited_after_a_collection_are_read_from_then_on(tmp_path: Path, ask: Ask) -> None:
    main(["init", "mine"])
    edit("mine", source="folder", path="../old.parquet")
    bars_file(tmp_path / "old.parquet", "OLD")
    assert ask("--project", "mine", "collect")["tickers"] == ["OLD"]
    edit("mine", path=str(bars_file(tmp_path / "new.parquet", "NEW")))
    moved = ask("--project", "mine", "collect")
    assert moved["tickers"] == ["NEW"]
    assert len(moved["warnings"]) >= 1
    assert moved["warnings"][0].startswith("[data] path was changed since the last collection")


def test_record_of_an_earlier_version_holds_and_the_settings_that_wait_are_named(tmp_path: Path, ask: Ask) -> None:
    root = small_project(tmp_path / "mine", "tickers=3", "sessions=60")
    ask("--project", root, "collect", "--tickers", "SYN001")
    path = Path(root) / "data" / "collection.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["settings"]
    path.write_text(json.dumps(record), encoding="utf-8")
    edit(root, universe="US")
    done = ask("--project", root, "collect")
    assert done["tickers"] == ["SYN001"]
    assert done["warnings"][0].startswith('[data] universe = "US" does not hold')
