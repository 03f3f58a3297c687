"""``marketloop regime``, and the other commands on the family that says one thing of a whole session."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Ask, small_project
from tests.cli.test_json_reference import EXAMPLES, differences

from marketloop.cli import main

pytestmark = pytest.mark.xdist_group("regime")

QUICK = ("--algorithm", "random_forest", "--set", "n_estimators=8")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project with a provisional regime champion."""
    root = small_project(tmp_path_factory.mktemp("regime") / "mine", "tickers=3", "sessions=900", "seed=3")
    assert main(["--project", str(root), "collect"]) == 0
    assert main(["--project", str(root), "retrain", "regime_classifier", *QUICK]) == 0
    return root


def test_regime_shows_each_probability_beside_that_of_no_skill(market: Path, ask: Ask) -> None:
    document = ask("--project", market, "regime")
    assert differences(EXAMPLES["regime"], document) == []
    assert sum(document["probabilities"].values()) == pytest.approx(1)
    assert sum(document["no_skill"].values()) == pytest.approx(1)
    assert document["signal"] == "HOLD"
    assert document["provisional"] is True


def test_regime_says_it_for_people_too(market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(market), "regime", "--lookback", "60"]) == 0
    said = capsys.readouterr().out
    for text in ("no skill says", "Risk-Off", "last known regime", "the champion is provisional", "--lookback 60"):
        assert text in said


def test_other_commands_know_the_family(market: Path, ask: Ask) -> None:
    (answer,) = ask("--project", market, "predict", "--family", "regime_classifier")["predictions"]
    assert (answer["ticker"], answer["family"]) == ("MARKET", "regime_classifier")
    (model,) = ask("--project", market, "models", "regime_classifier")["models"]
    assert model["baseline"]["accuracy"] is not None
    (champion,) = ask("--project", market, "champion", "regime_classifier")["champions"]
    assert champion["status"] == "provisional"
    families = {family["family"]: family for family in ask("--project", market, "status")["families"]}
    assert families["regime_classifier"]["champion"] == 1
    features = ask("--project", market, "validate", "regime_classifier")["features"]
    assert all(feature["permutation"] is None or isinstance(feature["permutation"], float) for feature in features)


def test_train_takes_a_lookback_and_only_for_this_family(market: Path, ask: Ask) -> None:
    made = ask("--project", market, "train", "regime_classifier", "--lookback", "45", *QUICK)
    assert "spx_tstat_45" in made["features"]
    assert made["tickers"] == 1
    refused = ask("--project", market, "train", "price_predictor", "--lookback", "45", code=2)
    assert "price_predictor reads the bars of tickers" in refused["error"]


def test_project_without_a_champion_of_the_regime_names_the_command(tmp_path: Path, ask: Ask) -> None:
    root = small_project(tmp_path / "new")
    assert main(["--project", str(root), "collect"]) == 0
    said = ask("--project", root, "regime", code=2)
    assert "run `marketloop retrain regime_classifier`" in said["error"]
