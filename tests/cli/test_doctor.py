"""The doctor: a healthy project, a project broken in every way, and what it never does."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.cli import ailments
from tests.cli.ward import FAMILY, Break, Ward, copied, healthy

from marketloop.cli import main
from marketloop.cli.commands import COMMANDS
from marketloop.cli.examinations import Finding, installation

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
_NAMED = re.compile(r"marketloop ((?:[a-z]+)(?: (?:\"[^\"]*\"|[^,;()\s]+))*)")


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a healthy project, which tests copy."""
    return healthy(tmp_path_factory.mktemp("ward") / "mine")


@pytest.fixture
def ward(well: Path, tmp_path: Path) -> Ward:
    return copied(well, tmp_path / "mine")


def contents(root: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check_remedy(finding: Finding, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that there is a remedy, and that each command in it exists and has the options that it is given."""
    assert finding.remedy, finding
    for use in _NAMED.findall(finding.remedy):
        name, *rest = shlex.split(use)
        if name in {"again", "alone"}:
            continue
        assert name in COMMANDS, finding.remedy
        capsys.readouterr()
        main([name, "--help"])
        shown = capsys.readouterr().out
        for option in (word for word in rest if word.startswith("--")):
            assert option in shown, f"{name} has no {option}: {finding.remedy}"


def test_doctor_finds_nothing_wrong_with_a_healthy_project_and_changes_nothing(ward: Ward) -> None:
    before = contents(ward.root)
    found = ward.examine()
    assert [finding for finding in found.values() if finding.status != "ok"] == []
    assert len(found) >= 30
    assert contents(ward.root) == before


def test_doctor_finds_a_new_project_healthy_and_says_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["init", "mine"])
    found = Ward(tmp_path / "mine").examine()
    assert [finding for finding in found.values() if finding.status == "failed"] == []
    assert found["data"].remedy == "marketloop collect"
    assert found["state"].remedy == "marketloop retrain price_predictor"
    assert found["source"].value == "sample, 5 tickers"
    assert found["calendar"].value.startswith("XNYS, last session ")


def test_doctor_names_the_remedy_when_there_is_no_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--project", "mine", "--json"]) == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert (checks["project"]["status"], checks["project"]["remedy"]) == ("failed", "marketloop init DIR")


def test_doctor_prints_value_expectation_and_remedy_for_people(ward: Ward, capsys: pytest.CaptureFixture[str]) -> None:
    ward.settings(compute__threads=512)
    assert main(["doctor", "--project", str(ward.root)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "warning compute: [compute] threads = 512 on" in shown
    assert "expected at most" in shown
    assert "remedy: set [compute] threads =" in shown


def test_doctor_imports_no_library_that_learns(ward: Ward) -> None:
    code = (
        "import sys; from marketloop.cli import main; main(['doctor', '--json']);"
        "learn = ('sklearn', 'xgboost', 'lightgbm', 'optuna', 'mlflow', 'torch');"
        "print([m for m in learn if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ward.root)
    assert done.stdout.splitlines()[-1] == "[]"


def test_doctor_gives_a_full_report_when_one_examination_fails(ward: Ward) -> None:
    for log in (ward.root / "data" / "bars" / "_delta_log").glob("*.json"):
        log.write_text("{", encoding="utf-8")
    found = ward.examine()
    assert found["data"].status == "failed"
    assert {"calendar", "state", f"champion {FAMILY}", "loop", "alarms"} <= set(found)


@pytest.mark.parametrize(
    ("section", "name", "words"),
    [
        ("[gate]\nalfa = 1\n", "settings", 'line 2: unknown setting "gate.alfa"'),
        ('[project]\ncalendar = "XNYC"\n', "calendar", "XNYC"),
        ('[data]\nsource = "folder"\npath = "gone.parquet"\n', "source", "gone.parquet"),
        ('[data]\nsource = "smaple"\n', "source", 'Did you mean "sample"?'),
        ('plugins = ["gone.py"]\n', "plugins", "no file"),
        ('[context]\nspx = "gone.csv"\n', "context", "no such file"),
    ],
)
def test_doctor_names_wrong_settings(
    section: str, name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["init", "mine"])
    (tmp_path / "mine" / "marketloop.toml").write_text(section, encoding="utf-8")
    finding = Ward(tmp_path / "mine").examine()[name]
    assert finding.status == "failed"
    assert words in finding.detail
    check_remedy(finding, capsys)


@pytest.mark.parametrize(
    ("broken", "name", "status", "words"),
    [
        (ailments.plugin_without_register, "plugins", "failed", "no function register"),
        (ailments.folder_is_a_file, "folders", "failed", "something of another kind is in the way"),
        (ailments.no_database, "state", "failed", "is gone, and models/registry has versions"),
        (ailments.not_a_database, "state", "failed", "is not a database"),
        (ailments.damaged_database, "state", "failed", "damaged"),
        (ailments.newer_database, "state", "failed", "tables of version 99: a newer MarketLoop wrote it"),
        (ailments.older_database, "state", "failed", "tables of version 2"),
        (ailments.other_configuration, f"champion {FAMILY}", "warning", "model not found for the configuration rsi14"),
        (ailments.damaged_artefact, f"artefact {FAMILY} v2", "failed", "is damaged"),
        (ailments.artefact_without_manifest, f"artefact {FAMILY} v2", "failed", "is missing"),
        (ailments.edited_view, "views", "warning", "prod_model.ubj"),
        (ailments.deleted_view, "views", "warning", "training_metrics.json (deleted)"),
        (ailments.orphan_folder, "orphans", "warning", "v77"),
        (ailments.quarantined, "quarantine", "warning", "most by the rule bad"),
        (ailments.stale_bars, "tail", "warning", "no new label becomes known"),
        (ailments.no_index, "context", "warning", "regime_classifier is skipped"),
        (ailments.stray_data, "orphans data", "warning", "part-0-dead.parquet"),
        (ailments.mismatch, f"features {FAMILY}", "failed", "feature mismatch: the champion reads moon_phase"),
        (ailments.near_chance, f"performance {FAMILY}", "warning", "near chance, no skill proven"),
        (ailments.poor, f"performance {FAMILY}", "warning", "poor performance, worse than no skill"),
        (ailments.unexamined, f"performance {FAMILY}", "warning", "nothing was examined out of sample"),
        (ailments.overfitted, f"overfitting {FAMILY}", "warning", "57 points of accuracy lost"),
        (ailments.harmed, f"degradation {FAMILY}", "warning", "the harm alarm took version 2 out of service"),
        (ailments.guarded_back, f"degradation {FAMILY}", "warning", "the guard went back to version 1"),
        (ailments.forced_worse, f"degradation {FAMILY}", "warning", "rank_ic 0.0010 after 0.0310"),
        (ailments.said_nothing, f"predictions {FAMILY}", "failed", "has said nothing"),
        (ailments.said_something_old, f"predictions {FAMILY}", "warning", "the bars reach"),
        (ailments.said_little, f"predictions {FAMILY}", "warning", "nothing of 10 of 12 tickers"),
        (ailments.server_errors, "server log", "warning", "the answer could not be made"),
        (ailments.no_key_off_loopback, "keys", "failed", "the server refuses to start"),
        (ailments.ending_key, "keys", "warning", 'the key "desk" ends'),
        (ailments.ended_keys, "keys", "warning", "nobody is let in"),
        (ailments.dead_loop, "loop", "warning", "scheduler not running"),
        (ailments.nobody_runs_it, "loop", "warning", "nothing retrains this project"),
        (ailments.unplanned_loop, "loop", "warning", "it cannot plan"),
        (ailments.waiting_request, "loop", "warning", "1 requests wait"),
        (
            ailments.skipped_requests,
            "triggers",
            "warning",
            "retraining not triggered: the last 4 requests were skipped",
        ),
        (ailments.unheard_event, "triggers", "warning", "on_events = false"),
        (ailments.failing, "cycles", "failed", "retraining failing: 3 cycles in a row"),
        (ailments.failing_family, "cycles", "warning", "momentum_ranker: recipe mine raised"),
        (ailments.too_frequent, "frequency", "warning", "9 cycles in 24 hours, 9 of them by event"),
        (ailments.every_event, "frequency", "warning", "may become too frequent"),
        (ailments.slow, "speed", "warning", "training slow"),
        (ailments.hanging, "running", "warning", "a cycle runs since"),
        (ailments.stuck_outbox, "outbox mlflow", "warning", ": connection refused"),
        (ailments.alarmed, "alarms", "warning", "a cycle died"),
    ],
)
def test_doctor_finds_what_is_broken(
    broken: Break, name: str, status: str, words: str, ward: Ward, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(ward)
    found = ward.examine()
    assert name in found, found.keys()
    assert (found[name].status, words in found[name].detail) == (status, True), found[name]
    check_remedy(found[name], capsys)


def test_doctor_says_when_somebody_holds_the_ledger(ward: Ward) -> None:
    with closing(sqlite3.connect(ward.root / "state.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        found = ward.examine()
        db.execute("ROLLBACK")
    assert found["state"].status == "warning"
    assert "is held by another process" in found["state"].detail
    assert "alarms" in found


def test_doctor_tells_a_stranger_on_the_port_from_a_marketloop(ward: Ward) -> None:
    with closing(socket.socket()) as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        ward.settings(serve__port=stranger.getsockname()[1])
        finding = ward.examine()["serve"]
    assert finding.status == "warning"
    assert "is taken by a program that is no MarketLoop" in finding.detail
    assert finding.remedy.startswith("marketloop serve --port ")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"OMP_WAIT_POLICY": "active"}, "idle threads spin"),
        ({"OMP_NUM_THREADS": "4096"}, "OMP_NUM_THREADS=4096 on"),
        ({"POLARS_MAX_THREADS": "many"}, "POLARS_MAX_THREADS=many"),
    ],
)
def test_doctor_names_threads_that_make_training_slow(environ: dict[str, str], words: str, ward: Ward) -> None:
    finding = ward.examine(**environ)["threads"]
    assert (finding.status, words in finding.detail) == ("warning", True), finding


def test_doctor_says_how_little_disk_is_left(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    # A disk cannot be filled in a test: the operating system's answer is what is replaced.
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**8))
    finding = ward.examine()["disk"]
    assert (finding.status, finding.expected) == ("failed", "at least 0.2 GB")


def test_doctor_names_libraries_that_overwrite_each_other_or_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in (("xgboost", "3.2.0"), ("pandas", "3.1.0")):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert importlib.metadata.version("pandas") == "3.1.0"
    (clash,) = installation.clashes(None)
    assert (clash.status, clash.remedy) == (
        "failed",
        "pip uninstall --yes xgboost xgboost-cpu && pip install xgboost-cpu",
    )
    (fit,) = installation.libraries(None)
    assert (fit.status, "pandas (3.1.0, expected" in fit.detail) == ("failed", True)


def test_doctor_looks_at_a_ledger_in_postgresql_and_makes_no_tables_there(
    ward: Ward, empty_postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ward.settings(state__url=empty_postgres)
    for _ in range(2):
        finding = ward.examine()["state"]
        assert (finding.status, "has no tables yet" in finding.detail) == ("warning", True), finding
    assert main(["status", "--project", str(ward.root)]) == 0
    capsys.readouterr()
    found = ward.examine()
    assert found["state"].status == "ok"
    assert f"champion {FAMILY}" in found
