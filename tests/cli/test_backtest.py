"""``marketloop backtest`` on a small project: its document, its files, its words, and wrong use."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.cli.conftest import Ask, small_project
from tests.cli.test_json_reference import EXAMPLES, differences

from marketloop.cli import main

SPEC_KEYS = {
    "total_return",
    "annual_return",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "win_rate",
    "turnover",
    "exposure",
    "benchmarks",
    "report",
}
BASIC = ("--feature-set", "basic")


@pytest.fixture(scope="session")
def old_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a history long enough for a stream."""
    root = small_project(tmp_path_factory.mktemp("old") / "mine", "tickers=12", "sessions=830", "seed=3")
    assert main(["--project", str(root), "collect"]) == 0
    assert main(["--project", str(root), "retrain", "price_predictor", "--algorithm", "ridge", *BASIC]) == 0
    return root


def test_backtest_prints_the_document_of_the_reference(old_project: Path, ask: Ask, tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    document = ask("--project", old_project, "backtest", *BASIC, "--export-orders", orders)
    assert set(document) >= SPEC_KEYS
    assert differences(EXAMPLES["backtest"], document) == []
    assert Path(document["report"]).parent == old_project / "reports"
    assert Path(document["report"]).is_file()
    assert document["orders"] == str(orders)
    assert len(pl.read_csv(orders)) > 0
    assert document["goals"][0]["name"] == "sharpe_ratio"


def test_flags_reach_the_account(old_project: Path, ask: Ask, tmp_path: Path) -> None:
    whole = ask("--project", old_project, "backtest", *BASIC)
    document = ask(
        *("--project", old_project, "backtest", "price_predictor", "--version", 1, *BASIC),
        *("--start-date", whole["first"], "--end", whole["last"], "--capital", 5000, "--sizing", "volatility"),
        *("--short", "--commission-bps", 0, "--slippage-bps", 2, "--borrow", 0.03, "--fill", "close"),
        *("--rebalance", 5, "--max-weight", 0.5, "--report", tmp_path / "sheet.html"),
    )
    assert document["plan"] == {
        "capital": 5000.0,
        "sizing": "volatility",
        "short": True,
        "max_weight": 0.5,
        "max_gross": 1.0,
        "fill": "close",
        "rebalance": 5,
        "commission_bps": 0.0,
        "slippage_bps": 2.0,
        "borrow": 0.03,
    }
    assert (tmp_path / "sheet.html").is_file()
    assert document["costs"]["commission"] == 0
    assert document["costs"]["borrow"] > 0


def test_backtest_prints_figures_beside_benchmarks_for_people(
    old_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--project", str(old_project), "backtest", *BASIC]) == 0
    said = capsys.readouterr().out
    for word in ("buy and hold", "equal weight", "sharpe_ratio", "95 % interval", "goal sharpe_ratio", "report: "):
        assert word in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--commission-bps", "-1"), "commission_bps = -1.0: expected basis points"),
        (("--slippage-bps", "inf"), "slippage_bps = inf: expected basis points"),
        (("--borrow", "nan"), "borrow = nan: expected a rate per year"),
        (("--capital", "0"), "initial capital 0.0"),
        (
            ("--sizing", "kely"),
            'unknown sizing "kely": expected one of equal, kelly, volatility. Did you mean "kelly"?',
        ),
        (("--fill", "noon"), 'unknown fill "noon"'),
        (("--rebalance", "0"), "rebalance = 0"),
        (("--start", "yesterday"), '--start "yesterday": expected a date'),
        (("--start", "2013-01-02"), "out-of-sample signals exist from"),
        (("--version", "9"), "9"),
    ],
)
def test_wrong_use_is_one_clear_sentence(
    flags: tuple[str, ...], message: str, old_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["--project", str(old_project), "backtest", *BASIC, *flags]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


def test_history_that_is_too_short_says_what_it_takes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["--project", str(project), "backtest", *BASIC]) == 2
    assert "a walk-forward starts after 250 labelled sessions" in capsys.readouterr().err
