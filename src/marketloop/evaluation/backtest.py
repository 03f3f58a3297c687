"""What the scores of a model would have earned: positions by its signals, costs paid, benchmarks beside it.

Scores known at the close of a session become orders of the *next* session; see `account` for fills, `positions` for
sizes and `performance` for figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.evaluation.account import Account, Positions, simulate
from marketloop.evaluation.performance import (
    YEAR,
    Bounds,
    Performance,
    excess_return,
    performance_of,
    sharpe_interval,
)
from marketloop.evaluation.positions import Rule, Sizing, buy_and_hold, equal_weight, target_weights
from marketloop.evaluation.prices import Costs, Prices
from marketloop.labels import Panel

__all__ = ["GOALS", "Backtest", "Benchmark", "Plan", "orders_of", "run_backtest"]

GOALS: Mapping[str, float] = {"sharpe_ratio": 1.0, "max_drawdown": -0.15}
"""What a user may hope for; flags, never checks."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """How scores are traded.

    Parameters
    ----------
    sizing : Sizing
    costs : Costs
    fill : str
        ``open`` or ``close`` of the session after the decision.
    rebalance : int
        Sessions from one decision to the next.
    capital : float
        Money at the beginning.
    """

    sizing: Sizing = field(default_factory=Sizing)
    costs: Costs = field(default_factory=Costs)
    fill: str = "open"
    rebalance: int = 1
    capital: float = 100_000.0


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What needed no model: its returns on the same sessions, and by how much the account was better per year."""

    name: str
    returns: Array
    performance: Performance
    sharpe: Bounds
    excess: Bounds


@dataclass(frozen=True, slots=True)
class Backtest:
    """The course of an account that followed a model, with its figures.

    Row 0 is the first session that decides, with the capital still in cash; the first return is that of row 1.
    """

    plan: Plan
    account: Account
    targets: Array
    performance: Performance
    sharpe: Bounds
    positions: Positions
    benchmarks: tuple[Benchmark, ...]

    def figures(self) -> dict[str, float]:
        """Return all figures of the account by name; NaN where one cannot be computed.

        `win_rate` is the share of positions that gained money after costs; `turnover` the value traded per year, a
        purchase and its sale counting once, over the equity; `exposure` and `net_exposure` the mean share of the
        equity in positions, by size and by sign; `costs_per_year` what trading and borrowing took, over the equity.
        """
        account = self.account
        before = account.equity[:-1]
        alive = before > 0
        traded = np.divide(account.traded[1:], before, out=np.zeros(len(before)), where=alive)
        borrowed = np.divide(account.borrowing[1:], before, out=np.zeros(len(before)), where=alive)
        gain = self.positions.gain
        return {
            **self.performance.figures(),
            "win_rate": float(np.mean(gain > 0)) if len(gain) else math.nan,
            "turnover": float(traded.mean()) * YEAR / 2,
            "exposure": float(account.gross[1:].mean()),
            "net_exposure": float(account.net[1:].mean()),
            "costs_per_year": float((account.costs.rate * traded + borrowed).mean()) * YEAR,
            "positions": float(len(gain)),
            "final_equity": float(account.equity[-1]),
        }

    def paid(self) -> dict[str, float]:
        """Return the money that went to commissions, slippage and borrowing."""
        traded, costs = float(self.account.traded.sum()), self.account.costs
        return {
            "commission": traded * costs.commission_bps / 10_000,
            "slippage": traded * costs.slippage_bps / 10_000,
            "borrow": float(self.account.borrowing.sum()),
        }

    def goals(self) -> dict[str, bool]:
        """Say which of the goals the account reached: Sharpe ratio above 1, drawdown of at most 15 %."""
        own = self.performance
        return {
            "sharpe_ratio": own.sharpe_ratio > GOALS["sharpe_ratio"],
            "max_drawdown": own.max_drawdown >= GOALS["max_drawdown"],
        }


def run_backtest(
    scores: Array,
    rule: Rule,
    panel: Panel,
    plan: Plan,
    *,
    rows: tuple[int, int],
    levels: Mapping[str, Array] | None = None,
) -> Backtest:
    """Trade `scores` on the sessions ``rows[0]..rows[1]`` of `panel`, both included.

    Parameters
    ----------
    scores : float64 (T, N)
        Directional score of each ticker at the close of each session of `panel`; NaN where there is none. Rows before
        the period teach `kelly` what a score was worth, and are not traded.
    rule : Rule
        From which score on a ticker is a BUY or a SELL, per session.
    panel : Panel
    plan : Plan
    rows : pair of int
        First session that decides and last session that is marked.
    levels : mapping of name to float64 (T,), optional
        Indices to show beside the account, bought at the first close without costs and held.

    Raises
    ------
    UsageError
        The period has fewer than two sessions, or a price is not positive.
    """
    first, last = rows
    if not 0 <= first < last < len(panel.close):
        raise UsageError(
            f"a backtest of {max(last - first + 1, 0)} session(s): expected at least two, one to decide and one to fill"
        )
    end = last + 1
    part = slice(first, end)
    targets = target_weights(scores[:end], rule.until(end), panel.vol[:end], panel.returns[:end], plan.sizing)[first:]
    opens = None if panel.open is None else panel.open[part]
    continues = np.asarray(np.isfinite(panel.close[end:]).any(axis=0))
    prices = Prices.of(panel.close[part], opens, fill=plan.fill, continues=continues)
    account = simulate(
        prices,
        targets,
        costs=plan.costs,
        capital=plan.capital,
        rebalance=plan.rebalance,
        max_gross=plan.sizing.max_gross,
    )
    returns = account.returns
    return Backtest(
        plan=plan,
        account=account,
        targets=targets,
        performance=performance_of(returns),
        sharpe=sharpe_interval(returns),
        positions=account.positions(),
        benchmarks=_benchmarks(prices, plan, returns, {name: level[part] for name, level in (levels or {}).items()}),
    )


def orders_of(backtest: Backtest) -> pl.DataFrame:
    """Return every fill of the account, in order of time.

    Returns
    -------
    frame ``row, ticker, side, quantity, price, value, commission, slippage, weight, reason``
        `row` counts sessions of the period and `ticker` columns of the panel, both from 0. `side` is BUY or SELL,
        `quantity` above 0 in (fractional, adjusted) shares, `price` the fill before slippage, `weight` the share of
        the equity that was wanted, `reason` ``signal``, or ``stopped`` where the ticker has no further bar.
    """
    account, costs = backtest.account, backtest.plan.costs
    fills, prices = account.fills, account.prices
    row, ticker = np.nonzero(fills)
    quantity, price = fills[row, ticker], prices.price[row, ticker]
    value = np.abs(quantity) * price
    stopped = prices.ends[ticker] == row
    return pl.DataFrame(
        {
            "row": row,
            "ticker": ticker,
            "side": np.where(quantity > 0, "BUY", "SELL").tolist(),
            "quantity": np.abs(quantity),
            "price": price,
            "value": value,
            "commission": value * costs.commission_bps / 10_000,
            "slippage": value * costs.slippage_bps / 10_000,
            "weight": np.where(stopped, 0.0, backtest.targets[row - 1, ticker]),
            "reason": np.where(stopped, "stopped", "signal").tolist(),
        }
    )


def _benchmarks(prices: Prices, plan: Plan, returns: Array, levels: Mapping[str, Array]) -> tuple[Benchmark, ...]:
    """Follow the benchmarks: the universe bought once, the universe kept at equal weights, and indices."""
    courses = {"buy_and_hold": buy_and_hold(prices.bars), "equal_weight": equal_weight(prices.bars)}
    series = {
        name: simulate(prices, targets, costs=plan.costs, capital=plan.capital).returns
        for name, targets in courses.items()
    }
    for name, level in levels.items():
        if math.isfinite(level[0]):
            known = level[np.maximum.accumulate(np.where(np.isfinite(level), np.arange(len(level)), 0))]
            series[name] = known[1:] / known[:-1] - 1
    return tuple(
        Benchmark(name, own, performance_of(own), sharpe_interval(own), excess_return(returns, own))
        for name, own in series.items()
    )
