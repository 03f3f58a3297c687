"""``marketloop replay`` on a small project: its document, its page, its words, and wrong use."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Ask, small_project
from tests.cli.test_json_reference import EXAMPLES, differences

from marketloop.cli import main

SPEC_KEYS = {"name", "rank_ic", "brier", "sharpe", "promotions", "refusals", "fit_seconds", "intervals"}
SECTION = "[family.price_predictor]\n"
BASIC = ("--feature-set", "basic")


def ridge_alone(root: Path) -> None:
    """Let the project nominate among one recipe, so that nights are quick."""
    file = root / "marketloop.toml"
    file.write_text(file.read_text().replace(SECTION, SECTION + 'recipes = ["rank_ridge"]\n'))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = small_project(tmp_path_factory.mktemp("lived") / "mine", "tickers=12", "sessions=900", "seed=3")
    ridge_alone(root)
    assert main(["--project", str(root), "collect"]) == 0
    return root


@pytest.fixture(scope="module")
def document(lived: Path) -> dict[str, Any]:
    asked = ("--policy", "never,every:10,drift", "--sessions", "90", "--json")
    with redirect_stdout(io.StringIO()) as said:
        assert main(["--project", str(lived), "replay", *BASIC, *asked]) == 0
    found: dict[str, Any] = json.loads(said.getvalue())
    return found


def test_replay_prints_the_document_of_the_reference(document: dict[str, Any]) -> None:
    assert differences(EXAMPLES["replay"], document) == []
    for policy in document["policies"]:
        assert set(policy) >= SPEC_KEYS
    assert [(p["name"], p["gated"]) for p in document["policies"]] == [
        (name, gated) for gated in (True, False) for name in ("never", "every:10", "drift")
    ]
    assert document["policies"][0]["better_by"] is None
    assert document["sessions"] == 90


def test_replay_counts_what_each_policy_did(document: dict[str, Any]) -> None:
    for policy in document["policies"]:
        done = policy["promotions"] + policy["provisional"] + policy["refusals"]
        assert done == policy["trainings"]
        if not policy["gated"]:
            assert policy["refusals"] == 0
    never, ten = document["policies"][0], document["policies"][1]
    assert never["trainings"] == 1
    assert ten["trainings"] in {9, 10}
    assert ten["fit_seconds"] >= never["fit_seconds"] > 0


def test_replay_records_and_promotes_nothing(lived: Path, document: dict[str, Any], ask: Ask) -> None:
    del document
    assert ask("--project", lived, "models")["models"] == []
    assert ask("--project", lived, "champion")["champions"] == []


def test_page_says_first_whether_the_policies_can_be_told_apart(document: dict[str, Any]) -> None:
    page = Path(document["report"]).read_text()
    assert ("No policy can be told from never" in page) != ("by an interval that leaves 0 out" in page)
    assert "buy and hold (Sharpe" in page
    assert "every:10, no gate" in page
    assert "http-equiv" in page


def test_replay_in_words_names_each_policy(lived: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--policy", "never,every:21", "--sessions", "70", "--gated")
    assert main(["--project", str(lived), "replay", *BASIC, *asked]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in ("never", "every:21", "better than never by", "report: "):
        assert words in said
    assert "no gate" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--policy", "hourly"), 'unknown retraining policy "hourly"'),
        (("--policy", ""), "no retraining policy was named"),
        (("--policy", "never,cron:0 2 * *"), "expected five fields"),
        (("--sessions", "1"), "at least 2 nights"),
        (("--sessions", "30", "--start", "2015-01-05"), "not both"),
        (("--start", "1999-01-05"), "no replay from 1999-01-05"),
        (("--start", "2999-01-05"), "no replay from 2999-01-05"),
        (("--start", "soon"), "soon"),
        (("--commission-bps", "inf"), "commission"),
        (("nobody",), "nobody"),
    ],
)
def test_wrong_use_says_what_is_expected(lived: Path, ask: Ask, arguments: tuple[str, ...], words: str) -> None:
    assert words in ask("--project", lived, "replay", *BASIC, *arguments, code=2)["error"]


def test_history_that_is_too_short_says_so(tmp_path: Path, ask: Ask) -> None:
    root = small_project(tmp_path / "young", "tickers=5", "sessions=420", "seed=3")
    ridge_alone(root)
    assert main(["--project", str(root), "collect"]) == 0
    error = ask("--project", root, "replay", *BASIC, "--policy", "never", code=2)["error"]
    assert "collect" in error
