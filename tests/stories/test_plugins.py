"""A user's own features: an honest one is used, one that sees the future is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.stories.conftest import Ask

from marketloop.cli import main
from marketloop.runtime.template import record_settings

FAST = ("--algorithm", "ridge")
HONEST = """
import polars as pl
from marketloop.core.catalog import Feature

def register(catalog):
    catalog.add(Feature("body_share", "plugin", 0, (pl.col("close") - pl.col("open")) / pl.col("open")))
"""
LEAKING = """
import polars as pl
from marketloop.core.catalog import Feature

close = pl.col("close")
past = close / close.shift(5) - 1

def register(catalog):
    catalog.add(
        Feature("tomorrow", "plugin", 1, close.shift(-1) / close - 1),
        Feature("centred_mean", "plugin", 5, close / close.rolling_mean(11, center=True) - 1),
        Feature("whole_sample_z", "plugin", 1, (close / close.shift(1)).log().sub((close / close.shift(1)).log().mean())
                / (close / close.shift(1)).log().std()),
        Feature("one_percent", "plugin", 5, 0.99 * past + 0.01 * (close.shift(-1) / close - 1)),
        Feature("honest", "plugin", 5, past),
    )
"""
LEAKS = {"tomorrow", "centred_mean", "whole_sample_z", "one_percent"}


@pytest.fixture
def root(tmp_path: Path, ask: Ask) -> Path:
    ask("init", "mine", "--source", "synthetic")
    settings = {
        "tracking.enabled": False,
        "features.set": "basic",
        "data.options": {"tickers": 12, "sessions": 620, "seed": 4},
    }
    record_settings(tmp_path / "mine" / "marketloop.toml", settings)
    return tmp_path / "mine"


def plug(root: Path, name: str, source: str) -> None:
    (root / name).write_text(source, encoding="utf-8")
    record_settings(root / "marketloop.toml", {"plugins": [name]})


def test_honest_plugin_feature_is_listed_checked_and_learned_from(root: Path, ask: Ask) -> None:
    plug(root, "mine.py", HONEST)
    assert ask("--project", root, "features", "--list")["plugins"] == ["body_share"]
    ask("--project", root, "collect")
    report = ask("--project", root, "features", "--check", "--feature-set", "basic")
    assert report == {"checked": 21, "leaks": []}
    assert ask("--project", root, "retrain", "price_predictor", *FAST)["outcome"] == "provisional"
    manifest = json.loads(next((root / "models").rglob("v1/manifest.json")).read_text(encoding="utf-8"))
    assert "body_share" in manifest["features"]


def test_leaking_plugin_features_are_refused_by_name_and_the_champion_stays(root: Path, ask: Ask) -> None:
    assert ask("--project", root, "retrain", "price_predictor", *FAST)["outcome"] == "provisional"
    plug(root, "leaks.py", LEAKING)
    report = ask("--project", root, "features", "--check", "--feature-set", "basic", code=1)
    assert report["checked"] == 25
    assert {leak["feature"] for leak in report["leaks"]} == LEAKS
    for leak in report["leaks"]:
        assert tuple(leak) == ("feature", "kind", "first_session", "detail")
    done = ask("--project", root, "retrain", "price_predictor", *FAST, "--force", "--reason", "not even so", code=1)
    (family,) = done["families"]
    assert (done["outcome"], family["verdict"], family["reason_code"]) == ("refused", "refused", "leak")
    for name in LEAKS:
        assert name in family["reason"]
    (champion,) = ask("--project", root, "champion")["champions"]
    assert (champion["version"], champion["status"]) == (1, "provisional")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\n", "has no function register(catalog)"),
        ("def register(catalog:\n", "cannot be loaded: SyntaxError"),
        ("def register(catalog):\n    catalog.add(3)\n", "not int"),
    ],
)
def test_broken_plugin_is_one_sentence(source: str, words: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plug(root, "broken.py", source)
    capsys.readouterr()
    assert main(["--project", str(root), "features", "--list"]) == 2
    said = capsys.readouterr().err
    assert 'plugin "' in said
    assert words in said
    assert len(said.splitlines()) == 1


def test_plugin_condition_vetoes_a_cycle_with_its_reason(root: Path, ask: Ask) -> None:
    veto = 'def register(catalog):\n    catalog.add_condition("calm", lambda house, family: "the moon is full")\n'
    plug(root, "veto.py", veto)
    done = ask("--project", root, "retrain", "price_predictor", *FAST)
    assert (done["outcome"], done["families"][0]["reason"]) == ("skipped", "the moon is full")
