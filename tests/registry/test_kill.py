"""Kills a promotion at every named point and looks at what is left."""

from __future__ import annotations

import datetime as dt
import json
import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from marketloop.bench.mortal import Mortal
from marketloop.registry import Registry, Ruling, StreamFiles
from marketloop.state import Slot, State, champions, lease, this_process, versions

NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)
SLOT = Slot("price_predictor", "rsi10_vol20_support20")
COMMITTED = "ledger.commit.after@registry.registry.Registry.promote"
CYCLE = Path(__file__).with_name("one_cycle.py")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with champion v1, an old candidate v2, and v3 that a killed process left half-written."""
    home = tmp_path_factory.mktemp("template")
    manifest = {"data_version": "17", "features": ["rsi"], "recipe": "ridge", "seed": 7, "threads": 2}
    with State.open(f"sqlite:///{home}/state.db") as state:
        registry = Registry(home / "registry", state)
        with state.write() as db:
            held = lease.acquire(db, "cycle", process=this_process(), at=NOON)
        assert held is not None
        for _ in range(2):
            registry.write_candidate(SLOT, parts={"model.ubj": b"old"}, manifest=manifest, at=NOON)
        first = Ruling("promoted", "first", "skill", skill_proven=True)
        registry.promote(SLOT, 1, first, expected=0, held=held, at=NOON)
        with state.write() as db:
            lease.release(db, held, at=NOON)
            versions.allocate(db, SLOT, process=replace(this_process(), start="1"), at=NOON)
        (home / "registry" / "price_predictor" / SLOT.config_key / ".v3.partial").mkdir()
    return home


def run(home: Path, content: str) -> int:
    """Run a cycle here and return the version that it promoted."""
    return int(runpy.run_path(str(CYCLE))["cycle"](home, content.encode()))


def test_killed_promotion_leaves_a_complete_champion_and_the_next_one_works(template: Path, tmp_path: Path) -> None:
    with Mortal(str(CYCLE)) as server:
        record = tmp_path / "points"
        whole = shutil.copytree(template, tmp_path / "whole")
        assert server.run("cycle", home=str(whole), content="new", fault=f"record:{record}").code == 0
        places = tuple(dict.fromkeys(record.read_text(encoding="utf-8").splitlines()))
        assert len(places) > 50
        for number, place in enumerate(places):
            home = shutil.copytree(template, tmp_path / f"project{number}")
            killed = server.run("cycle", home=str(home), content="new", fault=place)
            assert killed.was_killed, (place, killed)
            check(home, is_committed=number >= places.index(COMMITTED), place=place)


def check(home: Path, *, is_committed: bool, place: str) -> None:
    """Assert that the champion is complete after recovery, and that the next cycle promotes."""
    with State.open(f"sqlite:///{home}/state.db") as state:
        registry = Registry(home / "registry", state)
        registry.recover()
        champion = registry.champion(SLOT)
        assert champion is not None, place
        assert (champion.version, champion.entry) == ((4, 2) if is_committed else (1, 1)), place
        artefact = registry.load(SLOT, champion.version)
        assert artefact.parts["model.ubj"] == (b"new" if is_committed else b"old"), place
        with state.read() as db:
            complete = {row.path for row in versions.listing(db) if row.state == "complete"}
            assert not [row for row in versions.listing(db) if row.state == "writing"], place
        assert {path.relative_to(registry.root).as_posix() for path in registry.root.glob("*/*/*")} == complete, place

    again = run(home, "newer")
    with State.open(f"sqlite:///{home}/state.db") as state:
        registry = Registry(home / "registry", state)
        champion = registry.champion(SLOT)
        assert champion is not None, place
        assert champion.version == again, place
        assert registry.load(SLOT, champion.version).parts["model.ubj"] == b"newer", place
        with state.read() as db:
            entries = [entry.entry for entry in champions.history(db, SLOT)]
        assert entries == list(range(len(entries), 0, -1)), place
        before = champion
        back = registry.rollback(SLOT, reason="test", at=NOON + dt.timedelta(days=3))
        assert back.version < before.version, place
    assert StreamFiles(home / "streams").recover({"s/1.parquet"}) == (), place


def test_recovery_leaves_a_living_writer_alone(template: Path, tmp_path: Path) -> None:
    home = tmp_path / "project"
    shutil.copytree(template, home)
    with State.open(f"sqlite:///{home}/state.db") as state:
        with state.write() as db:
            mine = versions.allocate(db, SLOT, process=this_process(), at=NOON)
        partial = home / "registry" / SLOT.family / SLOT.config_key / f".v{mine.version}.partial"
        partial.mkdir()
        stray = partial.with_name("v99")
        stray.mkdir()
        (stray / "manifest.json").write_text(json.dumps({}))
        recovered = Registry(home / "registry", state).recover()
        assert recovered.abandoned == ("price_predictor (rsi10_vol20_support20) v3",)
        assert [path.name for path in recovered.deleted] == [".v3.partial", "v99"]
        assert partial.is_dir()
        assert not stray.exists()
