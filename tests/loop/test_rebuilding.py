"""A kept version trained again from what was recorded of it: the same, or a clear word why it cannot be."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from tests.extras import LSTM, recipes_named

from marketloop.core.errors import RefusedError, UsageError
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Choices
from marketloop.loop.rebuilding import AGREEMENT, rebuild
from marketloop.loop.training import train_family
from marketloop.runtime.project import create_project
from marketloop.runtime.template import record_settings

FAMILY = "price_predictor"
SHORT = {"steps": 5, "hidden": 4, "epochs": 2, "epoch_rows": 2000}
MARKET = {"tickers": 12, "sessions": 620, "seed": 3, "start": "2013-01-02"}
PLUGIN = '''
"""A plugin."""
import polars as pl
from marketloop.core.catalog import Feature


def register(catalog):
    expr = (pl.col("close") / pl.col("close").shift(NUMBER))
    catalog.add(Feature(name="mine", family="momentum", lookback=NUMBER, expr=expr, neutral=1.0, source="test"))
'''


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rebuild") / "project"
    create_project(root)
    record_settings(root / "marketloop.toml", {"features.set": "basic", "tracking.enabled": False})
    (root / "vix.csv").write_text(_vix(20.0), encoding="utf-8")
    record_settings(root / "marketloop.toml", {"context.vix": "vix.csv"})
    return root


def _vix(first: float) -> str:
    days = (dt.date(2013, 1, 1) + dt.timedelta(days=n) for n in range(1000))
    rows = (f"{day},{first + n % 7}" for n, day in enumerate(day for day in days if day.weekday() < 5))
    return "\n".join(["date,value", *rows, ""])


@pytest.fixture
def house(root: Path) -> House:
    return open_house(root, environ={})


@pytest.fixture(scope="module")
def versions(root: Path) -> dict[str, int]:
    """Versions by how they were made, all on data that has grown since."""
    with open_house(root, environ={}) as house:
        ingest(house, CollectRequest(source="synthetic", options=MARKET, end=dt.date(2015, 4, 1)))
        made = {
            name: train_family(house, FAMILY, choices).candidate.version
            for name, choices in (
                ("ridge", Choices(recipes=("rank_ridge",))),
                ("trees", Choices(recipes=("xgboost",), params={"n_estimators": 20, "max_depth": 3})),
                ("leaves", Choices(recipes=("lightgbm",), params={"n_estimators": 20})),
                ("forest", Choices(recipes=("random_forest",), params={"n_estimators": 20})),
                *([("lstm", Choices(recipes=("lstm",), params=SHORT))] if LSTM else []),
                ("sample", Choices(recipes=("rank_ridge",), sample_size=0.5, target_days=10, threshold=0.03)),
            )
        }
        ingest(house, CollectRequest(source="synthetic", options=MARKET, end=dt.date(2015, 6, 1)))
    return made


@pytest.mark.parametrize("name", recipes_named(["ridge", "trees", "leaves", "forest", "lstm", "sample"]))
def test_version_is_made_again_after_more_bars_have_come(house: House, versions: dict[str, int], name: str) -> None:
    done = rebuild(house, FAMILY, versions[name])
    assert done.agrees
    assert done.difference <= AGREEMENT
    assert done.compared == 12
    assert int(done.manifest["data_version"]) < int(house.store.version or 0)
    if name in {"ridge", "lstm", "sample"}:
        assert done.identical
        assert done.document()["explanation"] == "every file has the recorded hash"


def test_nothing_is_kept_of_a_rebuild(house: House, versions: dict[str, int]) -> None:
    before = sorted(path.name for path in (house.registry.root / FAMILY / house.strategy.key).iterdir())
    rebuild(house, FAMILY, versions["ridge"])
    assert sorted(path.name for path in (house.registry.root / FAMILY / house.strategy.key).iterdir()) == before


def test_other_bytes_that_say_the_same_agree_and_it_is_said_why(house: House, versions: dict[str, int]) -> None:
    done = rebuild(house, FAMILY, versions["ridge"])
    near = replace(done, files={"ridge.json": "0" * 64}, difference=3e-9)
    assert (near.identical, near.agrees) == (False, True)
    assert "other bytes, the same model" in near.document()["explanation"]
    far = replace(near, difference=1e-3)
    assert not far.agrees
    assert "another model: the predictions differ by at most 1.0e-03" in far.document()["explanation"]
    old = replace(near, manifest={**done.manifest, "libraries": {**done.manifest["libraries"], "numpy": "1.0"}})
    assert [lib["name"] for lib in old.document()["libraries"]] == ["numpy"]
    assert "libraries have changed since (numpy 1.0 ->" in old.document()["explanation"]


def test_changed_context_file_is_refused(house: House, versions: dict[str, int], root: Path) -> None:
    before = (root / "vix.csv").read_text(encoding="utf-8")
    try:
        (root / "vix.csv").write_text(_vix(21.0), encoding="utf-8")
        with pytest.raises(RefusedError, match=r"was trained on other market series \(\[context\] files\)"):
            rebuild(house, FAMILY, versions["ridge"])
    finally:
        (root / "vix.csv").write_text(before, encoding="utf-8")


def test_plugin_that_was_not_there_is_refused(root: Path, versions: dict[str, int]) -> None:
    (root / "mine.py").write_text(PLUGIN.replace("NUMBER", "3"), encoding="utf-8")
    environ, words = {"MARKETLOOP_PLUGINS": str(root / "mine.py")}, "was trained with other plugins than those of now"
    with open_house(root, environ=environ) as other, pytest.raises(RefusedError, match=words):
        rebuild(other, FAMILY, versions["ridge"])


def test_edited_plugin_is_refused(root: Path) -> None:
    (root / "mine.py").write_text(PLUGIN.replace("NUMBER", "3"), encoding="utf-8")
    environ = {"MARKETLOOP_PLUGINS": str(root / "mine.py")}
    with open_house(root, environ=environ) as house:
        made = train_family(house, FAMILY, Choices(recipes=("rank_ridge",))).candidate.version
        assert rebuild(house, FAMILY, made).identical
    (root / "mine.py").write_text(PLUGIN.replace("NUMBER", "4"), encoding="utf-8")
    with open_house(root, environ=environ) as house, pytest.raises(RefusedError, match="other plugins"):
        rebuild(house, FAMILY, made)


def test_data_version_that_is_gone_is_refused(house: House, versions: dict[str, int], root: Path) -> None:
    log = min((root / "data" / "bars" / "_delta_log").glob("*.json"))
    hidden = log.with_suffix(".hidden")
    log.rename(hidden)
    try:
        with pytest.raises(RefusedError, match=r"data version 0, which cannot be read any more .*restore data/"):
            rebuild(house, FAMILY, versions["ridge"])
    finally:
        hidden.rename(log)


def test_version_that_retention_deleted_is_refused(root: Path) -> None:
    with open_house(root, environ={}) as house:
        made = train_family(house, FAMILY, Choices(recipes=("rank_ridge",))).candidate.version
        train_family(house, FAMILY, Choices(recipes=("rank_ridge",)))
        assert made in house.registry.prune(house.slot(FAMILY), keep=1)
        with pytest.raises(UsageError, match=f"version {made} of .* has no artefact: it is deleted"):
            rebuild(house, FAMILY, made)
