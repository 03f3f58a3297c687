"""An account that follows target weights: orders of one close are filled in the next session, and everything is paid.

    close of t-1            session t                                close of t
    weights are decided --> orders are filled at the fill price  --> positions are marked, borrowing is charged

Nothing is ever filled at the close that decided it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.core.values import BoolArray
from marketloop.evaluation.performance import YEAR
from marketloop.evaluation.prices import Costs, Prices

__all__ = ["Account", "Positions", "simulate"]

MOST_STEPS, PRECISION = 60, 1e-14
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Positions:
    """Positions from the fill that opened them to the one that closed or turned them, or to the end; k of them.

    `gain` is money after costs; together it is what the account gained, as long as the account is not ruined.
    """

    ticker: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    side: NDArray[np.int8]
    gain: Array

    def __len__(self) -> int:
        return len(self.gain)


@dataclass(frozen=True, slots=True)
class Account:
    """The course of an account, one row per session.

    Parameters
    ----------
    equity, cash : float64 (T,)
        Value at the close after all costs, and the part of it that is not in positions. From the row in which the
        equity reaches 0 on (only borrowed positions can do that) the account is closed.
    units : float64 (T, N)
        Shares held at the close, negative when short; fractions are allowed.
    traded, borrowing : float64 (T,)
        Value bought plus value sold in the session, and what borrowing cost at its close.
    prices : Prices
    costs : Costs
    """

    equity: Array
    cash: Array
    units: Array
    traded: Array
    borrowing: Array
    prices: Prices
    costs: Costs

    @property
    def returns(self) -> Array:
        """Simple return of each session after the first, float64 (T-1,); 0 once the account is closed."""
        before = self.equity[:-1]
        return np.divide(self.equity[1:], before, out=np.ones(len(before)), where=before > 0) - 1

    @property
    def gross(self) -> Array:
        """Size of all positions as a share of the equity at the close, float64 (T,); 0 once the account is closed."""
        value: Array = np.einsum("tn,tn->t", np.abs(self.units), self.prices.mark)
        return np.divide(value, self.equity, out=np.zeros_like(value), where=self.equity > 0)

    @property
    def net(self) -> Array:
        """Value of long less short positions as a share of the equity at the close, float64 (T,)."""
        return np.divide(self.equity - self.cash, self.equity, out=np.zeros_like(self.equity), where=self.equity > 0)

    @property
    def fills(self) -> Array:
        """Shares bought (above 0) or sold (below) in each session, float64 (T, N)."""
        change = np.diff(self.units, axis=0, prepend=0.0)
        change[self.equity <= 0] = 0.0
        return change

    def positions(self) -> Positions:
        """Return what each position earned from its first purchase to its last sale, after its own costs."""
        side = np.sign(self.units).astype(np.int8)
        before = np.vstack([np.zeros_like(side[:1]), side[:-1]])
        begins = (side != 0) & (side != before)
        now = np.nonzero((side != 0) | (before != 0))  # along the rows, as the arrays lie in memory
        then = (now[0] - 1, now[1])
        # Positions are numbered ticker by ticker, in order of time.
        first = np.cumsum(np.concatenate([[0], begins.sum(axis=0)[:-1]]))
        number = (np.cumsum(begins, axis=0, dtype=np.int32) - 1 + first)[now]
        held, kept, price = self.units[then], self.units[now], self.prices.price[now]
        mark, rate, turns = self.prices.mark, self.costs.rate, side[now] * before[now] < 0
        value = kept * mark[now]
        old = held * (price - mark[then])
        new = value - kept * price + self.costs.borrow / YEAR * np.minimum(value, 0.0)
        paid_old = np.where(turns, np.abs(held), 0.0)
        paid_new = np.where(turns, np.abs(kept), np.abs(kept - held))
        count = int(begins.sum())
        earned: Array = np.bincount(number - turns, old - rate * paid_old * price, count).astype(np.float64)
        earned += np.bincount(number, new - rate * paid_new * price, count)
        last = np.zeros(count, dtype=np.intp)
        last[number - turns] = now[0]  # rows rise, so the last one stays
        last[number] = np.maximum(last[number], now[0])
        ticker, row = np.nonzero(begins.T)
        return Positions(ticker, row, last, side[row, ticker], earned)


def simulate(
    prices: Prices,
    targets: Array,
    *,
    costs: Costs | None = None,
    capital: float = 100_000.0,
    rebalance: int = 1,
    max_gross: float = 1.0,
) -> Account:
    """Let an account of `capital` follow `targets`.

    Parameters
    ----------
    prices : Prices
    targets : float64 (T, N)
        Weight of each ticker wanted at the close of each session, negative for short, NaN for no order. A position
        whose ticker lacks its bar at the decision or at the fill is not traded and keeps its units.
    costs : Costs, optional
    capital : float
        Equity at the close of row 0, the first that decides; row 1 is the first with a fill.
    rebalance : int
        Sessions from one decision to the next, counted from the first row with a target.
    max_gross : float
        Most that long and short positions together may be of the equity after a fill. Where positions that cannot be
        traded leave less room than the targets want, all targets shrink alike.

    Returns
    -------
    Account
        After a fill each traded position is exactly its target share of the equity that is left after paying for the
        trade. Between fills units stay and weights drift. Cash earns nothing; at the end positions are marked, not
        sold.

    Raises
    ------
    UsageError
        The capital is not positive, or `rebalance` is below 1.
    """
    if isinstance(capital, bool) or not isinstance(capital, int | float) or not 0 < capital < math.inf:
        raise UsageError(f"initial capital {capital!r}: expected an amount of money above 0")
    if rebalance < 1:
        raise UsageError(f"rebalance = {rebalance}: expected at least 1 session")
    course = _Course(prices, costs or Costs(), float(capital))
    free, goal = _orders(prices, targets, rebalance)
    course.follow(_Plan(goal, free, _stuck_rows(free, prices), max_gross, short=bool((goal < 0).any())))
    return course.account()


def _orders(prices: Prices, targets: Array, rebalance: int) -> tuple[BoolArray, Array]:
    """Return which positions may be traded in each session, and the weight that each is to have then."""
    known, wanted = prices.bars, np.isfinite(targets)
    decides = np.asarray(wanted.any(axis=1))
    rows = np.flatnonzero(decides)
    if rebalance > 1 and len(rows):
        decides = decides & ((np.arange(len(decides)) - rows[0]) % rebalance == 0)
    free = np.zeros(targets.shape, dtype=bool)
    free[1:] = decides[:-1, None] & wanted[:-1] & known[:-1] & known[1:]
    goal = np.zeros(targets.shape)
    np.copyto(goal[1:], targets[:-1], where=free[1:])
    stopped = np.flatnonzero(prices.ends < len(free))
    free[prices.ends[stopped], stopped] = True
    return free, goal


def _stuck_rows(free: BoolArray, prices: Prices) -> BoolArray:
    """Return in which rows a position that was traded before may have to stay."""
    ever = np.logical_or.accumulate(free, axis=0)
    over = np.arange(len(free))[:, None] > prices.ends
    return np.asarray((ever & ~free & ~over).any(axis=1))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done in each row: which positions may be traded, and to what weights."""

    goal: Array
    free: BoolArray
    stuck: BoolArray
    max_gross: float
    short: bool


class _Course:
    """The account while it runs; a row of all tickers is one step."""

    def __init__(self, prices: Prices, costs: Costs, capital: float) -> None:
        rows, count = prices.mark.shape
        self.prices, self.costs = prices, costs
        self.held: Array = np.zeros(count)
        self.money = capital
        self.equity, self.cash = np.full(rows, capital), np.full(rows, capital)
        self.units = np.zeros((rows, count))
        self.traded, self.borrowing = np.zeros(rows), np.zeros(rows)

    def follow(self, plan: _Plan) -> None:
        """Run the whole course; from the row in which the equity is used up on everything is 0."""
        size, net = np.abs(plan.goal).sum(axis=1).tolist(), plan.goal.sum(axis=1).tolist()
        short = plan.short and self.costs.borrow > 0
        events = np.flatnonzero(plan.free.any(axis=1)).tolist()
        for at, until in pairwise([*events, len(plan.goal)]):
            if not self.trade(at, plan, size=size[at], net=net[at]):
                self.equity[at:] = 0.0
                break
            self.hold(at, until, short=short)
        over = np.flatnonzero(self.equity <= 0)
        if len(over):
            at = int(over[0])
            self.equity[at:], self.cash[at:], self.units[at:] = 0.0, 0.0, 0.0
            self.traded[at + 1 :], self.borrowing[at + 1 :] = 0.0, 0.0

    def trade(self, at: int, plan: _Plan, *, size: float, net: float) -> bool:
        """Trade what is free to its weights, of sizes `size` and sum `net`; False when nothing is left to trade.

        The equity that weights refer to is what is left when the trade is paid for: ``total + rate * sum |goal * base
        - value| = worth``, with ``base = total`` unless room is short. The left side is piecewise linear in the total
        and rises by 1 +- rate, so Newton's steps end on the solution, mostly the first.
        """
        price, goal, rate = self.prices.price[at], plan.goal[at], self.costs.rate
        stays = ~plan.free[at] if plan.stuck[at] else None
        value = self.held * price
        total = worth = self.money + float(np.add.reduce(value))
        if worth <= 0:
            return False
        locked = kept = 0.0
        if stays is not None:
            locked, kept = float(np.abs(value[stays]).sum()), float(value[stays].sum())
            value[stays] = 0.0
        for _ in range(MOST_STEPS):
            slope, shift = _room(total, size, locked, plan.max_gross)
            base = slope * total + shift
            wanted = goal * base
            change = wanted - value
            side = np.sign(change)
            traded = float(side @ change)
            excess = total + rate * traded - worth
            if abs(excess) <= PRECISION * worth:
                break
            total -= excess / (1 + rate * slope * float(side @ goal))
        self.money = total - base * net - kept
        self.traded[at] = traded
        wanted /= price
        self.held = wanted if stays is None else np.where(stays, self.held, wanted)
        return True

    def hold(self, at: int, until: int, *, short: bool) -> None:
        """Mark the positions at the closes from row `at` to before `until`, and charge for what is `short`."""
        marks = self.prices.mark[at:until]
        money: Any = self.money
        if short:
            self.borrowing[at:until] = -self.costs.borrow / YEAR * (marks @ np.minimum(self.held, 0.0))
            money = self.money - np.cumsum(self.borrowing[at:until])
            self.money = float(money[-1])
        self.equity[at:until], self.cash[at:until] = marks @ self.held + money, money
        self.units[at:until] = self.held

    def account(self) -> Account:
        """Return what came of it."""
        return Account(
            equity=self.equity,
            cash=self.cash,
            units=self.units,
            traded=self.traded,
            borrowing=self.borrowing,
            prices=self.prices,
            costs=self.costs,
        )


def _room(total: float, size: float, locked: float, max_gross: float) -> tuple[float, float]:
    """Return slope and intercept, near an equity of `total`, of the money that weights refer to.

    It is the equity itself, or less where weights of the sum `size` and the money `locked` in positions that stay
    exceed what may be invested.
    """
    if size * total + locked <= max_gross * total:
        return 1.0, 0.0
    if max_gross * total > locked:
        return max_gross / size, -locked / size
    return 0.0, 0.0
