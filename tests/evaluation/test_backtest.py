"""A backtest earns what its orders earn, knows its benchmarks, and never uses what came later."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluation.builders import panel_of

from marketloop.core.errors import UsageError
from marketloop.evaluation.account import simulate
from marketloop.evaluation.backtest import Backtest, Plan, orders_of, run_backtest
from marketloop.evaluation.performance import performance_of
from marketloop.evaluation.positions import Rule, Sizing, trailing_rule
from marketloop.evaluation.prices import Costs, Prices
from marketloop.labels import Panel

Array = NDArray[np.float64]
FREE = Costs(0.0, 0.0, 0.0)


def small_market(seed: int = 0, sessions: int = 180, tickers: int = 8) -> tuple[Panel, Array]:
    """A panel with opens, gaps and a ticker that stops, and scores without meaning."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (sessions, tickers)), axis=0))
    close[rng.random(close.shape) < 0.02] = np.nan
    close[150:, 2] = np.nan
    panel = panel_of(close)
    opens = panel.close * np.exp(rng.normal(0, 0.005, close.shape))
    scores = np.where(np.isfinite(close), rng.normal(size=close.shape), np.nan)
    return dataclasses.replace(panel, open=opens), scores


def backtest(plan: Plan) -> Backtest:
    panel, scores = small_market()
    return run_backtest(scores, trailing_rule(scores, np.arange(180) // 21), panel, plan, rows=(40, 179))


@pytest.mark.parametrize("method", ["equal", "volatility", "kelly"])
@pytest.mark.parametrize("short", [False, True])
def test_account_is_what_its_orders_make_of_the_capital(method: str, short: bool) -> None:
    costs = Costs(commission_bps=3.0, slippage_bps=7.0, borrow=0.0)
    test = backtest(Plan(sizing=Sizing(method, short=short), costs=costs, capital=5000.0))
    orders = orders_of(test)
    cash, held = 5000.0, dict.fromkeys(range(8), 0.0)
    for order in orders.iter_rows(named=True):
        sign = 1 if order["side"] == "BUY" else -1
        held[order["ticker"]] += sign * order["quantity"]
        cash -= sign * order["value"] + order["commission"] + order["slippage"]
    last = test.account.prices.mark[-1]
    assert len(orders) > 20
    assert cash + sum(count * last[i] for i, count in held.items()) == pytest.approx(test.account.equity[-1])
    assert orders["commission"].sum() == pytest.approx(test.paid()["commission"])
    assert orders["slippage"].sum() == pytest.approx(test.paid()["slippage"])


def test_orders_say_what_was_wanted_and_why() -> None:
    orders = orders_of(backtest(Plan(sizing=Sizing(max_weight=0.5))))
    assert orders.columns == [
        "row",
        "ticker",
        "side",
        "quantity",
        "price",
        "value",
        "commission",
        "slippage",
        "weight",
        "reason",
    ]
    assert orders["row"].is_sorted()
    assert set(orders["reason"]) <= {"signal", "stopped"}
    assert (orders.filter(orders["reason"] == "stopped")["weight"] == 0).all()
    assert orders["quantity"].min() > 0  # type: ignore[operator]


def test_a_position_in_a_ticker_that_stops_is_closed_and_says_so() -> None:
    close = np.full((30, 3), 10.0)
    close[20:, 0] = np.nan
    panel = panel_of(close)
    scores = np.tile([1.0, 0.0, 0.0], (30, 1))
    rule = Rule(np.full(30, 0.5), np.full(30, -0.5))
    orders = orders_of(run_backtest(scores, rule, panel, Plan(costs=FREE), rows=(10, 29)))
    assert orders.select("row", "ticker", "side", "reason").rows() == [
        (1, 0, "BUY", "signal"),
        (10, 0, "SELL", "stopped"),
    ]


def test_a_gap_at_the_end_of_the_period_is_no_end_of_trading() -> None:
    close = np.full((30, 2), 10.0)
    close[20:25, 0] = np.nan
    panel, scores = panel_of(close), np.tile([1.0, 0.0], (30, 1))
    rule = Rule(np.full(30, 0.5), np.full(30, -0.5))
    orders = orders_of(run_backtest(scores, rule, panel, Plan(costs=FREE), rows=(10, 22)))
    assert orders["reason"].to_list() == ["signal"]


def test_signals_that_know_the_next_session_earn_and_those_that_know_this_one_do_not() -> None:
    rng = np.random.default_rng(4)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (300, 20)), axis=0))
    panel = panel_of(close)
    rule = Rule(np.full(300, 0.0), np.full(300, 0.0))
    plan = Plan(costs=FREE, fill="close", sizing=Sizing(short=True, max_weight=1.0))
    tomorrow = np.vstack([panel.returns[2:], np.full((2, 20), np.nan)])
    knows = run_backtest(tomorrow, rule, panel, plan, rows=(1, 297))
    late = run_backtest(panel.returns, rule, panel, plan, rows=(1, 299))
    next_one = run_backtest(np.vstack([panel.returns[1:], np.full((1, 20), np.nan)]), rule, panel, plan, rows=(1, 298))
    assert knows.performance.sharpe_ratio > 20
    assert abs(late.performance.sharpe_ratio) < 3
    assert abs(next_one.performance.sharpe_ratio) < 3  # the session in which the order is filled is not earned


def test_longer_data_and_a_later_end_change_nothing_before() -> None:
    panel, scores = small_market(3)
    rule = trailing_rule(scores, np.arange(180) // 21)
    plan = Plan(sizing=Sizing("kelly", short=True))
    whole = run_backtest(scores, rule, panel, plan, rows=(40, 179))
    early = run_backtest(scores, rule, panel, plan, rows=(40, 130))
    assert early.account.equity == pytest.approx(whole.account.equity[:91], rel=1e-12)


def test_benchmarks_are_plain_accounts_of_the_same_market_and_costs() -> None:
    plan = Plan(costs=Costs(2.0, 8.0, 0.0), capital=1000.0)
    panel, _ = small_market()
    test = backtest(plan)
    found = {b.name: b for b in test.benchmarks}
    prices = Prices.of(panel.close[40:], panel.open[40:] if panel.open is not None else None)
    known = np.isfinite(panel.close[40:])
    daily = simulate(prices, np.where(known, 1 / known.sum(axis=1, keepdims=True), np.nan), costs=plan.costs)
    assert found["equal_weight"].returns == pytest.approx(daily.returns)
    assert set(found) == {"buy_and_hold", "equal_weight"}
    bought = np.flatnonzero(known[0] & known[1])
    fill = prices.price[1, bought]
    units = 1000.0 / len(bought) / 1.001 / fill
    expected = float((units * prices.mark[100, bought]).sum())
    growth = np.prod(1 + found["buy_and_hold"].returns[:100])
    assert growth == pytest.approx(expected / 1000.0)


def test_index_is_bought_at_the_first_close_and_left_out_when_it_is_not_known_there() -> None:
    panel, scores = small_market()
    rule = trailing_rule(scores, np.arange(180) // 21)
    level = np.linspace(100.0, 150.0, 180)
    level[60] = np.nan
    late = np.where(np.arange(180) < 50, np.nan, level)
    test = run_backtest(scores, rule, panel, Plan(), rows=(40, 179), levels={"sp500": level, "other": late})
    found = {b.name: b for b in test.benchmarks}
    assert "other" not in found
    assert found["sp500"].performance.total_return == pytest.approx(150.0 / level[40] - 1)
    assert found["sp500"].returns[19] == 0.0


def test_figures_are_those_of_the_returns_and_of_the_positions() -> None:
    test = backtest(Plan(sizing=Sizing(short=True, max_weight=1.0), costs=Costs(5.0, 5.0, 0.05)))
    figures, account = test.figures(), test.account
    assert figures["sharpe_ratio"] == performance_of(account.returns).sharpe_ratio
    assert figures["win_rate"] == pytest.approx(np.mean(test.positions.gain > 0))
    assert figures["positions"] == len(test.positions)
    assert 0 < figures["exposure"] <= 1 + 1e-9
    assert abs(figures["net_exposure"]) <= figures["exposure"]
    assert figures["turnover"] == pytest.approx(252 / 2 * np.mean(account.traded[1:] / account.equity[:-1]))
    paid = test.paid()
    assert paid["borrow"] > 0
    assert test.positions.gain.sum() == pytest.approx(account.equity[-1] - 100_000.0)
    assert figures["final_equity"] == account.equity[-1]


def test_goals_are_flags() -> None:
    test = backtest(Plan())
    better = dataclasses.replace(test.performance, sharpe_ratio=1.01, max_drawdown=-0.15)
    worse = dataclasses.replace(test.performance, sharpe_ratio=math.nan, max_drawdown=-0.1501)
    assert dataclasses.replace(test, performance=better).goals() == {"sharpe_ratio": True, "max_drawdown": True}
    assert dataclasses.replace(test, performance=worse).goals() == {"sharpe_ratio": False, "max_drawdown": False}


def test_nothing_that_is_ever_bought_leaves_the_capital_as_it_was() -> None:
    panel, scores = small_market()
    test = run_backtest(scores, Rule(np.full(180, np.inf), np.full(180, -np.inf)), panel, Plan(), rows=(0, 179))
    figures = test.figures()
    assert figures["total_return"] == 0
    assert math.isnan(figures["win_rate"])
    assert math.isnan(figures["sharpe_ratio"])
    assert orders_of(test).is_empty()


@pytest.mark.parametrize("rows", [(10, 10), (20, 10), (0, 180)])
def test_a_period_needs_two_sessions_of_the_panel(rows: tuple[int, int]) -> None:
    panel, scores = small_market()
    with pytest.raises(UsageError, match="expected at least two"):
        run_backtest(scores, Rule(np.zeros(180), np.zeros(180)), panel, Plan(), rows=rows)
