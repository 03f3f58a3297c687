"""compare, importance and the report of validate on one small simulated project."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Ask, small_project
from tests.cli.test_json_reference import EXAMPLES, differences

from marketloop.cli import main

pytestmark = pytest.mark.xdist_group("commands")

FAST = ("--algorithm", "ridge", "--feature-set", "basic")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two versions; the newest half year came after both."""
    root = small_project(
        tmp_path_factory.mktemp("two") / "mine", "tickers=30", "sessions=700", "seed=3", "start=2013-01-02"
    )
    project = ("--project", str(root))
    assert main([*project, "collect", "--end", "2015-04-01"]) == 0
    for penalty in ("1.5", "60"):
        assert main([*project, "train", "price_predictor", *FAST, "--set", f"penalty={penalty}"]) == 0
    assert main([*project, "collect", "--end", "2015-09-30"]) == 0
    return root


def test_compare_prints_what_the_reference_says(two: Path, ask: Ask) -> None:
    found = ask("--project", two, "compare", "price_predictor", "1", "2")
    assert differences(EXAMPLES["compare"], found) == []
    assert tuple(found)[:4] == ("a", "b", "differences", "recommendation")
    for difference in found["differences"]:
        assert tuple(difference) == ("metric", "a", "b", "difference", "interval", "sessions")
    assert {"accuracy", "rank_ic", "sharpe_ratio", "max_drawdown"} <= {d["metric"] for d in found["differences"]}
    assert found["basis"]["kind"] == "versions"
    assert ask("--project", two, "compare", "v1", "v2") == found


def test_compare_shows_both_sides_and_an_advice(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(two), "compare", "1", "2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in ("price_predictor: v1 and v2", "v2 less v1", "Sharpe ratio a year", "recommendation: "):
        assert words in said


def test_feature_sets_are_compared_as_the_reference_says(two: Path, ask: Ask) -> None:
    found = ask("--project", two, "compare", "--feature-sets", "legacy,basic")
    assert differences(EXAMPLES["compare --feature-sets"], found) == []
    assert (found["a"]["features"], found["b"]["features"]) == (9, 20)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "expected two versions"),
        (("1",), "expected two versions"),
        (("1", "1"), "cannot be compared with itself"),
        (("1", "9"), "known are 1, 2"),
        (("1", "two"), "expected a whole number from 1"),
        (("0", "1"), "expected a whole number from 1"),
        (("price_predicto", "1", "2"), 'Did you mean "price_predictor"?'),
        (("--feature-sets", "basic"), "expected two different sets"),
        (("--feature-sets", "basic,legcy"), 'Did you mean "legacy"?'),
        (("--feature-sets", "basic,legacy", "1", "2"), "at most the name of a family"),
        (("--feature-sets", "basic,legacy", "regime_classifier"), "no feature set"),
    ],
)
def test_wrong_use_of_compare_is_said_in_one_sentence(
    arguments: tuple[str, ...], words: str, two: Path, ask: Ask
) -> None:
    assert words in ask("--project", two, "compare", *arguments, code=2)["error"]


def test_importance_prints_shares_and_units(two: Path, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    found = ask("--project", two, "importance", "price_predictor", "--version", "1", "--top", "3")
    assert differences(EXAMPLES["importance"], found) == []
    assert len(found["features"]) == 3
    assert set(found["units"]) == {"share", "contribution", "permutation"}
    assert main(["--project", str(two), "importance", "--version", "1"]) == 0
    assert "the top five hold" in capsys.readouterr().out


def test_validate_writes_the_report_where_it_is_told(two: Path, ask: Ask, tmp_path: Path) -> None:
    found = ask("--project", two, "validate", "--version", "1", "--report")
    assert differences(EXAMPLES["validate --report"], found) == []
    assert Path(found["report"]) == two / "reports" / "price_predictor_v1.html"
    assert Path(found["report"]).stat().st_size > 100_000
    named = ask("--project", two, "validate", "--version", "2", "--output", "mine.html")
    assert Path(named["report"]) == tmp_path / "mine.html"
    assert "report" not in ask("--project", two, "validate", "--version", "1")


def test_report_of_a_damaged_version_is_refused_and_nothing_is_written(two: Path, ask: Ask, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(two, tmp_path / "broken"))
    (part,) = (broken / "models" / "registry").rglob("v1/ridge.json")
    part.write_text("{}")
    shutil.rmtree(broken / "reports", ignore_errors=True)
    said = ask("--project", broken, "validate", "--version", "1", "--report", code=3)
    assert "ridge.json" in said["error"]
    assert not list((broken / "reports").glob("*.html"))
