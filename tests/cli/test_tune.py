"""tune, and train --tune, on a small simulated project."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Ask

from marketloop.cli import main

pytestmark = pytest.mark.xdist_group("commands")

FAST = ("--algorithm", "ridge", "--feature-set", "basic")


@pytest.fixture
def copy(project: Path, tmp_path: Path) -> Path:
    """Return a copy of the shared project, to change."""
    return Path(shutil.copytree(project, tmp_path / "copy"))


def test_tune_shows_what_it_found_and_how_much_of_it_is_luck(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(copy), "tune", "price_predictor", *FAST, "--n-trials", "4"]) == 0
    said = capsys.readouterr().out
    assert "price_predictor: rank_ridge tuned on" in said
    assert "4 complete" in said
    assert "with its own settings" in said
    assert "deflated Sharpe" in said
    assert "trained nothing; next: marketloop train price_predictor" in said
    view = json.loads((copy / "models" / "best_hyperparameters.json").read_text())
    assert view["price_predictor"]["trials"] == 4


def test_train_tunes_first(copy: Path, ask: Ask) -> None:
    settings = copy / "marketloop.toml"
    settings.write_text(settings.read_text() + "\n[family.price_predictor.space]\npenalty = [2.0, 2.9]\n")
    before = max(row["version"] for row in ask("--project", copy, "models")["models"])
    made = ask("--project", copy, "train", "price_predictor", *FAST, "--tune", "--n-trials", "3")
    tuning = made["tuning"]
    assert sum(tuning["trials"].values()) == 3
    assert 2.0 <= tuning["params"]["penalty"] <= 2.9
    assert made["version"] == before + 1
    assert "tuning" not in ask("--project", copy, "train", "price_predictor", *FAST)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("tune", "price_predicto"), 'Did you mean "price_predictor"?'),
        (("tune", "price_predictor", "--objective", "log_los"), 'Did you mean "log_loss"?'),
        (("tune", "price_predictor", "--algorithm", "xgbost"), 'Did you mean "xgboost"?'),
        (("tune", "price_predictor", "--n-trials", "0"), "expected at least 1"),
        (("tune", "price_predictor", "--timeout", "0"), "expected a number of seconds above 0"),
        (("tune", "price_predictor", "--workers", "0"), "expected at least 1 process"),
        (("train", "price_predictor", "--n-trials", "5"), "--n-trials says how long to tune: add --tune"),
        (("train", "price_predictor", "--timeout", "5"), "--timeout says how long to tune: add --tune"),
        (("train", "price_predictor", *FAST, "--set", "penalty=3", "--tune"), "--tune searches what --set fixes"),
    ],
)
def test_wrong_use_is_said_and_changes_nothing(
    flags: tuple[str, ...], words: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--project", str(project), *flags]) == 2
    assert words in capsys.readouterr().err
