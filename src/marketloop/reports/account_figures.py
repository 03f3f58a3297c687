"""The figures of a tear sheet: account, drawdown, rolling Sharpe ratio, distribution, exposure, costs."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.evaluation.backtest import Backtest
from marketloop.evaluation.performance import drawdowns, rolling_sharpe
from marketloop.reports.page import Figure

__all__ = ["NAMES", "costs", "distribution", "drawdown", "equity", "exposure", "rolling"]

WINDOW = 126
"""Sessions of the rolling Sharpe ratio."""
TRADING_WINDOW = 21
BINS = 60
NAMES = {"buy_and_hold": "buy and hold", "equal_weight": "equal weight", "sp500": "S&P 500"}
LINES = ("--c2", "--c3", "--c5", "--c4")
Array = NDArray[np.float64]
Dates = Sequence[dt.date]


def _line(dates: Sequence[Any], values: Array, name: str, colour: str, **more: Any) -> dict[str, Any]:
    style = {"color": colour, "width": more.pop("width", 1.5)}
    return {"type": "scatter", "mode": "lines", "x": list(dates), "y": values, "name": name, "line": style, **more}


def equity(dates: Dates, test: Backtest) -> Figure:
    """Return the value of the account beside that of the benchmarks."""
    lines = [
        _line(dates, _level(b.returns, test.plan.capital), NAMES.get(b.name, b.name), colour)
        for b, colour in zip(test.benchmarks, LINES, strict=False)
    ]
    own = _line(dates, test.account.equity, "account", "--c1", width=2.5)
    return Figure(
        "equity",
        "Value of the account",
        [*lines, own],
        {"yaxis": {"tickformat": ",.0f"}},
        "after all costs, beside the same money in the benchmarks (the index without costs and dividends)",
        400,
    )


def _level(returns: Array, capital: float) -> Array:
    return capital * np.concatenate([[1.0], np.cumprod(1 + returns)])


def drawdown(dates: Dates, test: Backtest) -> Figure:
    """Return how far account and benchmarks lie below their highest value so far."""
    own = _line(dates[1:], drawdowns(test.account.returns), "account", "--c1", fill="tozeroy", fillcolor="--c1/0.2")
    lines = [
        _line(dates[1:], drawdowns(b.returns), NAMES.get(b.name, b.name), colour, width=1)
        for b, colour in zip(test.benchmarks, LINES, strict=False)
    ]
    return Figure(
        "drawdown", "Drawdown", [own, *lines], {"yaxis": {"tickformat": ".0%"}}, "below the highest value so far", 260
    )


def rolling(dates: Dates, test: Backtest) -> Figure:
    """Return the Sharpe ratio of the sessions before, along the way."""
    values = rolling_sharpe(test.account.returns, WINDOW)
    return Figure(
        "rolling",
        "Rolling Sharpe ratio",
        [_line(dates[1:], values, f"{WINDOW} sessions", "--c1")],
        {"yaxis": {"tickformat": ".1f", "zeroline": True}, "showlegend": False},
        f"over the {WINDOW} sessions before; half a year is far too short to prove anything by itself",
        240,
    )


def distribution(test: Backtest) -> Figure:
    """Return how many sessions returned how much, beside a normal distribution."""
    account = test.account
    returns = account.returns[(account.gross[1:] > 0) | (account.traded[1:] > 0)]
    counts, edges = np.histogram(returns, bins=BINS)
    middle, deviation = (edges[1:] + edges[:-1]) / 2, float(returns.std()) if len(returns) else 0.0
    bars = {"type": "bar", "x": middle, "y": counts, "name": "sessions", "marker": {"color": "--c1/0.6"}}
    traces = [bars]
    if deviation > 0:
        z = (middle - returns.mean()) / deviation
        normal = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) / deviation * (edges[1] - edges[0]) * len(returns)
        traces.append(_line(middle.tolist(), normal, "normal with the same mean and deviation", "--c2"))
    layout = {"xaxis": {"tickformat": ".1%"}, "bargap": 0.05}
    return Figure(
        "distribution",
        "Returns of the sessions",
        traces,
        layout,
        "how many sessions in which something was held returned how much",
        280,
    )


def exposure(dates: Dates, test: Backtest) -> Figure:
    """Return what was in positions and what was traded, as shares of the account."""
    account = test.account
    lines = [_line(dates, account.gross, "in positions", "--c1")]
    if test.plan.sizing.short:
        lines.append(_line(dates, account.net, "long less short", "--c4"))
    before = account.equity[:-1]
    traded = np.divide(account.traded[1:], before, out=np.zeros(len(before)), where=before > 0)
    lines.append(_line(dates[1:], _trailing_mean(traded, 21), "traded a session (mean of 21)", "--c2"))
    layout = {"yaxis": {"tickformat": ".0%", "rangemode": "tozero"}}
    return Figure("exposure", "Exposure and turnover", lines, layout, "as a share of the account", 280)


def _trailing_mean(values: Array, window: int) -> Array:
    total = np.cumsum(np.concatenate([[0.0], values]))
    first = np.maximum(np.arange(1, len(values) + 1) - window, 0)
    mean: Array = (total[1:] - total[first]) / (np.arange(1, len(values) + 1) - first)
    return mean


def costs(dates: Dates, test: Backtest) -> Figure:
    """Return the money paid so far, by kind."""
    account = test.account
    parts = [
        ("commission", account.traded * account.costs.commission_bps / 10_000, "--c1"),
        ("slippage", account.traded * account.costs.slippage_bps / 10_000, "--c2"),
        ("borrow", account.borrowing, "--c4"),
    ]
    lines = [
        _line(dates, np.cumsum(values), name, colour, stackgroup="costs", width=1)
        for name, values, colour in parts
        if values.any()
    ]
    note = "money paid so far" if lines else "nothing was paid"
    return Figure("costs", "Costs", lines, {"yaxis": {"tickformat": ",.0f", "rangemode": "tozero"}}, note, 240)
