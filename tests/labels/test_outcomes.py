"""Forward returns by hand, and the session on which each becomes known."""

from __future__ import annotations

import numpy as np
import pytest
from tests.evaluation.builders import panel_of

from marketloop.core.errors import UsageError
from marketloop.labels import BUY, HOLD, SELL, UNKNOWN, Panel, direction_classes, forward_outcomes

NAN = np.nan
# Sessions downwards, tickers across: one trades throughout, one dies after session 4, one starts at 3 and halts at 5.
CLOSE = np.array(
    [
        [100.0, 50.0, NAN],
        [110.0, 50.0, NAN],
        [99.0, 40.0, NAN],
        [99.0, 40.0, 10.0],
        [108.9, 30.0, 12.0],
        [100.0, NAN, NAN],
        [120.0, NAN, 9.0],
        [120.0, NAN, 9.9],
    ]
)


@pytest.fixture
def panel() -> Panel:
    return panel_of(CLOSE, first=700)


def test_forward_return_runs_from_this_close_to_the_close_h_sessions_later(panel: Panel) -> None:
    returns = forward_outcomes(panel, 3).returns
    np.testing.assert_allclose(
        returns[:, 0], [-0.01, -0.01, 100 / 99 - 1, 120 / 99 - 1, 120 / 108.9 - 1, NAN, NAN, NAN]
    )


def test_delisted_ticker_is_closed_out_at_its_last_price(panel: Panel) -> None:
    returns = forward_outcomes(panel, 3).returns
    np.testing.assert_allclose(returns[:5, 1], [-0.2, -0.4, -0.25, -0.25, NAN])


def test_halted_ticker_has_no_outcome_where_it_has_no_bar_and_takes_the_last_price_in_a_gap(panel: Panel) -> None:
    returns = forward_outcomes(panel, 2).returns
    np.testing.assert_allclose(returns[:, 2], [NAN, NAN, NAN, 0.2, -0.25, NAN, NAN, NAN])


def test_outcome_is_known_h_sessions_later_also_when_the_ticker_died_before(panel: Panel) -> None:
    known_on = forward_outcomes(panel, 3).known_on
    assert known_on[:, 0].tolist() == [703, 704, 705, 706, 707, UNKNOWN, UNKNOWN, UNKNOWN]
    assert known_on[:, 1].tolist() == [703, 704, 705, 706, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]
    assert known_on[:, 2].tolist() == [UNKNOWN, UNKNOWN, UNKNOWN, 706, 707, UNKNOWN, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("through", [3, 4, 5, 6, 7])
def test_outcome_that_is_known_does_not_change_when_sessions_are_added(panel: Panel, through: int) -> None:
    early = forward_outcomes(panel_of(CLOSE[: through + 1], first=700), 2)
    late = forward_outcomes(panel, 2)
    known = early.known_on != UNKNOWN
    assert known.any()
    tickers = known.shape[1]  # the late starter is no ticker yet in the shortest tables
    assert (early.known_on[known] <= 700 + through).all()
    for name in ("returns", "neutral", "rank", "known_on"):
        np.testing.assert_array_equal(
            getattr(early, name)[known], getattr(late, name)[: through + 1, :tickers][known], err_msg=name
        )


def test_nothing_is_known_when_the_history_is_no_longer_than_the_horizon(panel: Panel) -> None:
    outcomes = forward_outcomes(panel, 8)
    assert np.isnan(outcomes.returns).all()
    assert (outcomes.known_on == UNKNOWN).all()


def test_horizon_below_one_is_refused(panel: Panel) -> None:
    with pytest.raises(UsageError, match="label horizon 0: expected at least 1 session"):
        forward_outcomes(panel, 0)


def test_rank_orders_the_neutral_returns_of_a_session_between_minus_and_plus_one_half(panel: Panel) -> None:
    outcomes = forward_outcomes(panel, 2)
    np.testing.assert_allclose(outcomes.rank[3], [0.0, -0.5, 0.5])  # +1 %, -25 %, +20 %
    np.testing.assert_allclose(outcomes.neutral[3], outcomes.returns[3] - outcomes.returns[3].mean())
    assert np.isnan(outcomes.rank[7]).all()


def test_direction_classes_have_inclusive_hold_at_the_threshold() -> None:
    moves = np.array([-0.0201, -0.02, 0.0, 0.02, 0.0201, NAN])
    assert direction_classes(moves, 0.02)[:5].tolist() == [SELL, HOLD, HOLD, HOLD, BUY]
    assert np.isnan(direction_classes(moves, 0.02)[5])


@pytest.mark.parametrize("threshold", [-0.01, 1.0, 2.0])
def test_direction_classes_refuse_a_threshold_that_is_no_fraction(threshold: float) -> None:
    with pytest.raises(UsageError, match="expected a fraction"):
        direction_classes(np.zeros(3), threshold)
