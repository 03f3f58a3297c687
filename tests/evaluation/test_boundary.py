"""The bar for looking every night."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from marketloop.core.errors import UsageError
from marketloop.evaluation.boundary import constant_boundary, robbins_siegmund, robbins_siegmund_constant


@pytest.mark.parametrize(
    ("ratio", "alpha", "z"),
    [
        (1.0, 0.05, 1.645),
        (1.0, 0.025, 1.960),
        (1.1, 0.04, 1.956),
        (1.25, 0.02, 2.387),
        (1.4, 0.025, 2.345),
        (1.6, 0.0125, 2.640),
        (2.0, 0.025, 2.456),
        (2.0, 0.005, 3.116),
        (3.0, 0.01, 2.970),
        (5.0, 0.05, 2.390),
        (8.0, 0.025, 2.732),
        (8.0, 0.005, 3.332),
    ],
)
def test_boundary_has_the_values_of_the_table(ratio: float, alpha: float, z: float) -> None:
    assert constant_boundary(alpha, ratio) == pytest.approx(z, abs=1e-9)


def test_boundary_is_linear_in_the_logarithms_between_the_values_of_the_table() -> None:
    middle_ratio = math.sqrt(1.25 * 1.40)
    assert constant_boundary(0.025, middle_ratio) == pytest.approx((2.289 + 2.345) / 2)
    middle_alpha = math.sqrt(0.05 * 0.04)
    assert constant_boundary(middle_alpha, 2.0) == pytest.approx((2.157 + 2.262) / 2)


@given(st.floats(0.005, 0.05), st.floats(1.0, 7.9), st.floats(1.0, 1.5))
def test_boundary_rises_with_the_range_of_looks_and_falls_with_alpha(alpha: float, ratio: float, more: float) -> None:
    assert constant_boundary(alpha, min(ratio * more, 8.0)) >= constant_boundary(alpha, ratio)
    assert constant_boundary(min(alpha * more, 0.05), ratio) <= constant_boundary(alpha, ratio)


@pytest.mark.parametrize(("alpha", "ratio"), [(0.025, 8.01), (0.0031, 1.4), (0.000006, 1.25)])
def test_boundary_outside_the_table_is_robbins_siegmund_at_the_end_of_the_range(alpha: float, ratio: float) -> None:
    assert constant_boundary(alpha, ratio) == robbins_siegmund(alpha, ratio)
    assert constant_boundary(alpha, ratio) > constant_boundary(max(alpha, 0.005), min(ratio, 8.0)) - 0.01


@pytest.mark.parametrize(("alpha", "ratio"), [(0.0, 2.0), (-0.1, 2.0), (0.051, 2.0), (math.nan, 2.0), (0.025, 0.99)])
def test_boundary_refuses_what_the_table_cannot_answer(alpha: float, ratio: float) -> None:
    with pytest.raises(UsageError, match="expected"):
        constant_boundary(alpha, ratio)


@pytest.mark.parametrize(("alpha", "a"), [(0.05, 2.50), (0.025, 2.80), (0.0125, 3.06), (0.00625, 3.30)])
def test_robbins_siegmund_constant_solves_its_equation(alpha: float, a: float) -> None:
    found = robbins_siegmund_constant(alpha)
    assert found == pytest.approx(a, abs=0.006)
    assert stats.norm.sf(found) + found * stats.norm.pdf(found) == pytest.approx(alpha)


def test_robbins_siegmund_bound_grows_with_the_logarithm_of_variance() -> None:
    a = robbins_siegmund_constant(0.025)
    assert robbins_siegmund(0.025, 1.0) == pytest.approx(a)
    assert robbins_siegmund(0.025, math.e**2) == pytest.approx(math.sqrt(a * a + 2))
    assert robbins_siegmund(0.025, 0.3) == pytest.approx(a)


@pytest.fixture(scope="module")
def running_z() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """z after each of 500 terms of 4,000 driftless walks."""
    x = np.random.default_rng(99).standard_normal((4000, 500))
    z: np.ndarray[tuple[int, int], np.dtype[np.float64]] = x.cumsum(axis=1) / np.sqrt((x * x).cumsum(axis=1))
    return z


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.0125])
def test_walk_without_drift_crosses_the_constant_bar_in_about_alpha_of_years(
    running_z: np.ndarray[tuple[int, int], np.dtype[np.float64]], alpha: float
) -> None:
    bar = constant_boundary(alpha, 500 / 250)
    crossed = (running_z[:, 249:] >= bar).any(axis=1).mean()
    assert crossed == pytest.approx(alpha, abs=3.5 * math.sqrt(alpha / 4000) + 0.002)


def test_walk_without_drift_rarely_crosses_robbins_siegmund_in_variance_time() -> None:
    # The spread of the terms grows sevenfold, as two models part.
    x = np.random.default_rng(7).standard_normal((4000, 300)) * np.linspace(1, 7, 300)
    variance = (x * x).cumsum(axis=1)
    z = x.cumsum(axis=1) / np.sqrt(variance)
    a = robbins_siegmund_constant(0.05)
    bar = np.sqrt(a * a + np.log(variance[:, 39:] / variance[:, [39]]))
    assert (z[:, 39:] >= bar).any(axis=1).mean() <= 0.055
