"""Signals follow a rule of the past, sizes follow what was known, and nothing later ever moves an earlier weight."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.evaluation.positions import (
    SIZINGS,
    Rule,
    Sizing,
    buy_and_hold,
    equal_weight,
    past_edge,
    quantiles_of,
    session_rule,
    sides_of,
    stream_rule,
    target_weights,
    trailing_rule,
)

Array = NDArray[np.float64]


def fixed(buy_from: float, sell_to: float, sessions: int) -> Rule:
    return Rule(np.full(sessions, buy_from), np.full(sessions, sell_to))


def market(seed: int, sessions: int = 150, tickers: int = 8, planted: float = 0.0) -> tuple[Array, Array, Array]:
    """Scores, returns in which a score moves the return two sessions later, and a known volatility."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(sessions, tickers))
    returns = rng.normal(0, 0.01, scores.shape)
    returns[2:] += planted * scores[:-2]
    return scores, returns, np.full(scores.shape, 0.01)


@given(st.integers(0, 10_000), st.integers(10, 60), st.floats(0.01, 100), st.floats(-5, 5))
@settings(max_examples=40, deadline=None)
def test_session_rule_calls_a_tenth_on_each_side_whatever_scale_and_level_the_model_speaks_on(
    seed: int, tickers: int, scale: float, level: float
) -> None:
    scores = np.random.default_rng(seed).normal(size=(5, tickers))
    sides = sides_of(scores, session_rule(scores), short=True)
    assert ((sides == 1).sum(axis=1) == tickers // 10).all()
    assert ((sides == -1).sum(axis=1) == tickers // 10).all()
    moved = scale * scores + level
    assert (sides_of(moved, session_rule(moved), short=True) == sides).all()


def test_session_rule_reads_no_other_session() -> None:
    scores = np.random.default_rng(1).normal(size=(6, 30))
    whole = session_rule(scores)
    for t in range(6):
        alone = session_rule(scores[t : t + 1])
        assert (alone.buy_from[0], alone.sell_to[0]) == (whole.buy_from[t], whole.sell_to[t])


def test_session_rule_counts_known_scores_and_calls_nobody_where_few_or_all_alike() -> None:
    scores = np.random.default_rng(2).normal(size=(4, 25))
    scores[0, 20:] = np.nan  # 20 known: two on each side
    scores[1, 9:] = np.nan  # 9 known: no cross-section
    scores[2] = 0.5
    scores[3] = np.nan
    rule = session_rule(scores)
    sides = sides_of(scores, rule, short=True)
    assert [(int((row == 1).sum()), int((row == -1).sum())) for row in sides] == [(2, 2), (0, 0), (0, 0), (0, 0)]
    assert rule.known.tolist() == [True, True, True, False]


def test_session_rule_calls_everybody_who_says_the_same_as_the_last_one_called() -> None:
    scores = np.arange(20.0)[None, :].copy()
    scores[0, -4:] = 99.0
    sides = sides_of(scores, session_rule(scores), short=True)
    assert (int((sides == 1).sum()), int((sides == -1).sum())) == (4, 2)


def test_small_universe_keeps_the_thresholds_of_earlier_blocks() -> None:
    scores, block = np.random.default_rng(3).normal(size=(60, 5)), np.arange(60) // 21
    found, expected = stream_rule(scores, block), trailing_rule(scores, block)
    assert np.array_equal(found.buy_from, expected.buy_from, equal_nan=True)


@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.1, 0.3]), st.integers(1, 7), st.sampled_from([1, 9, 250]))
@settings(max_examples=60, deadline=None)
def test_trailing_rule_is_the_quantile_of_the_newest_earlier_blocks(
    seed: int, share: float, length: int, least: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(30, 4)).round(1)
    scores[rng.random(scores.shape) < 0.2] = np.nan
    block = (np.arange(30) + 3) // length
    found = trailing_rule(scores, block, share=share, least=least)
    said = np.asarray(np.isfinite(scores).any(axis=1))
    for t in range(30):
        first = int(block[t])
        while said[(block >= first) & (block < block[t])].sum() < least and first > block[0]:
            first -= 1
        past = scores[(block >= first) & (block < block[t])]
        past = past[np.isfinite(past)]
        if len(past) == 0:
            assert math.isnan(found.buy_from[t])
            continue
        low, high = np.quantile(past, [share, 1 - share])
        if high > low:
            assert (found.sell_to[t], found.buy_from[t]) == pytest.approx((low, high))
        else:
            assert (found.sell_to[t], found.buy_from[t]) == (-np.inf, np.inf)


@given(st.integers(0, 10_000), st.lists(st.integers(1, 900), min_size=1, max_size=5), st.sampled_from([0.0, 0.1, 0.25]))
@settings(max_examples=60, deadline=None)
def test_quantiles_of_runs_are_those_of_all_their_values(seed: int, lengths: list[int], share: float) -> None:
    rng = np.random.default_rng(seed)
    runs = [np.sort(rng.normal(rng.normal(0, 3), 1, length).round(2)) for length in lengths]
    assert quantiles_of(runs, share) == pytest.approx(tuple(np.quantile(np.concatenate(runs), [share, 1 - share])))


def test_a_model_whose_scores_sink_does_not_fall_silent_for_good() -> None:
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(600, 20))
    scores[200:] = 0.01 * scores[200:] - 5
    rule = trailing_rule(scores, np.arange(600) // 20, least=100)
    calls = sides_of(scores, rule, short=False).mean(axis=1)
    assert calls[200:280].max() == 0
    assert calls[320:].mean() == pytest.approx(0.1, abs=0.02)


def test_rule_of_constant_scores_calls_nothing() -> None:
    scores = np.ones((10, 3))
    rule = trailing_rule(scores, np.arange(10) // 5)
    assert not sides_of(scores, rule, short=True).any()


def test_equal_sizes_share_the_account_among_the_bought() -> None:
    scores, none = np.array([[3.0, 2.0, -3.0, 0.0]]), np.full((1, 4), np.nan)
    rule = fixed(2.0, -2.0, 1)
    long = target_weights(scores, rule, none, none, Sizing(max_weight=1.0))
    both = target_weights(scores, rule, none, none, Sizing(max_weight=1.0, short=True))
    assert long.tolist() == [[0.5, 0.5, 0.0, 0.0]]
    assert both.tolist() == pytest.approx(np.array([[1 / 3, 1 / 3, -1 / 3, 0.0]]))


def test_most_weight_of_one_position_leaves_the_rest_in_cash() -> None:
    scores, none = np.array([[3.0, -3.0]]), np.full((1, 2), np.nan)
    weights = target_weights(scores, fixed(2.0, -2.0, 1), none, none, Sizing(max_weight=0.2))
    assert weights.tolist() == [[0.2, 0.0]]


def test_volatility_sizes_are_inverse_and_leave_out_what_is_unknown() -> None:
    scores, none = np.ones((1, 3)), np.full((1, 3), np.nan)
    volatility = np.array([[0.01, 0.03, np.nan]])
    weights = target_weights(scores, fixed(1.0, -1.0, 1), volatility, none, Sizing("volatility", max_weight=1.0))
    assert weights.tolist() == pytest.approx(np.array([[0.75, 0.25, 0.0]]))


def test_kelly_size_is_edge_over_variance_of_the_past() -> None:
    scores, returns, volatility = market(1, planted=0.00001)
    weights = target_weights(
        scores, fixed(0.0, -9.0, 150), volatility, returns, Sizing("kelly", max_weight=1.0, kelly_fraction=0.1)
    )
    t = 149
    x, y = scores[: t - 1].ravel(), returns[2 : t + 1].ravel()
    slope, intercept = np.polyfit(x, y, 1)
    edge = intercept + slope * scores[t]
    wanted = np.where((scores[t] >= 0) & (edge > 0), 0.1 * edge / 0.01**2, 0.0)
    assert wanted.sum() < 1
    assert weights[t] == pytest.approx(wanted)


def test_kelly_holds_nothing_before_it_can_expect_something_and_never_against_its_expectation() -> None:
    scores, returns, volatility = market(2, planted=-0.005)
    weights = target_weights(scores, fixed(1.0, -1.0, 150), volatility, returns, Sizing("kelly", short=True))
    assert not weights[:61].any()
    assert not weights[62:].any()
    scores, returns, volatility = market(2, planted=0.005)
    weights = target_weights(scores, fixed(1.0, -1.0, 150), volatility, returns, Sizing("kelly", short=True))
    assert not weights[:61].any()
    assert weights[62:].any()


def test_edge_of_a_session_ends_two_sessions_before_it() -> None:
    scores, returns, _ = market(4)
    found = past_edge(scores, returns)
    later = returns.copy()
    later[101:] = 9.0
    assert np.array_equal(past_edge(scores, later)[:101], found[:101], equal_nan=True)
    assert not np.array_equal(past_edge(scores, later)[101], found[101])


@pytest.mark.parametrize("method", SIZINGS)
@given(st.integers(0, 10_000), st.booleans(), st.floats(0.05, 1.0), st.floats(0.2, 1.0))
@settings(max_examples=40, deadline=None)
def test_weights_keep_their_limits_and_never_look_ahead(
    method: str, seed: int, short: bool, max_weight: float, max_gross: float
) -> None:
    rng = np.random.default_rng(seed)
    scores, returns, volatility = market(seed, sessions=100, tickers=5, planted=0.01)
    scores[rng.random(scores.shape) < 0.1] = np.nan
    returns[rng.random(scores.shape) < 0.1] = np.nan
    volatility[rng.random(scores.shape) < 0.1] = np.nan
    block = np.arange(100) // 10
    sizing = Sizing(method, short=short, max_weight=max_weight, max_gross=max_gross)

    def weights_until(end: int) -> Array:
        rule = trailing_rule(scores[:end], block[:end])
        return target_weights(scores[:end], rule, volatility[:end], returns[:end], sizing)

    whole = weights_until(100)
    known = np.nan_to_num(whole)
    assert np.abs(known).max() <= max_weight + 1e-12
    assert np.abs(known).sum(axis=1).max() <= max_gross + 1e-12
    assert short or known.min() >= 0
    assert np.allclose(weights_until(73), whole[:73], rtol=1e-12, atol=0, equal_nan=True)


def test_sessions_without_scores_or_rule_give_no_order() -> None:
    scores = np.array([[1.0, 2.0], [np.nan, np.nan], [0.0, np.nan]])
    rule = Rule(np.array([np.nan, 1.0, 1.0]), np.array([np.nan, 0.0, 0.0]))
    weights = target_weights(scores, rule, np.ones((3, 2)), np.zeros((3, 2)), Sizing())
    assert np.isnan(weights[:2]).all()
    assert weights[2].tolist() == [0.0, 0.0]


def test_a_model_that_abstains_holds_nothing() -> None:
    scores = np.array([[2.0, 2.0]])
    rule = Rule(np.array([1.0]), np.array([-1.0]), np.array([[True, False]]))
    assert sides_of(scores, rule, short=True).tolist() == [[0, 1]]


def test_benchmarks_buy_what_can_be_bought() -> None:
    bars = np.array([[True, True, False, True], [True, False, True, True], [True, True, True, True]])
    held = buy_and_hold(bars)
    assert held[0, [0, 3]].tolist() == [0.5, 0.5]
    assert np.isnan(held[0, [1, 2]]).all()
    assert np.isnan(held[1:]).all()
    assert np.nan_to_num(equal_weight(bars))[0].tolist() == pytest.approx([1 / 3, 1 / 3, 0.0, 1 / 3])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "equall"}, r'unknown sizing "equall".*Did you mean "equal"'),
        ({"max_weight": 0.0}, "max_weight = 0.0: expected a fraction"),
        ({"max_gross": math.nan}, "max_gross = nan: expected a fraction"),
        ({"kelly_fraction": 1.5}, "kelly_fraction = 1.5: expected a fraction"),
    ],
)
def test_sizing_that_makes_no_sense_is_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sizing(**wrong)  # type: ignore[arg-type]
