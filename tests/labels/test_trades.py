"""Simulated trades by hand: which barrier is met first, from the next open on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluation.builders import panel_of

from marketloop.core.errors import UsageError
from marketloop.labels import TRADE_CLASSES, UNKNOWN, Panel, average_true_range, trade_outcomes

NAN = np.nan
QUIET = 14
"""Sessions with a true range of 1 before each story begins, so that the average is 1."""
CODE = {name: code for code, name in enumerate(TRADE_CLASSES)}


def story(
    open_: list[float], high: list[float], low: list[float], close: list[float] | None = None, first: int = 300
) -> Panel:
    """One ticker: quiet sessions around 100 with a range of 1, then the given ones."""
    ends = [100.0] * (QUIET + 1) + (close or open_)
    panel = panel_of(np.array(ends)[:, None], first)

    def column(quiet: float, then: list[float]) -> NDArray[np.float64]:
        return np.array([quiet] * (QUIET + 1) + then)[:, None]

    return replace(panel, open=column(100.0, open_), high=column(100.5, high), low=column(99.5, low))


def outcome(panel: Panel, horizon: int = 3) -> float:
    """What became of the trade decided at the last quiet close."""
    return float(trade_outcomes(panel, horizon).value[QUIET, 0])


def test_average_true_range_of_quiet_sessions_is_their_range_and_unknown_before_fourteen() -> None:
    size = average_true_range(story([100], [100.5], [99.5]))
    assert np.isnan(size[:QUIET]).all()
    np.testing.assert_allclose(size[QUIET:], 1.0)


def test_average_true_range_counts_the_gap_from_the_close_before() -> None:
    size = average_true_range(story([110], [111], [109.5], [110]))
    assert size[-1, 0] == pytest.approx(1 + (11 - 1) / 14)  # from 100 to 111


def test_trade_that_gains_two_ranges_before_it_loses_one_is_a_buy() -> None:
    assert outcome(story([100, 101, 101], [100.9, 102, 101], [99.1, 100, 100])) == CODE["buy"]


def test_trade_that_loses_one_range_first_is_to_be_avoided() -> None:
    assert outcome(story([100, 100, 103], [100.9, 100, 103], [99.1, 99.0, 102])) == CODE["avoid"]


def test_session_that_meets_both_barriers_counts_as_the_stop() -> None:
    assert outcome(story([100, 100, 100], [102.5, 100, 100], [98.5, 99.5, 99.5])) == CODE["avoid"]


def test_trade_that_meets_neither_is_watched() -> None:
    assert outcome(story([100, 100, 100], [101.9, 101.9, 101.9], [99.1, 99.1, 99.1])) == CODE["watch"]


def test_trade_enters_at_the_next_open_and_not_at_this_close() -> None:
    gapped = story([104, 104, 104], [105.9, 105.9, 105.9], [103.1, 103.1, 103.1])
    assert outcome(gapped) == CODE["watch"]  # from 100 the target would have been met at once


def test_every_outcome_is_known_at_the_end_of_the_horizon_however_soon_it_came() -> None:
    panel = story([100, 100, 100, 100], [103, 100, 100, 100], [99.5, 99.5, 99.5, 99.5])
    values = trade_outcomes(panel, 3)
    assert values.known_on[QUIET, 0] == 300 + QUIET + 3
    assert (values.known_on[QUIET + 2 :] == UNKNOWN).all()
    assert np.isnan(values.value[QUIET + 2 :]).all()


def test_sessions_after_the_horizon_change_nothing() -> None:
    quiet = story([100] * 3, [101] * 3, [99.5] * 3)
    longer = story([100] * 4, [101, 101, 101, 150], [99.5, 99.5, 99.5, 50])
    assert outcome(quiet) == outcome(longer) == CODE["watch"]


def test_ticker_without_a_bar_at_the_next_session_gives_no_trade() -> None:
    panel = story([NAN, 100, 100], [NAN, 103, 100], [NAN, 99.5, 99.5], [NAN, 100, 100])
    assert np.isnan(outcome(panel))


def test_bars_with_closes_only_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="needs bars with open, high and low"):
        trade_outcomes(panel_of(np.full((30, 1), 5.0)), 3)


def test_outcomes_equal_a_plain_simulation_of_each_trade() -> None:
    rng = np.random.default_rng(4)
    close = 50 * np.exp(np.cumsum(rng.normal(scale=0.02, size=(120, 4)), axis=0))
    open_ = close * (1 + rng.normal(scale=0.005, size=close.shape))
    high = np.maximum(open_, close) * (1 + np.abs(rng.normal(scale=0.01, size=close.shape)))
    low = np.minimum(open_, close) * (1 - np.abs(rng.normal(scale=0.01, size=close.shape)))
    panel = replace(panel_of(close), open=open_, high=high, low=low)
    size, values = average_true_range(panel), trade_outcomes(panel, 10).value
    for ticker in range(4):
        for t in range(14, 110):
            assert values[t, ticker] == plain_trade(open_, high, low, size, t, ticker), (t, ticker)


def plain_trade(
    open_: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    size: NDArray[np.float64],
    t: int,
    ticker: int,
) -> int:
    entry, reach = open_[t + 1, ticker], size[t, ticker]
    for day in range(t + 1, t + 11):
        if low[day, ticker] <= entry - reach:
            return CODE["avoid"]
        if high[day, ticker] >= entry + 2 * reach:
            return CODE["buy"]
    return CODE["watch"]
