from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.monitoring.made import rows, slow

from marketloop.core.errors import UsageError
from marketloop.monitoring import FeatureScan, scan_features
from marketloop.monitoring.null import memory
from marketloop.monitoring.profile import Grid, profile_of

WINDOW = 20


def scan(values: np.ndarray, **options: object) -> FeatureScan:
    """Scan the last 20 sessions of `values` against all before."""
    before, now = rows(values[:-WINDOW]), rows(values[-WINDOW:], first=len(values))
    return scan_features(before, now, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("persistence", [0.0, 0.9, 0.97, 0.99])
def test_scan_stays_quiet_on_features_that_only_wander(persistence: float) -> None:
    alarms = sum(scan(slow(seed, persistence=persistence)).level != "Low" for seed in range(20))
    assert alarms <= 2


def test_scan_names_the_feature_that_moved_and_no_other() -> None:
    values = slow(1, persistence=0.5)
    values[-WINDOW:, :, 2] += 4.0
    found = scan(values)
    assert [feature.name for feature in found.drifted] == ["c"]
    worst = found.features[0]
    assert worst.name == "c"
    assert worst.shift is not None
    assert worst.shift > 2
    assert worst.p_adjusted is not None
    assert worst.p_adjusted < 0.01


def test_scan_sees_a_spread_that_doubled_while_the_mean_stayed() -> None:
    values = slow(2, persistence=0.5)
    centre = values[-WINDOW:, :, 1].mean()
    values[-WINDOW:, :, 1] = centre + 2.5 * (values[-WINDOW:, :, 1] - centre)
    assert "b" in {feature.name for feature in scan(values).drifted}


def test_scan_says_that_a_feature_cannot_be_told_when_it_remembers_longer_than_the_past_is_long() -> None:
    values = slow(3, sessions=320)
    values[:, :, 0] = np.sin(np.arange(320) / 60)[:, None]
    values[-WINDOW:, :, 0] += 5
    found = next(feature for feature in scan(values).features if feature.name == "a")
    assert (found.state, found.p_adjusted) == ("cannot be told", None)
    assert found.psi is not None
    assert found.psi > 0.25  # the distance is shown, it is only not judged


def test_scan_says_that_a_feature_went_missing() -> None:
    values = slow(4)
    values[-WINDOW:, :, 3] = np.nan
    found = scan(values, importance={"d": 0.9, "a": 0.1})
    assert found.features[0].name == "d"
    assert (found.features[0].state, found.features[0].psi, found.features[0].missing) == ("missing", None, 1.0)
    assert found.level == "High"


def test_constant_and_never_known_features_are_not_judged() -> None:
    values = slow(5)
    values[:, :, 0], values[:, :, 1] = 1.0, np.nan
    states = {feature.name: feature.state for feature in scan(values).features}
    assert (states["a"], states["b"]) == ("cannot be told", "cannot be told")


def test_level_is_high_only_when_what_moved_holds_a_third_of_the_importance() -> None:
    values = slow(6, persistence=0.3)
    values[-WINDOW:, :, 2] += 4.0
    little, much = {"a": 0.9, "c": 0.1}, {"a": 0.6, "c": 0.4}
    assert scan(values, importance=little).level == "Medium"
    assert scan(values, importance=much).level == "High"


def test_correlations_that_break_are_seen_where_no_feature_moved() -> None:
    values = slow(7, sessions=1200, tickers=20, persistence=0.3)
    values[:, :, 1] = values[:, :, 0] + 0.1 * values[:, :, 1]
    values[-WINDOW:, :, 1] *= -1
    found = scan(values)
    assert found.correlation is not None
    assert set(found.correlation.pair) == {"a", "b"}
    assert found.correlation.before > 0.9
    assert found.correlation.now < -0.9
    assert found.level == "Medium"


def test_scan_needs_four_times_as_many_sessions_in_the_reference() -> None:
    values = slow(8, sessions=90)
    with pytest.raises(UsageError, match="70 sessions of reference and 20 recent"):
        scan(values)


def test_memory_is_the_integrated_autocorrelation_time() -> None:
    values = slow(9, sessions=8000, tickers=1, features=1, persistence=0.9) * 10
    noiseless = rows(np.repeat(values, 2, axis=1))
    remembered = memory(profile_of(noiseless, Grid.of(noiseless)))
    assert 5 < remembered[0] < 25  # (1 + 0.9) / (1 - 0.9) = 19, less what the noise takes away


def test_scan_is_the_same_whatever_the_order_of_the_features() -> None:
    values = slow(10)
    values[-WINDOW:, :, 0] += 3
    before, now = rows(values[:-WINDOW]), rows(values[-WINDOW:], first=len(values))
    names = ("e", "d", "c", "b", "a")
    forth, back = scan_features(before, now), scan_features(before.select(names), now.select(names))
    assert {f.name: f.p_adjusted for f in forth.features} == pytest.approx(
        {f.name: f.p_adjusted for f in back.features}
    )


def test_infinite_values_count_as_not_known() -> None:
    values = slow(11)
    before, now = rows(values[:-WINDOW]), rows(values[-WINDOW:], first=len(values))
    X = now.X.copy()
    X[::3, 0] = np.inf
    found = scan_features(before, replace(now, X=X))
    assert next(f for f in found.features if f.name == "a").missing == pytest.approx(1 / 3, abs=0.01)
