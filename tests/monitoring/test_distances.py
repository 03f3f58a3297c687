from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tests.monitoring.made import rows

from marketloop.core.errors import UsageError
from marketloop.monitoring.null import apart, average
from marketloop.monitoring.profile import Grid, profile_of

RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (RNG.normal(size=(60, 50, 1)), RNG.normal(0.5, 1, (20, 50, 1))),
        (RNG.normal(size=(60, 50, 1)), RNG.normal(0, 2, (20, 50, 1))),
        (RNG.exponential(size=(60, 50, 1)), RNG.exponential(1.5, (20, 50, 1))),
    ],
    ids=["moved", "wider", "skewed"],
)
def test_distances_are_those_of_scipy_up_to_the_grid(before: np.ndarray, now: np.ndarray) -> None:
    reference, recent = rows(before), rows(now, first=100)
    grid = Grid.of(reference)
    found = apart(profile_of(recent, grid), profile_of(reference, grid))
    a, b = now.ravel(), before.ravel()
    assert found.ks[0] == pytest.approx(stats.ks_2samp(a, b).statistic, abs=0.025)
    expected = stats.wasserstein_distance(a, b) / b.std()
    assert found.wasserstein[0] == pytest.approx(expected, rel=0.06, abs=0.01)


def test_psi_is_that_of_the_ten_bins_between_the_deciles() -> None:
    before, now = RNG.normal(size=(100, 50, 1)), RNG.normal(0.5, 1, (40, 50, 1))
    reference, recent = rows(before), rows(now, first=200)
    grid = Grid.of(reference)
    edges = np.quantile(before, np.arange(1, 10) / 10)
    a, b = (np.bincount(np.searchsorted(edges, x.ravel()), minlength=10) / x.size for x in (now, before))
    psi = apart(profile_of(recent, grid), profile_of(reference, grid)).psi[0]
    assert psi == pytest.approx(((a - b) * np.log(a / b)).sum(), rel=0.02)


def test_profile_counts_sessions_alike_and_passes_over_what_is_not_known() -> None:
    values = RNG.normal(size=(10, 4, 2))
    values[:5, :, 1] = np.nan
    values[7, 0, 1] = np.nan
    reference = rows(values)
    profile = profile_of(reference, Grid.of(reference))
    assert profile.known[:5, 1].tolist() == [0.0] * 5
    assert profile.known[7, 1] == 0.75
    assert average(profile)[1][1] == pytest.approx(np.nanmean(values[5:, :, 1], axis=1).mean(), abs=1e-6)


def test_profile_refuses_other_features_than_those_of_its_grid() -> None:
    one, two = rows(RNG.normal(size=(5, 4, 1))), rows(RNG.normal(size=(5, 4, 2)))
    with pytest.raises(UsageError, match="other features"):
        profile_of(two, Grid.of(one))
