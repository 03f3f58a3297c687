"""What is too good to be true, family by family."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.builders import small_market
from tests.evaluation.learners import buy_minus_sell, teller

from marketloop.core.catalog import Family
from marketloop.dataset import LabelSpec
from marketloop.evaluation.intervals import Interval, ewc_interval
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.plausibility import most_plausible_hit_rate, most_plausible_ic, plausibility
from marketloop.evaluation.scorecard import Scorecard, score_stream
from marketloop.evaluation.stream import Stream, StreamSpec

FAMILY = Family("price_predictor", ("SELL", "HOLD", "BUY"), 5, 0.02, ("teller",), buy_minus_sell)
SPEC = StreamSpec(FAMILY, (Contender(teller(), {}),), LabelSpec(5, 0.02), "basic", "rsi10")
NOTHING = ewc_interval(np.zeros(0))


def at_least(lower: float, n: int = 300) -> Interval:
    return Interval(lower + 0.02, lower - 0.01, lower + 0.05, lower, 2.0, 0.02, n)


@pytest.fixture(scope="module")
def card() -> Scorecard:
    """The scorecard of a stream that has not said anything yet."""
    market = small_market(sessions=80, tickers=12)
    return score_stream(Stream(SPEC.fingerprint), market.matrix(), market.panel(), SPEC)


def test_stream_without_a_word_is_scored_and_plausible(card: Scorecard) -> None:
    assert (card.sessions, card.rows, len(card.x)) == (0, 0, 0)
    assert math.isnan(card.z)
    assert all(check.passed and "too few sessions to judge (0)" in check.detail for check in plausibility(card))


@pytest.mark.parametrize(
    ("horizon", "most_ic", "most_hit"), [(1, 0.10, 0.60), (5, 0.15, 0.60), (20, 0.30, 0.70), (60, 0.35, 0.70)]
)
def test_bars_grow_with_the_horizon(horizon: int, most_ic: float, most_hit: float) -> None:
    assert most_plausible_ic(horizon) == pytest.approx(most_ic)
    assert most_plausible_hit_rate(horizon) == pytest.approx(most_hit)


def test_classifier_is_judged_by_order_and_by_direction(card: Scorecard) -> None:
    checks = plausibility(replace(card, ic=at_least(0.03), hit_rate=at_least(0.61)))
    assert [(c.name, c.passed, c.hard) for c in checks] == [
        ("plausibility", True, True),
        ("plausibility_direction", False, True),
    ]
    assert "look for a leak" in checks[1].detail


def test_twenty_session_classifier_may_ride_a_rising_market(card: Scorecard) -> None:
    bullish = replace(card, horizon=20, ic=at_least(0.03), hit_rate=at_least(0.61))
    assert all(check.passed for check in plausibility(bullish))
    seen = replace(bullish, hit_rate=at_least(0.71))
    assert [check.passed for check in plausibility(seen)] == [True, False]


def test_value_is_judged_by_order_alone(card: Scorecard) -> None:
    (check,) = plausibility(replace(card, ic=at_least(0.16), hit_rate=NOTHING))
    assert (check.name, check.passed) == ("plausibility", False)


@pytest.mark.parametrize(("lower", "passed"), [(0.05, True), (0.20, True), (0.21, False)])
def test_regime_is_judged_by_its_lead_on_the_last_known_label(card: Scorecard, lower: float, passed: bool) -> None:
    regime = replace(card, statistic="log_loss", regime_edge=at_least(lower), hit_rate=NOTHING)
    (check,) = plausibility(regime)
    assert (check.name, check.passed, check.threshold) == ("plausibility_regime", passed, 0.20)


def test_regime_with_too_few_sessions_is_not_judged(card: Scorecard) -> None:
    (check,) = plausibility(replace(card, statistic="log_loss", regime_edge=None))
    assert check.passed
    assert check.value is None


def test_bar_that_the_project_raised_is_said_with_the_usual_one(card: Scorecard) -> None:
    raised = plausibility(replace(card, ic=at_least(0.2)), threshold_ic=0.3)[0]
    assert (raised.passed, raised.threshold) == (True, 0.3)
    assert "usually 0.150" in raised.detail
