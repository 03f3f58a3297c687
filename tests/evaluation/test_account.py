"""The account equals a plain simulation, position by position and day by day, whatever the market does to it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.evaluation.account import Account, simulate
from marketloop.evaluation.prices import Costs, Prices

Array = NDArray[np.float64]
FREE = Costs(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Case:
    close: Array
    opens: Array | None
    targets: Array
    costs: Costs
    rebalance: int
    max_gross: float
    continues: NDArray[np.bool_]


@dataclass
class Plain:
    """One account with dictionaries and loops, sharing nothing with the code under test.

    The equity after a trade is found by bisection: it is where the account pays for its own trade.
    """

    commission_bps: float
    slippage_bps: float
    borrow: float
    max_gross: float
    money: float
    shares: dict[int, float] = field(default_factory=dict)
    last: dict[int, float] = field(default_factory=dict)
    equity: list[float] = field(default_factory=list)
    traded: list[float] = field(default_factory=list)
    units: list[dict[int, float]] = field(default_factory=list)

    def run(self, case: Case) -> None:
        first = next((t for t, row in enumerate(case.targets) if not np.isnan(row).all()), len(case.targets))
        for t in range(len(case.close)):
            since = t - 1 - first
            orders = self.orders(case, t, decided=since >= 0 and since % case.rebalance == 0)
            spent = self.trade(orders, self.fill_prices(case, t)) if orders and not self.is_over else 0.0
            self.last |= {i: price for i, price in enumerate(case.close[t]) if not math.isnan(price)}
            self.mark(spent)

    def orders(self, case: Case, t: int, *, decided: bool) -> dict[int, float]:
        orders = {}
        for i in range(case.close.shape[1]):
            needed = (case.targets[t - 1, i], case.close[t - 1, i], case.close[t, i])
            if decided and not any(math.isnan(x) for x in needed):
                orders[i] = float(case.targets[t - 1, i])
            bars = [s for s, price in enumerate(case.close[:, i]) if not math.isnan(price)]
            if bars and bars[-1] == t - 1 and not case.continues[i]:
                orders[i] = 0.0
        return orders

    def fill_prices(self, case: Case, t: int) -> dict[int, float]:
        prices = dict(self.last)
        for i, price in enumerate(case.close[t]):
            if not math.isnan(price):
                prices[i] = price
                if case.opens is not None and not math.isnan(case.opens[t, i]):
                    prices[i] = case.opens[t, i]
        return prices

    def mark(self, spent: float) -> None:
        if not self.is_over:
            self.money += sum(self.borrow / 252 * n * self.last[i] for i, n in self.shares.items() if n < 0)
        worth = self.money + sum(count * self.last[i] for i, count in self.shares.items())
        if self.is_over or worth <= 0:
            worth, self.shares = 0.0, {}
        self.equity.append(worth)
        self.traded.append(spent)
        self.units.append(dict(self.shares))

    @property
    def is_over(self) -> bool:
        return bool(self.equity) and self.equity[-1] <= 0

    def trade(self, orders: dict[int, float], fill: dict[int, float]) -> float:
        worth = self.money + sum(count * fill[i] for i, count in self.shares.items())
        if worth <= 0:
            self.money, self.shares = -1.0, {}
            return 0.0
        stuck = sum(abs(count * fill[i]) for i, count in self.shares.items() if i not in orders)
        size = sum(abs(w) for w in orders.values())

        def wanted(equity: float) -> dict[int, float]:
            room = max(self.max_gross * equity - stuck, 0.0)
            share = 1.0 if size * equity <= room else room / (size * equity)
            return {i: w * share * equity for i, w in orders.items()}

        def traded(equity: float) -> float:
            return sum(abs(v - self.shares.get(i, 0.0) * fill[i]) for i, v in wanted(equity).items())

        rate = (self.commission_bps + self.slippage_bps) / 10_000
        low, high = 0.0, worth
        for _ in range(200):
            middle = (low + high) / 2
            if middle + rate * traded(middle) > worth:
                high = middle
            else:
                low = middle
        equity = (low + high) / 2
        spent = traded(equity)
        for i, value in wanted(equity).items():
            self.money -= value - self.shares.get(i, 0.0) * fill[i]
            self.shares[i] = value / fill[i]
            if self.shares[i] == 0:
                del self.shares[i]
        self.money -= rate * spent
        return spent


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small markets with gaps, listings, ends of trading, missing opens, costs and shorts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sessions, tickers = draw(st.integers(2, 14)), draw(st.integers(1, 5))
    close = 50 * np.exp(np.cumsum(rng.normal(0, draw(st.sampled_from([0.02, 0.3])), (sessions, tickers)), axis=0))
    opens = close * np.exp(rng.normal(0, 0.02, close.shape))
    gaps = rng.random(close.shape) < draw(st.sampled_from([0.0, 0.2, 0.5]))
    for i in range(tickers):
        if draw(st.booleans()):
            gaps[rng.integers(0, sessions) :, i] = True
        if draw(st.booleans()):
            gaps[: rng.integers(0, sessions), i] = True
    close[gaps], opens[gaps] = np.nan, np.nan
    opens[rng.random(close.shape) < 0.1] = np.nan
    targets = rng.normal(0, 0.5, close.shape)
    if not draw(st.booleans()):
        targets = np.abs(targets)
    targets[rng.random(close.shape) < 0.3] = 0.0
    targets[rng.random(close.shape) < 0.2] = np.nan
    targets[rng.random(sessions) < 0.2] = np.nan
    rate = st.sampled_from([0.0, 5.0, 900.0])
    return Case(
        close=close,
        opens=opens if draw(st.booleans()) else None,
        targets=targets,
        costs=Costs(draw(rate), draw(rate), draw(st.sampled_from([0.0, 0.05, 1.0]))),
        rebalance=draw(st.integers(1, 4)),
        max_gross=draw(st.sampled_from([0.5, 1.0, 2.5])),
        continues=rng.random(tickers) < draw(st.sampled_from([0.0, 0.5])),
    )


def account_of(case: Case) -> Account:
    prices = Prices.of(case.close, case.opens, continues=case.continues)
    return simulate(
        prices, case.targets, costs=case.costs, capital=1000.0, rebalance=case.rebalance, max_gross=case.max_gross
    )


def plain_of(case: Case) -> Plain:
    costs = case.costs
    plain = Plain(costs.commission_bps, costs.slippage_bps, costs.borrow, case.max_gross, 1000.0)
    plain.run(case)
    return plain


@given(cases())
@settings(max_examples=300, deadline=None)
def test_account_equals_a_plain_simulation(case: Case) -> None:
    account, plain = account_of(case), plain_of(case)
    assert account.equity == pytest.approx(plain.equity, rel=1e-9, abs=1e-7)
    assert account.traded == pytest.approx(plain.traded, rel=1e-9, abs=1e-7)
    for t, units in enumerate(plain.units):
        row = np.array([units.get(i, 0.0) for i in range(case.close.shape[1])])
        assert account.units[t] == pytest.approx(row, rel=1e-9, abs=1e-9)


@given(cases())
@settings(max_examples=150, deadline=None)
def test_gains_of_positions_add_up_to_the_gain_of_the_account(case: Case) -> None:
    account = account_of(case)
    if account.equity.min() > 0:
        assert account.positions().gain.sum() == pytest.approx(account.equity[-1] - 1000.0, rel=1e-8, abs=1e-6)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_account_of_longer_data_begins_alike(case: Case) -> None:
    whole = account_of(case)
    for until in range(2, len(case.close)):
        goes_on = np.isfinite(case.close[until:]).any(axis=0) | case.continues
        cut = Case(
            case.close[:until],
            None if case.opens is None else case.opens[:until],
            case.targets[:until],
            case.costs,
            case.rebalance,
            case.max_gross,
            goes_on,
        )
        assert account_of(cut).equity == pytest.approx(whole.equity[:until], rel=1e-12)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_long_positions_never_need_credit(case: Case) -> None:
    case = Case(case.close, case.opens, np.abs(case.targets), case.costs, case.rebalance, 1.0, case.continues)
    account = account_of(case)
    assert account.cash.min() >= -1e-9 * account.equity.max()
    assert account.gross.max() <= 1 + 1e-9


def test_orders_of_a_close_are_filled_at_the_next_open() -> None:
    close = np.array([[10.0], [12.0], [15.0]])
    opens = np.array([[9.0], [11.0], [14.0]])
    account = simulate(Prices.of(close, opens), np.array([[1.0], [1.0], [1.0]]), costs=FREE, capital=110.0)
    assert account.units[:, 0].tolist() == [0.0, 10.0, 10.0]
    assert account.equity.tolist() == [110.0, 120.0, 150.0]


def test_capital_may_be_a_whole_number() -> None:
    close = np.array([[10.0], [10.0], [11.5]])
    account = simulate(Prices.of(close), np.full((3, 1), 0.5), costs=FREE, capital=25)
    assert account.equity.tolist() == [25.0, 25.0, 26.875]


def test_orders_are_filled_at_the_next_close_when_asked_or_without_opens() -> None:
    close, targets = np.array([[10.0], [12.0], [15.0]]), np.array([[1.0], [1.0], [1.0]])
    asked = simulate(Prices.of(close, close * 2, fill="close"), targets, costs=FREE, capital=120.0)
    without = simulate(Prices.of(close), targets, costs=FREE, capital=120.0)
    assert asked.equity.tolist() == without.equity.tolist() == [120.0, 120.0, 150.0]


def test_a_jump_at_the_session_that_decided_is_never_earned() -> None:
    close = np.array([[10.0], [20.0], [20.0], [20.0]])
    account = simulate(Prices.of(close, close), np.array([[np.nan], [1.0], [1.0], [1.0]]), costs=FREE, capital=100.0)
    assert account.equity.tolist() == [100.0, 100.0, 100.0, 100.0]


def test_costs_are_paid_out_of_the_account_on_both_sides() -> None:
    close = np.full((3, 1), 10.0)
    costs = Costs(commission_bps=100.0, slippage_bps=0.0, borrow=0.0)
    account = simulate(Prices.of(close), np.array([[1.0], [0.0], [0.0]]), costs=costs, capital=101.0)
    assert account.equity.tolist() == pytest.approx([101.0, 100.0, 99.0])
    assert account.traded.tolist() == pytest.approx([0.0, 100.0, 100.0])


def test_borrowing_is_charged_on_short_positions_at_each_close() -> None:
    close = np.full((3, 1), 10.0)
    account = simulate(
        Prices.of(close), np.array([[-0.5], [np.nan], [np.nan]]), costs=Costs(0, 0, borrow=0.252), capital=1000.0
    )
    assert account.equity.tolist() == pytest.approx([1000.0, 999.5, 999.0])


def test_a_ticker_that_stops_trading_is_closed_at_its_last_price() -> None:
    close = np.array([[10.0, 5.0], [10.0, 5.0], [np.nan, 5.0], [np.nan, 5.0]])
    targets = np.array([[0.5, 0.5], [np.nan, np.nan], [np.nan, np.nan], [np.nan, np.nan]])
    account = simulate(Prices.of(close), targets, costs=Costs(100.0, 0.0, 0.0), capital=1000.0)
    assert account.units[1, 0] > 0
    assert account.units[2, 0] == 0
    assert account.fills[2, 0] * account.prices.price[2, 0] == pytest.approx(-account.units[1, 0] * 10.0)
    assert account.traded[2] == pytest.approx(account.units[1, 0] * 10.0)


def test_a_gap_keeps_the_position_and_its_last_price() -> None:
    close = np.array([[10.0], [10.0], [np.nan], [20.0]])
    account = simulate(Prices.of(close), np.array([[1.0], [0.0], [0.0], [0.0]]), costs=FREE, capital=100.0)
    assert account.units[:, 0].tolist() == [0.0, 10.0, 10.0, 10.0]
    assert account.equity.tolist() == [100.0, 100.0, 100.0, 200.0]


def test_an_account_that_lost_everything_stays_closed() -> None:
    close = np.array([[10.0], [10.0], [25.0], [1.0]])
    account = simulate(Prices.of(close), np.full((4, 1), -1.0), costs=FREE, capital=100.0)
    assert account.equity.tolist() == [100.0, 100.0, 0.0, 0.0]
    assert account.returns.tolist() == [0.0, -1.0, 0.0]
    assert account.gross.tolist() == [0.0, 1.0, 0.0, 0.0]


def test_positions_run_from_purchase_to_sale_and_turn_into_new_ones() -> None:
    close = np.array([[10.0, 4.0], [10.0, 4.0], [12.0, 4.0], [12.0, 5.0], [9.0, 5.0]])
    targets = np.array([[0.5, 0.0], [0.0, 0.5], [-0.5, 0.5], [np.nan, np.nan], [np.nan, np.nan]])
    account = simulate(Prices.of(close), targets, costs=FREE, capital=1000.0)
    found = account.positions()
    assert found.ticker.tolist() == [0, 0, 1]
    assert found.side.tolist() == [1, -1, 1]
    assert list(zip(found.first.tolist(), found.last.tolist(), strict=True)) == [(1, 2), (3, 4), (2, 4)]
    assert found.gain.tolist() == pytest.approx([100.0, 154.6875, 137.5])


def test_a_position_that_turns_pays_for_both_of_its_halves() -> None:
    close = np.full((4, 1), 10.0)
    targets = np.array([[0.5], [-0.5], [np.nan], [np.nan]])
    account = simulate(Prices.of(close), targets, costs=Costs(100.0, 0.0, 0.0), capital=1000.0)
    found = account.positions()
    assert found.side.tolist() == [1, -1]
    first, second = account.units[1, 0] * 10, -account.units[2, 0] * 10
    assert found.gain.tolist() == pytest.approx([-0.01 * 2 * first, -0.01 * second])


@pytest.mark.parametrize("name", ["commission_bps", "slippage_bps", "borrow"])
@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan, 1e6, True, "5"])
def test_costs_that_make_no_sense_are_named(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{name} = .*expected .* from 0 to"):
        Costs(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("capital", [0.0, -5.0, math.inf, math.nan, True])
def test_capital_must_be_money(capital: float) -> None:
    with pytest.raises(UsageError, match="initial capital"):
        simulate(Prices.of(np.ones((2, 1))), np.ones((2, 1)), capital=capital)


def test_prices_and_fills_that_make_no_sense_are_named() -> None:
    with pytest.raises(UsageError, match="column 0 in row 1 is 0"):
        Prices.of(np.array([[1.0], [0.0]]))
    with pytest.raises(UsageError, match=r'unknown fill "clse".*Did you mean "close"'):
        Prices.of(np.ones((2, 1)), fill="clse")
    with pytest.raises(UsageError, match="rebalance = 0"):
        simulate(Prices.of(np.ones((2, 1))), np.ones((2, 1)), rebalance=0)
