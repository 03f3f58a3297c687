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

import polars as pl
import pytest
from tests.cli.ward import FAMILY, Break, Ward, copied, dead_process, healthy, reopened

from marketloop.cli import main
from marketloop.cli.commands import COMMANDS
from marketloop.cli.examinations import Finding, installation
from marketloop.data.quality import QUARANTINE_SCHEMA
from marketloop.data.store import DeltaBarStore
from marketloop.registry import Back, Demotion
from marketloop.serving.keeping import create_key
from marketloop.state import alarms, events, lease, outbox, requests, this_process
from marketloop.state.requests import Wish

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


def plugin_without_register(ward: Ward) -> None:
    (ward.root / "mine.py").write_text("def regster(catalog): ...\n", encoding="utf-8")
    ward.settings(plugins=["mine.py"])


def folder_is_a_file(ward: Ward) -> None:
    (ward.root / "reports").rmdir()
    (ward.root / "reports").write_text("a file", encoding="utf-8")


def no_database(ward: Ward) -> None:
    for ending in ("", "-wal", "-shm"):
        (ward.root / f"state.db{ending}").unlink(missing_ok=True)


def not_a_database(ward: Ward) -> None:
    no_database(ward)
    (ward.root / "state.db").write_bytes(b"not a database at all" * 50)


def damaged_database(ward: Ward) -> None:
    """Overwrite pages of the scoreboards behind the first one."""
    path = ward.root / "scoreboard.db"
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)


def newer_database(ward: Ward) -> None:
    with closing(sqlite3.connect(ward.root / "state.db")) as db, db:
        db.execute("INSERT INTO schema VALUES (99)")


def older_database(ward: Ward) -> None:
    with closing(sqlite3.connect(ward.root / "state.db")) as db, db:
        db.execute("DELETE FROM schema")
        db.execute("INSERT INTO schema VALUES (2)")


def other_configuration(ward: Ward) -> None:
    ward.settings(strategy__rsi_period=14)


def damaged_artefact(ward: Ward) -> None:
    (ward.root / f"models/registry/{FAMILY}/rsi10_vol20_support20/v2/model.ubj").write_bytes(b"other trees")


def artefact_without_manifest(ward: Ward) -> None:
    (ward.root / f"models/registry/{FAMILY}/rsi10_vol20_support20/v2/manifest.json").unlink()


def edited_view(ward: Ward) -> None:
    (ward.root / "models" / "prod_model.ubj").write_bytes(b"mine")


def deleted_view(ward: Ward) -> None:
    (ward.root / "models" / "training_metrics.json").unlink()


def orphan_folder(ward: Ward) -> None:
    (ward.root / f"models/registry/{FAMILY}/rsi10_vol20_support20/v77").mkdir()


def quarantined(ward: Ward) -> None:
    store = DeltaBarStore(ward.root / "data")
    rows = (
        store.read()
        .head(400)
        .with_columns(
            origin=pl.lit("a.csv"), date_text=pl.lit(None, pl.String), rule=pl.lit("bad"), reason=pl.lit("bad")
        )
    )
    store.put_quarantine(rows.select(pl.col(name).cast(kind) for name, kind in QUARANTINE_SCHEMA.items()))


def stale_bars(ward: Ward) -> None:
    path = ward.root / "data" / "collection.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    bars = ward.root.parent / "bars.parquet"
    DeltaBarStore(ward.root / "data").read().write_parquet(bars)
    path.write_text(json.dumps({**kept, "source": "folder", "path": str(bars), "options": {}}), encoding="utf-8")


def no_index(ward: Ward) -> None:
    for part in ("series",):
        folder = ward.root / "data" / part
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()


def stray_data(ward: Ward) -> None:
    (ward.root / "data" / "bars" / "part-0-dead.parquet").write_bytes(b"half")


def mismatch(ward: Ward) -> None:
    """Make a champion whose feature came from a plugin that the settings name no longer."""
    with reopened(ward.root) as shop:
        at = shop.helm.clock.now()
        about = {"data_version": "1", "features": ["rsi", "moon_phase"], "recipe": "ridge", "seed": 7, "threads": 1}
        made = shop.registry.write_candidate(shop.slot(), parts={"model.ubj": b"trees"}, manifest=about, at=at)
        shop.promote(made.version)


def near_chance(ward: Ward) -> None:
    ward.crown(proven=False, rank_ic={"mean": 0.001, "interval": [-0.02, 0.022]}, metrics={"accuracy": 0.401})


def poor(ward: Ward) -> None:
    ward.crown(rank_ic={"mean": -0.03, "interval": [-0.05, -0.01]}, metrics={"accuracy": 0.35})


def unexamined(ward: Ward) -> None:
    ward.crown(proven=False, rank_ic={}, metrics={"accuracy": None})


def overfitted(ward: Ward) -> None:
    ward.crown(seen_and_unseen={"figures": {"seen": {"accuracy": 0.98}, "unseen": {"accuracy": 0.41}}})


def harmed(ward: Ward) -> None:
    with reopened(ward.root) as shop:
        now = shop.registry.champion(shop.slot())
        assert now is not None
        why = Demotion(session=6001, reason="z -3.4 over 63 sessions", z=-3.4, n=63, record={}, cycle_id="c")
        shop.registry.demote(shop.slot(), why, expected=now.entry, held=shop.held, at=shop.helm.clock.now())


def guarded_back(ward: Ward) -> None:
    with reopened(ward.root) as shop:
        why = Back("worse than bad luck explains", by="guard")
        shop.registry.rollback(shop.slot(), reason=why, at=shop.helm.clock.now())


def forced_worse(ward: Ward) -> None:
    ward.force(metrics={"rank_ic": 0.001})


def said_nothing(ward: Ward) -> None:
    with reopened(ward.root) as shop:
        shop.promote(shop.candidate((), as_of=dt.date(2020, 1, 2)))


def said_something_old(ward: Ward) -> None:
    with reopened(ward.root) as shop:
        shop.promote(shop.candidate(("SYN001", "SYN002"), as_of=dt.date(2013, 6, 3)))


def said_little(ward: Ward) -> None:
    with reopened(ward.root) as shop:
        newest = DeltaBarStore(ward.root / "data").coverage()["last"].max()
        assert isinstance(newest, dt.date)
        shop.promote(shop.candidate(("SYN001", "SYN002"), as_of=newest))


def server_errors(ward: Ward) -> None:
    now = dt.datetime.now(dt.UTC).isoformat()
    line = json.dumps({"level": "error", "event": "the answer could not be made", "timestamp": now})
    (ward.root / "logs" / "server.log").write_text(f"{line}\n", encoding="utf-8")


def no_key_off_loopback(ward: Ward) -> None:
    ward.settings(serve__host="0.0.0.0")  # noqa: S104 -- nothing listens


def ending_key(ward: Ward) -> None:
    with ward.open() as helm:
        create_key(helm.state, "desk", role="read", at=helm.clock.now(), lifetime=3 * DAY)


def ended_keys(ward: Ward) -> None:
    with ward.open() as helm:
        create_key(helm.state, "desk", role="read", at=helm.clock.now() - 9 * DAY, lifetime=3 * DAY)


def dead_loop(ward: Ward) -> None:
    ward.beat(ago=3 * HOUR, process=dead_process())


def nobody_runs_it(ward: Ward) -> None:
    ward.cycle("promoted", ago=30 * DAY)


def unplanned_loop(ward: Ward) -> None:
    ward.beat(ago=dt.timedelta(0), trouble="UsageError: a plugin is gone")


def waiting_request(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        requests.ask(db, Wish("manual", "please"), process=this_process(), at=helm.clock.now() - HOUR)


def skipped_requests(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        for n in range(4):
            why = "price_predictor is pinned to version 2; unpin it first: `marketloop pin price_predictor --off`"
            at = helm.clock.now() - (5 - n) * DAY
            requests.ask(db, Wish("schedule", "nightly", (FAMILY,)), process=this_process(), at=at, why_not=why)


def unheard_event(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        events.publish(db, "MARKET_SHOCK", key="1", payload={"vix": 50}, source="cli", at=helm.clock.now())


def failing(ward: Ward) -> None:
    for n in range(3):
        ward.cycle("failed", ago=(3 - n) * DAY, error="the disk is full: nothing was written")


def failing_family(ward: Ward) -> None:
    entry = {"family": "momentum_ranker", "verdict": "failed", "error": "recipe mine raised ValueError"}
    ward.cycle("refused", ago=HOUR, families=[entry])


def too_frequent(ward: Ward) -> None:
    for n in range(9):
        ward.cycle("refused", ago=(n + 1) * HOUR, trigger="event")


def every_event(ward: Ward) -> None:
    ward.settings(retraining__on_events=True, retraining__min_interval_hours=0)


def slow(ward: Ward) -> None:
    ward.cycle("refused", ago=2 * DAY, took_s=40)
    ward.cycle("refused", ago=1 * DAY, took_s=45)
    ward.cycle("refused", ago=3 * HOUR, took_s=3000)


def hanging(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        lease.acquire(db, "cycle", process=this_process(), at=helm.clock.now() - DAY)


def stuck_outbox(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        outbox.append(db, "mlflow", key="1", payload={}, at=helm.clock.now() - DAY)
        outbox.troubled(db, outbox.pending(db, "mlflow")[0], "connection refused")


def alarmed(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        at = helm.clock.now()
        alarms.raise_alarm(db, "error", key="x", title="a cycle died", document={}, at=at, quiet=HOUR)


@pytest.mark.parametrize(
    ("broken", "name", "status", "words"),
    [
        (plugin_without_register, "plugins", "failed", "no function register"),
        (folder_is_a_file, "folders", "failed", "something of another kind is in the way"),
        (no_database, "state", "failed", "is gone, and models/registry has versions"),
        (not_a_database, "state", "failed", "is not a database"),
        (damaged_database, "state", "failed", "damaged"),
        (newer_database, "state", "failed", "tables of version 99: a newer MarketLoop wrote it"),
        (older_database, "state", "failed", "tables of version 2"),
        (other_configuration, f"champion {FAMILY}", "warning", "model not found for the configuration rsi14"),
        (damaged_artefact, f"artefact {FAMILY} v2", "failed", "is damaged"),
        (artefact_without_manifest, f"artefact {FAMILY} v2", "failed", "is missing"),
        (edited_view, "views", "warning", "prod_model.ubj"),
        (deleted_view, "views", "warning", "training_metrics.json (deleted)"),
        (orphan_folder, "orphans", "warning", "v77"),
        (quarantined, "quarantine", "warning", "most by the rule bad"),
        (stale_bars, "tail", "warning", "no new label becomes known"),
        (no_index, "context", "warning", "regime_classifier is skipped"),
        (stray_data, "orphans data", "warning", "part-0-dead.parquet"),
        (mismatch, f"features {FAMILY}", "failed", "feature mismatch: the champion reads moon_phase"),
        (near_chance, f"performance {FAMILY}", "warning", "near chance, no skill proven"),
        (poor, f"performance {FAMILY}", "warning", "poor performance, worse than no skill"),
        (unexamined, f"performance {FAMILY}", "warning", "nothing was examined out of sample"),
        (overfitted, f"overfitting {FAMILY}", "warning", "57 points of accuracy lost"),
        (harmed, f"degradation {FAMILY}", "warning", "the harm alarm took version 2 out of service"),
        (guarded_back, f"degradation {FAMILY}", "warning", "the guard went back to version 1"),
        (forced_worse, f"degradation {FAMILY}", "warning", "rank_ic 0.0010 after 0.0310"),
        (said_nothing, f"predictions {FAMILY}", "failed", "has said nothing"),
        (said_something_old, f"predictions {FAMILY}", "warning", "the bars reach"),
        (said_little, f"predictions {FAMILY}", "warning", "nothing of 10 of 12 tickers"),
        (server_errors, "server log", "warning", "the answer could not be made"),
        (no_key_off_loopback, "keys", "failed", "the server refuses to start"),
        (ending_key, "keys", "warning", 'the key "desk" ends'),
        (ended_keys, "keys", "warning", "nobody is let in"),
        (dead_loop, "loop", "warning", "scheduler not running"),
        (nobody_runs_it, "loop", "warning", "nothing retrains this project"),
        (unplanned_loop, "loop", "warning", "it cannot plan"),
        (waiting_request, "loop", "warning", "1 requests wait"),
        (skipped_requests, "triggers", "warning", "retraining not triggered: the last 4 requests were skipped"),
        (unheard_event, "triggers", "warning", "on_events = false"),
        (failing, "cycles", "failed", "retraining failing: 3 cycles in a row"),
        (failing_family, "cycles", "warning", "momentum_ranker: recipe mine raised"),
        (too_frequent, "frequency", "warning", "9 cycles in 24 hours, 9 of them by event"),
        (every_event, "frequency", "warning", "may become too frequent"),
        (slow, "speed", "warning", "training slow"),
        (hanging, "running", "warning", "a cycle runs since"),
        (stuck_outbox, "outbox mlflow", "warning", ": connection refused"),
        (alarmed, "alarms", "warning", "a cycle died"),
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
