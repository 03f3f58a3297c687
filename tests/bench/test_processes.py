from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

import pytest

from marketloop.bench import BENCHES
from marketloop.bench.processes import measure
from marketloop.bench.retrain import run as retrain
from marketloop.bench.startup import run as startup
from marketloop.core.errors import FailedError, UsageError
from marketloop.data.synthetic import SyntheticSource

PYTHON = (sys.executable, "-c")


def test_measure_reports_time_memory_and_words_of_a_process() -> None:
    measured = measure((*PYTHON, "x = bytearray(200_000_000); print(sum(range(3_000_000)))"))
    assert measured.stdout == "4499998500000\n"
    assert measured.peak_rss_mb > 200
    assert measured.cpu_seconds > 0
    assert measured.seconds > 0


def test_measure_says_how_a_process_failed() -> None:
    with pytest.raises(FailedError, match=r"exit code 3, expected \(0,\): no bars"):
        measure((*PYTHON, "import sys; print('no bars', file=sys.stderr); sys.exit(3)"))


def test_measure_takes_an_exit_code_that_is_no_failure() -> None:
    assert measure((*PYTHON, "raise SystemExit(1)"), codes=(0, 1)).exit_code == 1


def test_measure_runs_in_the_folder_that_was_named(tmp_path: Path) -> None:
    assert measure((*PYTHON, "import os; print(os.getcwd())"), folder=tmp_path).stdout.strip() == str(tmp_path)


def test_startup_separates_the_interpreter_from_the_product() -> None:
    document = startup(repeats=1)
    assert list(document) == ["name", "rows", "seconds", "peak_rss_mb", "figures", "peer"]
    assert document["figures"]["help_cpu_seconds"] > document["figures"]["python_itself_cpu_seconds"]


def test_startup_names_the_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file or folder .*absent\.parquet: name the bars of the project"):
        startup(path=tmp_path / "absent.parquet", repeats=1)


@pytest.mark.timeout(600)  # nine processes
def test_startup_measures_the_commands_that_decide_only(tmp_path: Path) -> None:
    bars = SyntheticSource({"tickers": 12, "sessions": 900}).market.bars
    bars.write_parquet(tmp_path / "bars.parquet")
    small = {"tracking.enabled": False, "family.momentum_ranker.enabled": False}
    figures = startup(path=tmp_path / "bars.parquet", repeats=1, settings=small)["figures"]
    assert figures["project_tickers"] == 12
    for name in ("nothing_new", "rollback"):
        assert figures[f"{name}_seconds_max"] >= figures[f"{name}_seconds"] > 0
        assert figures[f"{name}_cpu_seconds"] > 0


def test_measured_process_may_keep_its_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert measure((*PYTHON, "import sys; print(sys.dont_write_bytecode)")).stdout == "False\n"


def test_retrain_names_the_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file or folder .*absent\.parquet: name the bars"):
        retrain(tmp_path / "absent.parquet")


@pytest.mark.parametrize("name", sorted(BENCHES))
def test_every_benchmark_has_a_function_run_with_keyword_arguments(name: str) -> None:
    run = importlib.import_module(BENCHES[name]).run
    parameters = list(inspect.signature(run).parameters.values())
    assert all(p.kind is p.KEYWORD_ONLY or p.name == "path" for p in parameters)
