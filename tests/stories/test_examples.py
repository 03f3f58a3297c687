"""The examples run as a user runs them, on small settings, and show what they claim."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def said(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MARKETLOOP_TRACKING__ENABLED": "false", "OMP_WAIT_POLICY": "passive"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def figures(line_of: str, text: str) -> list[float]:
    (line,) = re.findall(rf"^{line_of} +([-\d. ]+)$", text, re.MULTILINE)
    return [float(number) for number in line.split()]


def test_honesty_shows_that_a_random_split_flatters_a_model_that_has_no_skill() -> None:
    text = said("honesty.py", "--trees", "60", "--block", "504")
    split, split_majority, _, split_auc = figures("a random split", text)
    time, time_majority, _, time_auc = figures("time, 90 sessions purged", text)
    walked, walked_majority, _, walked_auc = figures("MarketLoop's walk-forward", text)
    assert split > max(0.8, split_majority + 0.1)
    assert split_auc > 0.9
    assert time < time_majority
    assert walked < walked_majority
    assert max(time, walked) < split - 0.2
    assert max(time_auc, walked_auc) < 0.65
    assert "the gate says provisional" in text


def test_examples_are_short_enough_to_read_at_once() -> None:
    paths = sorted(EXAMPLES.glob("*.py"))
    assert len(paths) >= 2
    for path in paths:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        code = [line for line in lines if line and not line.startswith(("#", '"""', "import ", "from "))]
        assert len(code) < 60, path.name


def test_train_and_predict_finds_the_planted_signal_and_answers() -> None:
    text = said("train_and_predict.py", "--tickers", "30", "--sessions", "760")
    assert "75 features, promoted nothing" in text
    assert "cycle: promoted, because skill shown" in text or "cycle: provisional, because no skill shown yet" in text
    assert re.search(r"^SYN002: (BUY|HOLD|SELL), (BUY|HOLD|SELL) with probability 0\.\d\d$", text, re.MULTILINE)
