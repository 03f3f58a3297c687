"""The tear sheet says what the backtest found, and says it in numbers that can be read without its figures."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluation.builders import panel_of

from marketloop.evaluation.backtest import Backtest, Plan, run_backtest
from marketloop.evaluation.performance import Bounds
from marketloop.evaluation.positions import Rule, Sizing
from marketloop.evaluation.prices import Costs
from marketloop.reports.numbers import interval, money, number, percent
from marketloop.reports.tearsheet import TearSheet, monthly_returns, tear_sheet

Array = NDArray[np.float64]
FIRST = dt.date(2020, 1, 30)


def backtest(drift: float = 0.0, *, short: bool = False, sessions: int = 200) -> Backtest:
    rng = np.random.default_rng(0)
    close = 50 * np.exp(np.cumsum(rng.normal(drift, 0.01, (sessions, 5)), axis=0))
    scores = rng.normal(size=close.shape)
    rule = Rule(np.full(sessions, 0.5), np.full(sessions, -0.5))
    plan = Plan(sizing=Sizing(short=short), costs=Costs(2.0, 3.0, 0.02), capital=1000.0)
    return run_backtest(scores, rule, panel_of(close), plan, rows=(0, sessions - 1), levels={"sp500": close[:, 0]})


def sheet(test: Backtest, *warnings: str) -> TearSheet:
    dates = tuple(FIRST + dt.timedelta(days=i) for i in range(len(test.account.equity)))
    source = {"source": "stream", "detail": "kept as s1", "first": dates[0], "last": dates[-1], "sessions": len(dates)}
    return TearSheet("price_predictor v3 (key)", dates, 5, test, (source,), warnings)


def specs_of(html: str) -> dict[str, dict[str, Any]]:
    (text,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)
    return {spec["name"]: spec for spec in json.loads(text)}


def text_of(html: str) -> str:
    body = html.split("<main>")[1].split("</main>", maxsplit=1)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_tear_sheet_has_the_figures_that_a_reader_expects() -> None:
    test = backtest()
    specs = specs_of(tear_sheet(sheet(test)))
    assert list(specs) == ["equity", "drawdown", "rolling", "distribution", "exposure", "costs"]
    own = specs["equity"]["data"][-1]
    assert own["y"] == pytest.approx(test.account.equity.tolist())
    assert [line["name"] for line in specs["equity"]["data"]] == ["buy and hold", "equal weight", "S&P 500", "account"]
    assert own["x"][0] == "2020-01-30"
    assert sum(specs["distribution"]["data"][0]["y"]) <= 199


def test_tear_sheet_says_how_sure_the_sharpe_ratio_is() -> None:
    words = {
        "includes 0": text_of(tear_sheet(sheet(backtest()))),
        "lies above 0": text_of(tear_sheet(sheet(backtest(0.01)))),
        "lies below 0": text_of(tear_sheet(sheet(backtest(-0.01)))),
        "too few sessions": text_of(tear_sheet(sheet(backtest(sessions=30)))),
    }
    for word, text in words.items():
        assert word in text


def test_tear_sheet_names_its_assumptions_sources_and_warnings() -> None:
    text = text_of(tear_sheet(sheet(backtest(short=True), "no skill is proven")))
    assert "no skill is proven" in text
    assert "kept as s1" in text
    assert "opening price of the next session" in text
    assert "SELL is a short position" in text
    assert "2 bps of the value traded" in text
    assert "2.0 % a year on short positions" in text


def test_tear_sheet_puts_every_figure_beside_the_benchmarks() -> None:
    test = backtest()
    text = text_of(tear_sheet(sheet(test)))
    for performance in (test.performance, *(b.performance for b in test.benchmarks)):
        assert percent(performance.total_return) in text
        assert number(performance.sharpe_ratio) in text
    assert "goal above 1: missed" in text


def test_months_compound_their_sessions() -> None:
    dates = [dt.date(2020, 1, 30), dt.date(2020, 1, 31), dt.date(2020, 2, 3), dt.date(2021, 2, 1)]
    found = monthly_returns(dates, np.array([0.1, 0.1, -0.5, 0.2]))
    assert found == {2020: {1: pytest.approx(0.21), 2: pytest.approx(-0.5)}, 2021: {2: pytest.approx(0.2)}}


def test_a_month_may_lose_everything() -> None:
    assert monthly_returns([dt.date(2020, 1, 30)], np.array([-1.0]))[2020][1] == pytest.approx(-1.0)


def test_numbers_are_written_for_people() -> None:
    assert percent(-0.0512) == "\u22125.1 %"
    assert percent(float("nan")) == number(float("inf")) == "-"
    assert money(-1234.6) == "\u22121,235"
    assert interval(Bounds(0.0, -0.5, 0.5)) == "\u22120.50 to 0.50"
    assert interval(Bounds(0.0, float("nan"), float("nan"))) == "too few sessions"


def test_a_backtest_that_never_bought_still_has_its_sheet() -> None:
    close = np.full((40, 2), 10.0)
    rule = Rule(np.full(40, np.inf), np.full(40, -np.inf))
    test = run_backtest(np.zeros((40, 2)), rule, panel_of(close), Plan(), rows=(0, 39))
    assert "of 0 positions" in text_of(tear_sheet(sheet(test)))
