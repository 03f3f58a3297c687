from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Ask

from marketloop.cli import main
from marketloop.runtime.project import create_project
from marketloop.runtime.template import record_settings

pytestmark = pytest.mark.xdist_group("commands")


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """Folder of a demonstration that takes the same road with one quick recipe on a part of the sample."""
    settings = {"project.name": "demo", "data.source": "sample", "tracking.enabled": False, "features.set": "basic"}
    made = create_project(tmp_path / "demo", settings=settings)
    quick = {"family.price_predictor.recipes": ["rank_ridge"], "data.start": "2008-01-02"}
    record_settings(made.settings_file, quick)
    return made.root


def test_demo_ends_with_the_champion_and_says_what_the_sample_cannot_feed(
    demo: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    record_settings(demo / "marketloop.toml", {"features.set": "extended"})
    assert main(["demo", "--dir", str(demo)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "champion: price_predictor v1 (provisional)"
    for word in ("VIX", "yield", "sectors", "breadth", "vix_level", "sector_relative_20", "no skill", "MSFT"):
        assert word in said
    again = ask("demo", "--dir", demo)
    assert tuple(again) == ("project", "collect", "quality", "features", "retrain", "predict", "champion")
    assert again["champion"] == "champion: price_predictor v1 (provisional)"
    assert again["retrain"]["outcome"] == "skipped"
    assert again["features"]["unfed"] == [
        *("vix_level", "vix_change_5", "us10y_level", "us10y_change_20", "sector_relative_20", "breadth_10"),
    ]


def test_demo_leaves_another_project_alone(ask: Ask) -> None:
    main(["init", "mine"])
    assert "holds another project" in ask("demo", "--dir", "mine", code=2)["error"]


def test_bench_names_what_exists_and_what_it_takes(ask: Ask) -> None:
    assert 'Did you mean "features"?' in ask("bench", "featurs", code=2)["error"]
    assert "takes no --path" in ask("bench", "skill", "--path", "x.parquet", code=2)["error"]
    assert "name one with --path FILE" in ask("bench", "features", code=2)["error"]


def test_bench_writes_its_document(tmp_path: Path, ask: Ask) -> None:
    said = ask("bench", "startup", "--output", "out/startup.json")
    assert set(said) == {"name", "rows", "seconds", "peak_rss_mb", "figures", "peer"}
    assert json.loads((tmp_path / "out" / "startup.json").read_text(encoding="utf-8")) == said
