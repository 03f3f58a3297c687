"""``marketloop accuracy`` prints figures beside no skill, and says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.loop.journal import LABEL, desk
from tests.loop.ledgers import SLOT

from marketloop.cli import main


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = desk(tmp_path / "project")
    version = made.crown()
    for day in range(60, 140):
        made.say(version, day, [{"class_name": "HOLD", "probability": 0.4, "label": LABEL}] * 12)
    made.collect(139)
    made.house.close()
    return made.house.project.root


def test_accuracy_shows_windows_value_no_skill_and_estimate(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(project), "accuracy", SLOT.family, "--window", "1y"]) == 0
    shown = capsys.readouterr().out
    for word in ("price_predictor", "7d", "30d", "1y", "no skill", "about 0.400", "through 2025-", ".."):
        assert word in shown
    assert "7d: too few sessions for an interval" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["accuracy", "--window", "soon"], 'timeframe "soon"'),
        (["accuracy", "price_prodictor"], 'Did you mean "price_predictor"'),
        (["accuracy", "momentum_ranker"], "has no champion yet"),
    ],
)
def test_accuracy_says_what_is_wrong(
    project: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--project", str(project), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_accuracy_loads_no_library_that_learns(project: Path) -> None:
    script = "import sys; from marketloop.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", script, "--project", str(project), "accuracy", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert not {"sklearn", "xgboost", "lightgbm", "optuna"} & set(run.stdout.split())
