from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marketloop.core.errors import FailedError, UsageError
from marketloop.registry import Candidate, Registry
from marketloop.registry.disk import digest
from marketloop.state import Slot, versions

Make = Callable[[], Candidate]


def test_candidate_is_a_folder_with_a_manifest_of_everything(registry: Registry, slot: Slot, make: Make) -> None:
    candidate = make()
    assert candidate.path == registry.root / "price_predictor" / "rsi10_vol20_support20" / "v1"
    assert {path.name for path in candidate.path.iterdir()} == {"manifest.json", "model.ubj", "learner.json"}
    manifest = json.loads((candidate.path / "manifest.json").read_bytes())
    assert manifest["files"]["model.ubj"] == {"sha256": digest(b"trees"), "size": 5}
    assert (manifest["family"], manifest["version"], manifest["seed"]) == ("price_predictor", 1, 7)
    assert "numpy" in manifest["libraries"]
    assert candidate.sha256 == digest((candidate.path / "manifest.json").read_bytes())


def test_candidate_comes_back_as_it_was_written(registry: Registry, slot: Slot, make: Make) -> None:
    artefact = registry.load(slot, make().version)
    assert artefact.parts == {"model.ubj": b"trees", "learner.json": b"{}"}
    assert artefact.manifest["features"] == ["rsi", "roc_10"]


def test_candidate_row_holds_what_the_manifest_says(registry: Registry, slot: Slot, make: Make) -> None:
    make()
    with registry.state.read() as db:
        row = versions.require(db, slot, 1)
    assert (row.state, row.recipe, row.data_version, row.params) == ("complete", "ridge", "17", {"penalty": 1.5})
    assert row.path == "price_predictor/rsi10_vol20_support20/v1"


@pytest.mark.parametrize("name", ["model.ubj", "manifest.json"])
def test_load_refuses_a_damaged_file_with_a_remedy(registry: Registry, slot: Slot, make: Make, name: str) -> None:
    file = make().path / name
    file.write_bytes(file.read_bytes().replace(b"e", b"E", 1))
    with pytest.raises(FailedError, match=rf"{name}\" is damaged: its sha256 is .*`marketloop rollback`"):
        registry.load(slot, 1)


@pytest.mark.parametrize("name", ["model.ubj", "manifest.json"])
def test_load_refuses_a_missing_file_with_a_remedy(registry: Registry, slot: Slot, make: Make, name: str) -> None:
    (make().path / name).unlink()
    with pytest.raises(FailedError, match=rf"{name}\" is missing; go back"):
        registry.load(slot, 1)


@pytest.mark.parametrize(
    ("parts", "change", "message"),
    [
        ({}, {}, "a model without parts"),
        ({"../up.json": b""}, {}, r'file name "\.\./up\.json"'),
        ({"manifest.json": b""}, {}, "the registry writes it"),
        ({"a.json": b""}, {"version": 3}, "may not set version"),
        ({"a.json": b""}, {"seed": None}, "the manifest lacks seed"),
    ],
)
def test_candidate_is_refused_before_anything_is_written(
    registry: Registry, slot: Slot, noon: dt.datetime, parts: dict[str, bytes], change: dict[str, Any], message: str
) -> None:
    manifest = {"data_version": "1", "features": [], "recipe": "ridge", "seed": 1, "threads": 1, **change}
    manifest = {key: value for key, value in manifest.items() if value is not None}
    with pytest.raises(UsageError, match=message):
        registry.write_candidate(slot, parts=parts, manifest=manifest, at=noon)
    with registry.state.read() as db:
        assert versions.listing(db) == ()
    assert not registry.root.exists()


def test_candidate_leaves_nothing_when_the_disk_refuses(
    registry: Registry, slot: Slot, make: Make, tmp_path: Path
) -> None:
    registry.root.mkdir()
    (registry.root / "price_predictor").write_text("in the way")
    with pytest.raises(UsageError, match="in the way"):
        make()
    with registry.state.read() as db:
        assert [row.state for row in versions.listing(db)] == ["abandoned"]
    (registry.root / "price_predictor").unlink()
    assert make().version == 2
