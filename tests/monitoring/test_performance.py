from __future__ import annotations

import numpy as np
import pytest

from marketloop.monitoring import Finding, Judged, by_features, calibration_now, judge, most_severe, regime_lag

RNG = np.random.default_rng(0)


def test_accuracy_is_unknown_and_not_zero_with_too_few_matured_sessions() -> None:
    found = judge(Judged("accuracy", np.full(19, 0.5)), 0.6)
    assert (found.lost, found.current, found.finding.action) == (None, None, "monitor")
    assert "19 matured sessions" in found.finding.reason


def test_accuracy_is_unknown_when_the_champion_was_never_examined() -> None:
    found = judge(Judged("accuracy", np.full(60, 0.5)), None)
    assert found.lost is None
    assert "examined without accuracy" in found.finding.reason


@pytest.mark.parametrize(("now", "action"), [(0.56, "monitor"), (0.54, "plan"), (0.49, "retrain"), (0.65, "monitor")])
def test_accuracy_is_judged_by_points_lost(now: float, action: str) -> None:
    found = judge(Judged("accuracy", now + RNG.normal(0, 0.01, 63)), 0.60)
    assert found.finding.action == action
    assert found.lost == pytest.approx(100 * (0.60 - now), abs=1)


def test_loss_that_chance_explains_asks_for_nothing() -> None:
    swings = np.repeat([0.2, 0.9, 0.1, 0.7, 0.3, 0.8], 10).astype(float)
    found = judge(Judged("accuracy", swings - 0.05, overlap=5), 0.60)
    assert found.lost is not None
    assert found.lost > 10
    assert found.finding.action == "monitor"
    assert "chance explains as much" in found.finding.reason


@pytest.mark.parametrize(("lost", "action"), [(0.5, "monitor"), (1.5, "plan"), (2.5, "retrain")])
def test_rank_ic_is_judged_by_its_standard_errors(lost: float, action: str) -> None:
    noise = RNG.normal(0, 0.1, 63)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    error = judge(Judged("rank_ic", 0.1 * noise), 0.02)
    assert error.low is not None
    assert error.high is not None
    one = (error.high - error.low) / 2 / 1.96
    found = judge(Judged("rank_ic", 0.1 * noise + 0.02 - lost * one), 0.02)
    assert found.finding.action == action


@pytest.mark.parametrize(("growth", "action"), [(1.03, "monitor"), (1.07, "plan"), (1.2, "retrain")])
def test_error_is_judged_relative_to_the_reference(growth: float, action: str) -> None:
    square = (growth * 0.02) ** 2 * RNG.normal(1, 0.01, 63)
    assert judge(Judged("rmse", square), 0.02).finding.action == action


def test_calibration_is_judged_by_points_like_accuracy() -> None:
    hit, said, session = np.arange(1000) % 2 == 0, np.full(1000, 0.65), np.arange(1000) // 20
    score, finding = calibration_now(hit, said, session, reference=0.95)
    assert score == pytest.approx(0.85)
    assert finding.action == "retrain"
    assert calibration_now(hit[:100], said[:100], session[:100], reference=0.95)[0] is None


def test_calibration_that_swings_with_the_market_asks_for_nothing() -> None:
    session = np.arange(1200) // 20
    hit = (session // 10) % 3 == 0  # whole weeks come true, and then none
    score, finding = calibration_now(hit, np.full(1200, 0.45), session, reference=0.99, overlap=5)
    assert score is not None
    assert finding.action == "monitor"
    assert "chance explains as much" in finding.reason


def test_regime_lag_finds_how_late_regimes_are_called() -> None:
    happened = np.repeat([0, 1, 2, 1, 0, 2], 15)
    assert regime_lag(happened, happened) == 0
    assert regime_lag(np.roll(happened, 7), happened) == 7
    assert regime_lag(happened[:40], happened[:40]) is None
    assert regime_lag(np.zeros(90, int), happened) is None


def test_the_most_severe_finding_wins() -> None:
    findings = [Finding("accuracy", "monitor", ""), Finding("features", "retrain", ""), Finding("regime", "plan", "")]
    assert most_severe(findings) == "retrain"
    assert most_severe([]) == "monitor"
    assert [by_features(level) for level in ("Low", "Medium", "High")] == ["monitor", "plan", "retrain"]
