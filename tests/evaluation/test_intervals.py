"""Intervals for overlapping series, and z for martingale differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from tests.evaluation.builders import Array

from marketloop.evaluation.intervals import ewc_interval, sequential_z, z_of


def plain_ewc(x: list[float]) -> tuple[float, float, float, float]:
    """Mean, low, high and one-sided p, written down term by term as in the paper."""
    n = len(x)
    mean = sum(x) / n
    nu = max(4, math.floor(0.41 * n ** (2 / 3)))
    squares = []
    for j in range(1, nu + 1):
        wave = sum((x[t - 1] - mean) * math.cos(math.pi * j * (t - 0.5) / n) for t in range(1, n + 1))
        squares.append((math.sqrt(2 / n) * wave) ** 2)
    error = math.sqrt(sum(squares) / nu / n)
    half = float(stats.t.ppf(0.975, nu)) * error
    return mean, mean - half, mean + half, float(stats.t.sf(mean / error, nu))


def overlapping(rng: np.random.Generator, n: int, horizon: int = 5) -> Array:
    return np.convolve(rng.normal(size=n + horizon - 1), np.ones(horizon) / horizon, mode="valid")


def autoregressive(rng: np.random.Generator, n: int, phi: float = 0.5) -> Array:
    shock, x = rng.normal(size=n + 50), np.zeros(n + 50)
    for t in range(1, n + 50):
        x[t] = phi * x[t - 1] + shock[t]
    return x[50:]


@pytest.mark.parametrize("n", [60, 133, 250])
def test_interval_equals_the_formula_written_term_by_term(n: int) -> None:
    x = overlapping(np.random.default_rng(n), n) + 0.1
    interval = ewc_interval(x)
    mean, low, high, p = plain_ewc(x.tolist())
    assert (interval.mean, interval.low, interval.high) == pytest.approx((mean, low, high))
    assert interval.p == pytest.approx(p)
    assert interval.n == n


def test_one_sided_bound_lies_between_the_mean_and_the_two_sided_one() -> None:
    interval = ewc_interval(overlapping(np.random.default_rng(1), 250))
    assert interval.low < interval.lower < interval.mean
    assert ewc_interval(overlapping(np.random.default_rng(1), 250), level=0.90).low == pytest.approx(interval.lower)


@pytest.mark.parametrize("kind", [overlapping, autoregressive])
@pytest.mark.parametrize("n", [80, 250])
def test_interval_covers_the_mean_of_dependent_series_as_often_as_it_says(kind: object, n: int) -> None:
    assert callable(kind)
    rng = np.random.default_rng(20)
    covered = 0
    for _ in range(500):
        interval = ewc_interval(kind(rng, n))
        covered += interval.low <= 0 <= interval.high
    assert 0.90 <= covered / 500 <= 0.99


def test_interval_needs_sixty_terms_and_twelve_horizons() -> None:
    x = np.random.default_rng(0).normal(size=240)
    assert not ewc_interval(x[:59]).known
    assert ewc_interval(x[:60], horizon=5).known
    assert not ewc_interval(x[:239], horizon=20).known
    assert ewc_interval(x, horizon=20).known
    short = ewc_interval(x[:30])
    assert short.mean == pytest.approx(x[:30].mean())
    assert math.isnan(short.p)


def test_interval_of_nothing_is_unknown_and_of_zeros_a_point() -> None:
    nothing = ewc_interval(np.zeros(0))
    assert (nothing.n, nothing.known, math.isnan(nothing.mean)) == (0, False, True)
    zeros = ewc_interval(np.zeros(100))
    assert (zeros.low, zeros.high) == (0.0, 0.0)
    assert math.isnan(zeros.p)


def test_sequential_z_is_the_sum_over_the_root_of_the_sum_of_squares() -> None:
    x = np.random.default_rng(2).normal(0.1, 1, 90)
    assert sequential_z(x) == pytest.approx(sum(x) / math.sqrt(sum(v * v for v in x)))
    assert sequential_z(7.5 * x) == pytest.approx(sequential_z(x))
    assert sequential_z(-x) == pytest.approx(-sequential_z(x))


def test_sequential_z_speaks_from_forty_terms_on_and_not_of_zeros() -> None:
    assert math.isnan(sequential_z(np.ones(39)))
    assert sequential_z(np.ones(40)) == pytest.approx(math.sqrt(40))
    assert math.isnan(sequential_z(np.zeros(100)))


@pytest.mark.parametrize(("horizon", "n"), [(20, 240), (20, 500), (60, 750)])
def test_interval_of_a_long_overlap_covers_as_often_as_it_says(horizon: int, n: int) -> None:
    """Cosines quicker than the overlap would find it calm: 0.73 to 0.91 of these, if they were counted."""
    rng = np.random.default_rng(horizon + n)
    found = [ewc_interval(overlapping(rng, n, horizon), horizon=horizon) for _ in range(800)]
    share = np.mean([interval.low <= 0 <= interval.high for interval in found])
    assert 0.925 <= share <= 0.975


def test_five_session_overlap_keeps_all_its_cosines_from_some_two_hundred_values_on() -> None:
    x = overlapping(np.random.default_rng(3), 250)
    assert ewc_interval(x, horizon=5) == ewc_interval(x, horizon=1)
    assert ewc_interval(x[:60], horizon=5) != ewc_interval(x[:60], horizon=1)


def test_z_of_overlapping_values_is_the_normal_quantile_of_their_p() -> None:
    x = overlapping(np.random.default_rng(4), 400, 20) + 0.1
    assert z_of(x, 20) == pytest.approx(float(stats.norm.isf(ewc_interval(x, horizon=20).p)))
    assert math.isnan(z_of(x[:239], 20))
    assert z_of(x) == sequential_z(x)
    assert math.isfinite(z_of(np.linspace(5.0, 5.001, 400), 20))
