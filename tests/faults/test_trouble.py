"""A full disk, a database that is gone in the middle, MLflow away: said clearly, nothing lost, and it goes on after."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.faults.conftest import check_whole
from tests.postgres_server import PostgresServer

from marketloop.bench.deaths import nights
from marketloop.bench.mortal import Mortal
from marketloop.runtime.template import record_settings

DAYS = nights()
POINTS = (
    "table.commit.before",
    "scores.commit.before",
    "ledger.commit.before@registry.registry.Registry.promote",
    "file.write.half@loop.reporting._write",
)


def stop_at(server: Mortal, job: str, point: str, **given: Any) -> None:
    """Start a job and wait until it stops at a point."""
    server.start(job, fault=f"stop:{point}", **given)
    told = server.told(120)
    assert told == {"stopped": True}, told


def go_on(server: Mortal) -> dict[str, Any]:
    server.signal(signal.SIGCONT)
    return server.wait().document


def words(document: dict[str, Any]) -> str:
    return " ".join(str(document.get(key) or "") for key in ("error", "why"))


@pytest.fixture
def small_disk(tmp_path: Path, served: Path) -> Iterator[Path]:
    """Mount a disk with little more room than the project needs, where that is permitted; the project is on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    # a cycle asks for a gigabyte before it trains
    size = sum(file.stat().st_size for file in served.rglob("*") if file.is_file()) + 1_100_000_000
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    shutil.copytree(served, disk / "project")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


def fill_up(ballast: Path) -> None:
    """Leave no room for another byte."""
    with ballast.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(ballast.parent).free)
        file.seek(0, os.SEEK_END)
        for size in (1_000_000, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


@pytest.mark.parametrize("point", POINTS)
def test_full_disk_is_said_the_champion_stays_and_the_next_cycle_runs(
    server: Mortal, small_disk: Path, point: str
) -> None:
    home, ballast = str(small_disk / "project"), small_disk / "ballast"
    stop_at(server, "night", point, home=home, end=DAYS[1])
    fill_up(ballast)
    said = go_on(server)
    promoted = point.startswith("file.write.half@loop.reporting")  # a report is a view: its cycle has done its work
    assert promoted or "disk is full" in words(said), said
    ballast.unlink()
    check_served(server, home, 2 if promoted else 1)
    done = server.run("night", home=home, end=DAYS[2], recover=True).document
    assert done["outcome"] == "promoted", done
    check_whole(server.run("look", home=home).document, done["version"])


def check_served(server: Mortal, home: str, version: int) -> None:
    seen = server.run("look", home=home).document
    assert (seen.get("champion"), seen.get("predicted_by"), seen.get("tickers")) == (version, version, 5), seen
    assert seen["wrong"] == []


@pytest.mark.parametrize("point", ["file.fsync.before", "file.write.half"])
def test_disk_that_refuses_a_step_of_an_artefact_is_said(server: Mortal, home: Path, point: str) -> None:
    place = f"{point}@registry.artefacts.write"
    said = server.run("night", home=str(home), end=DAYS[1], fault=f"error:{place}").document
    assert said["outcome"] == "failed"
    assert "the disk is full" in words(said)
    check_served(server, str(home), 1)
    done = server.run("night", home=str(home), end=DAYS[2]).document
    check_whole(server.run("look", home=str(home)).document, done["version"])


def test_worker_goes_on_after_a_full_disk(server: Mortal, small_disk: Path, tmp_path: Path) -> None:
    home, ballast, go = str(small_disk / "project"), small_disk / "ballast", tmp_path / "go"
    point = "ledger.commit.before@registry.registry.Registry.promote"
    stop_at(server, "twice", point, home=home, end=DAYS[1], go=str(go))
    fill_up(ballast)
    server.signal(signal.SIGCONT)
    server.told(3.0)
    ballast.unlink()
    go.touch()
    said = server.wait().document
    assert "disk is full" in words(said["first"]), said
    assert said["second"]["outcome"] == "promoted", said


def test_locked_database_fails_the_cycle_and_the_next_one_runs(server: Mortal, home: Path) -> None:
    point = "ledger.commit.after@registry.registry.Registry.write_candidate"
    stop_at(server, "hasty", point, home=str(home), end=DAYS[1])
    with closing(sqlite3.connect(home / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = go_on(server)
        assert "is held by another process" in words(said), said
        other.execute("ROLLBACK")
    check_served(server, str(home), 1)
    done = server.run("night", home=str(home), end=DAYS[2]).document
    assert done["outcome"] == "promoted", done
    check_whole(server.run("look", home=str(home)).document, done["version"])


def test_database_server_that_goes_away_fails_the_cycle_and_the_next_one_runs(
    server: Mortal, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    home = str(tmp_path / "project")
    server.run("make", home=home, settings={"state.url": postgres_server.url})
    assert server.run("night", home=home, end=DAYS[0]).document["version"] == 1
    stop_at(server, "night", "ledger.commit.before@registry.registry.Registry.promote", home=home, end=DAYS[1])
    postgres_server.stop()
    said = go_on(server)
    assert "state database" in words(said), said
    postgres_server.start()
    check_served(server, home, 1)
    done = server.run("night", home=home, end=DAYS[2]).document
    assert done["outcome"] == "promoted", done
    check_whole(server.run("look", home=home).document, done["version"])


def test_unreachable_mlflow_makes_a_late_mirror_and_no_failure(server: Mortal, home: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        record_settings(
            home / "marketloop.toml",
            {"tracking.enabled": True, "tracking.uri": f"http://127.0.0.1:{closed.getsockname()[1]}"},
        )
        done = server.run("night", home=str(home), end=DAYS[1])
        assert done.document["outcome"] == "promoted"
        assert waiting(home) > 0
    record_settings(home / "marketloop.toml", {"tracking.uri": f"sqlite:///{home}/mlflow.db"})
    assert server.run("night", home=str(home), end=DAYS[2]).document["outcome"] == "promoted"
    assert waiting(home) == 0
    with closing(sqlite3.connect(home / "mlflow.db")) as mirror:
        assert mirror.execute("SELECT count(*) FROM model_versions").fetchone() == (2,)


def waiting(home: Path) -> int:
    with closing(sqlite3.connect(home / "state.db")) as ledger:
        found = ledger.execute("SELECT count(*) FROM outbox WHERE topic = 'mlflow' AND sent_at IS NULL").fetchone()
    return int(found[0])
