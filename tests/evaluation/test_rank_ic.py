"""The series that decides, against a literal implementation, and its size where there is no skill."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.evaluation.builders import Array, panel_of, small_market

from marketloop.evaluation.intervals import sequential_z
from marketloop.evaluation.rank_ic import (
    SessionSeries,
    neutral_one_session,
    rank_rows,
    sequential_ic,
    spearman_rows,
)
from marketloop.labels import Panel


def literal_neutral(panel: Panel, t: int) -> dict[int, float]:
    """Residuals of the returns of row t on one, beta and volatility of row t - 1."""
    alive = [i for i in range(len(panel.tickers)) if np.isfinite(panel.returns[t, i])]
    y = np.array([panel.returns[t, i] for i in alive])
    if len(alive) < 20:
        return dict(zip(alive, (y - y.mean()).tolist(), strict=True)) if alive else {}
    columns = [np.ones(len(alive))]
    for control in (panel.beta, panel.vol):
        known = [control[t - 1, i] for i in alive if np.isfinite(control[t - 1, i])]
        if known:
            columns.append(np.array([v if np.isfinite(v) else fmean(known) for v in control[t - 1, alive]]))
    design = np.column_stack(columns)
    residual = y - design @ np.linalg.pinv(design) @ y
    return dict(zip(alive, residual.tolist(), strict=True))


def literal_ic1(scores: Array, panel: Panel, horizon: int) -> tuple[list[int], list[float], int]:
    """GATE.md, section 2, word for word; means are rounded so that equal ones tie."""
    ranks: list[dict[int, float]] = []
    for row in scores:
        alive = [i for i in range(len(row)) if np.isfinite(row[i])]
        order = stats.rankdata([row[i] for i in alive]) if alive else np.zeros(0)
        ranks.append({i: (r - 1) / max(len(alive) - 1, 1) - 0.5 for i, r in zip(alive, order.tolist(), strict=True)})
    scored = [t for t in range(len(scores)) if ranks[t]]
    sessions, values, dropped = [], [], 0
    for t in range(scored[0] + horizon, len(scores)):
        residual = literal_neutral(panel, t)
        held = {}
        for i in residual:
            recent = [ranks[t - k][i] for k in range(1, horizon + 1) if i in ranks[t - k]]
            if recent:
                held[i] = round(fmean(recent), 12)
        common = sorted(held)
        if not common:
            continue
        if len(common) < 10:
            dropped += 1
            continue
        left, right = [held[i] for i in common], [residual[i] for i in common]
        constant = len(set(left)) == 1
        sessions.append(panel.first + t)
        values.append(0.0 if constant else float(stats.spearmanr(left, right).statistic))
    return sessions, values, dropped


def holed_market(tickers: int) -> tuple[Array, Panel]:
    """Scores in coarse steps (many ties), late listings, a delisting, a gap of all scores, and thin sessions."""
    rng = np.random.default_rng(tickers)
    market = small_market(sessions=110, tickers=tickers, seed=tickers)
    close = market.close.copy()
    close[:30, 0] = np.nan
    close[80:, 1] = np.nan
    close[50:55, 2] = np.nan
    close[90:94, 5:] = np.nan  # five tickers trade
    scores = np.round(rng.normal(size=close.shape), 1)
    scores[~np.isfinite(close)] = np.nan
    scores[:12] = np.nan
    scores[60:63] = np.nan
    scores[40:47] = 0.25  # the same for all
    return scores, panel_of(close, market.first)


@pytest.mark.parametrize("tickers", [14, 30])
@pytest.mark.parametrize("horizon", [1, 5])
def test_sequential_ic_equals_its_definition_written_out(tickers: int, horizon: int) -> None:
    scores, panel = holed_market(tickers)
    series = sequential_ic(scores, panel, neutral_one_session(panel), horizon)
    sessions, values, dropped = literal_ic1(scores, panel, horizon)
    assert series.session.tolist() == sessions
    assert series.dropped == dropped > 0
    np.testing.assert_allclose(series.value, values, atol=1e-9)


def test_sequential_ic_begins_once_a_full_window_of_scores_lies_before_the_return() -> None:
    market = small_market(sessions=40, tickers=12)
    scores = market.features[:, :, 0].copy()
    scores[:20] = np.nan
    series = sequential_ic(scores, market.panel(), neutral_one_session(market.panel()), 5)
    assert series.session.tolist() == list(range(market.first + 25, market.first + 40))


def test_constant_scores_are_worth_zero_and_not_nan() -> None:
    market = small_market(sessions=40, tickers=12)
    series = sequential_ic(np.full((40, 12), 0.3), market.panel(), neutral_one_session(market.panel()), 5)
    assert len(series) == 35
    assert (series.value == 0).all()


def test_score_of_a_session_is_never_held_against_the_return_of_that_session() -> None:
    market = small_market(sessions=60, tickers=15)
    panel = market.panel()
    scores = np.nan_to_num(panel.returns)  # knows the return of its own session only
    series = sequential_ic(scores, panel, neutral_one_session(panel), 1)
    assert abs(series.value.mean()) < 0.1
    told = np.vstack([panel.returns[1:], np.zeros((1, 15))])  # knows the next one
    assert sequential_ic(told, panel, neutral_one_session(panel), 1).value.mean() > 0.95


@pytest.mark.parametrize("tickers", [6, 12, 25])
def test_sequential_ic_of_the_past_does_not_change_when_sessions_are_added(tickers: int) -> None:
    market = small_market(sessions=130, tickers=tickers, seed=1)
    scores = market.features[:, :, 0]
    early, late = market.panel(100), market.panel()
    before = sequential_ic(scores[:100], early, neutral_one_session(early), 5)
    after = sequential_ic(scores, late, neutral_one_session(late), 5)
    np.testing.assert_array_equal(after.value[: len(before)], before.value)
    np.testing.assert_array_equal(after.session[: len(before)], before.session)


def test_sequential_ic_does_not_depend_on_how_long_the_history_before_the_scores_is() -> None:
    market = small_market(sessions=140, tickers=12, seed=3)
    scores = np.round(market.features[:, :, 0], 1)
    scores[:80] = np.nan
    whole = market.panel()
    rest = panel_of(market.close[30:], market.first + 30)
    long = sequential_ic(scores, whole, neutral_one_session(whole), 5)
    short = sequential_ic(scores[30:], rest, neutral_one_session(rest), 5)
    np.testing.assert_array_equal(long.value, short.value)
    np.testing.assert_array_equal(long.session, short.session)


def test_planted_signal_is_found_and_the_opposite_score_has_the_opposite_sign() -> None:
    market = small_market(sessions=300, tickers=20, planted=0.25, seed=5)
    panel = market.panel()
    neutral = neutral_one_session(panel)
    found = sequential_ic(market.features[:, :, 0], panel, neutral, 5)
    assert sequential_z(found.value) > 5
    np.testing.assert_allclose(sequential_ic(-market.features[:, :, 0], panel, neutral, 5).value, -found.value)


def test_score_that_bets_on_volatility_or_beta_gets_no_credit() -> None:
    rng = np.random.default_rng(11)
    beta, noise = rng.uniform(0.2, 2.0, 40), rng.uniform(0.005, 0.03, 40)
    market = rng.normal(0.002, 0.01, 400)  # the market rises: beta would pay
    close = 50 * np.exp(np.cumsum(beta * market[:, None] + rng.normal(size=(400, 40)) * noise, axis=0))
    panel = panel_of(close)
    scores = np.broadcast_to(beta, close.shape)
    raw = spearman_rows(scores, panel.returns, 0)
    neutral = sequential_ic(scores, panel, neutral_one_session(panel), 5)
    assert sequential_z(raw.value[70:]) > 3
    assert abs(sequential_z(neutral.value[70:])) < 2.5


@pytest.mark.parametrize("tickers", [5, 12])
def test_persistent_scores_without_skill_have_a_standard_normal_z(tickers: int) -> None:
    z = []
    for seed in range(80):
        market = small_market(sessions=160, tickers=tickers, seed=1000 + seed, features=1)
        panel = market.panel()
        tilt = np.clip(market.features[:, :, 0] / 2.5, -1, 1)
        z.append(
            sequential_z(sequential_ic(market.features[:, :, 0], panel, neutral_one_session(panel), 5, tilt=tilt).value)
        )
    assert abs(np.mean(z)) < 3 / np.sqrt(80)
    assert 0.75 < np.std(z) < 1.25
    assert np.mean(np.array(z) > 1.645) <= 0.12  # 5 % nominal; 0.12 is the 99.5 % point of 80 draws


def test_small_universe_is_followed_as_positions_scaled_by_volatility() -> None:
    market = small_market(sessions=70, tickers=4, seed=8)
    panel = market.panel()
    tilt = np.clip(market.features[:, :, 0], -1.5, 1.5)  # beyond one is cut
    series = sequential_ic(market.features[:, :, 0], panel, neutral_one_session(panel), 3, tilt=tilt)
    t = 64
    row = np.flatnonzero(series.session == panel.first + t)[0]
    terms = []
    for i in range(4):
        held = [fmean(float(np.clip(tilt[s - k, i], -1, 1)) for k in (1, 2, 3)) for s in range(3, t + 1)]
        surprise = panel.returns[t, i] - fmean(panel.returns[1:t, i].tolist())  # 63 returns before, 60 are enough
        terms.append((held[-1] - fmean(held[:-1])) * float(np.clip(surprise / panel.short_vol[t - 1, i], -4, 4)))
    assert series.value[row] == pytest.approx(fmean(terms))
    assert series.session[0] == panel.first + 15  # 20-session volatility is known from 14 returns on


def test_constant_bet_on_tickers_that_rose_is_no_skill_of_a_small_universe() -> None:
    rng = np.random.default_rng(1)
    drift = np.array([0.003, 0.002, 0.0, -0.002, -0.003])
    close = 50 * np.exp(np.cumsum(0.01 * rng.standard_normal((900, 5)) + drift, axis=0))
    panel = panel_of(close)
    bet = np.tile(np.sign(drift), (900, 1)) + 0.05 * rng.standard_normal((900, 5))
    series = sequential_ic(bet, panel, neutral_one_session(panel), 5, tilt=np.clip(bet, -1, 1))
    naive = (np.sign(drift) * panel.returns[1:]).mean(axis=1)
    assert sequential_z(naive) > 5  # what following it would have earned
    assert abs(sequential_z(series.value)) < 2


def test_timing_of_a_small_universe_is_seen_beside_any_drift() -> None:
    market = small_market(sessions=700, tickers=5, seed=4, planted=0.15, features=1)
    plain = market.panel()
    trend = np.exp(np.outer(np.arange(700), [0.002, 0.001, 0.0, -0.001, -0.002]))
    panel = panel_of(market.close * trend, market.first)
    tilt = np.clip(market.features[:, :, 0] / 2.5, -1, 1)
    with_drift, without = (
        sequential_z(sequential_ic(tilt, p, neutral_one_session(p), 5, tilt=tilt).value) for p in (panel, plain)
    )
    assert without > 3
    assert with_drift == pytest.approx(without, abs=1.0)


def test_positions_of_a_small_universe_change_no_earlier_term_when_history_grows() -> None:
    market = small_market(sessions=300, tickers=5, seed=4)
    tilt = np.clip(market.features[:, :, 0], -1, 1)
    short, long = market.panel(200), market.panel()
    before = sequential_ic(tilt[:200], short, neutral_one_session(short), 5, tilt=tilt[:200])
    after = sequential_ic(tilt, long, neutral_one_session(long), 5, tilt=tilt)
    assert before.value.tolist() == after.value[: len(before)].tolist()


def test_small_universe_survives_a_ticker_that_does_not_move() -> None:
    market = small_market(sessions=70, tickers=4)
    close = market.close.copy()
    close[:, 3] = 10.0
    panel = panel_of(close)
    series = sequential_ic(market.features[:, :, 0], panel, neutral_one_session(panel), 5)
    assert np.isfinite(series.value).all()


def test_spearman_rows_drops_and_counts_thin_sessions_and_passes_over_empty_ones() -> None:
    rng = np.random.default_rng(0)
    scores, returns = rng.normal(size=(4, 12)), rng.normal(size=(4, 12))
    scores[1, 3:] = np.nan
    returns[2] = np.nan
    series = spearman_rows(scores, returns, 50)
    assert series.session.tolist() == [50, 53]
    assert series.dropped == 1
    assert series.value[0] == pytest.approx(stats.spearmanr(scores[0], returns[0]).statistic)


def test_rank_rows_takes_average_ranks_from_minus_to_plus_one_half() -> None:
    ranks = rank_rows(np.array([[3.0, 1.0, np.nan, 1.0, 2.0], [5.0, np.nan, np.nan, np.nan, np.nan]]))
    np.testing.assert_allclose(ranks[0], [0.5, -1 / 3, np.nan, -1 / 3, 1 / 6])
    np.testing.assert_array_equal(ranks[1], [0.0, np.nan, np.nan, np.nan, np.nan])


@given(st.lists(st.sampled_from([-2.5, 0.0, 0.1, 0.30000000000000004, 0.3, 7.0]), min_size=10, max_size=30))
def test_ties_share_their_average_rank(row: list[float]) -> None:
    expected = (stats.rankdata(row) - 1) / (len(row) - 1) - 0.5
    np.testing.assert_array_equal(rank_rows(np.array([row]))[0], expected)


def test_differences_are_taken_on_common_sessions_only() -> None:
    mine = SessionSeries(np.array([1, 2, 4, 5], np.int32), np.array([0.1, 0.2, 0.4, 0.5]))
    theirs = SessionSeries(np.array([2, 3, 4], np.int32), np.array([0.5, 0.5, 0.1]))
    difference = mine.minus(theirs)
    assert difference.session.tolist() == [2, 4]
    np.testing.assert_allclose(difference.value, [-0.3, 0.3])
    assert mine.between(2, 4).session.tolist() == [2, 4]
    assert replace(mine, dropped=3).dropped == 3


def test_position_that_never_changes_tells_nothing_at_all() -> None:
    panel = small_market(sessions=300, tickers=5, seed=4).panel()
    bet = np.tile([0.5, -0.5, 0.25, 1.0, -1.0], (300, 1))
    series = sequential_ic(bet, panel, neutral_one_session(panel), 5, tilt=bet)
    assert len(series) > 200
    assert not series.value.any()
