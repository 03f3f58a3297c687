"""What the market turns into over the next sessions, and when that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.evaluation.builders import panel_of

from marketloop.core.errors import UsageError
from marketloop.labels import REGIME, REGIME_CLASSES, UNKNOWN, regime_classes, regime_outcomes

OFF, NEUTRAL, ON = 0.0, 1.0, 2.0


def of(*level: float) -> float:
    """Regime of a path from its first to its last level."""
    return float(regime_classes(np.array(level, dtype=float)[:, None], len(level) - 1)[0, 0])


@pytest.mark.parametrize(
    ("path", "regime"),
    [
        ((100, 101, 102), ON),
        ((100, 99, 98), NEUTRAL),
        ((100, 95, 100), OFF),
        ((100, 95.1, 101), NEUTRAL),  # a gain, but 4.9 % below the peak on the way
        ((100, 96, 94.9), OFF),
        ((100, 110, 104.5), OFF),  # 5 % below a peak that came after the start, though above the start
        ((100, 110, 106.8), ON),  # 2.9 % below it
        ((100, 110, 106.7), NEUTRAL),  # 3 % below it
        ((100, 100, 100), NEUTRAL),  # no gain
    ],
)
def test_regime_follows_from_drawdown_and_return(path: tuple[float, ...], regime: float) -> None:
    assert of(*path) == regime


def test_running_peak_starts_at_the_close_of_t_and_not_before() -> None:
    level = np.array([120.0, 100.0, 101.0, 102.0])[:, None]
    assert regime_classes(level, 2)[:, 0].tolist()[:2] == [OFF, ON]


def test_regime_of_a_stretch_with_a_hole_is_not_known() -> None:
    level = np.full(30, 100.0)
    level[12] = np.nan
    known = np.isfinite(regime_classes(level[:, None], 5)[:, 0])
    assert np.flatnonzero(~known).tolist() == [*range(7, 13), *range(25, 30)]


def test_regime_is_known_when_its_stretch_is_over_and_no_session_earlier() -> None:
    rng = np.random.default_rng(0)
    panel = panel_of(100 * np.exp(np.cumsum(rng.normal(0, 0.01, (60, 1)), axis=0)), first=700)
    outcomes = regime_outcomes(panel, 20)
    assert outcomes.known_on[:40, 0].tolist() == [700 + t + 20 for t in range(40)]
    assert (outcomes.known_on[40:] == UNKNOWN).all()
    assert np.isnan(outcomes.value[40:]).all()


def test_regime_of_a_past_session_does_not_change_when_history_grows() -> None:
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.012, (90, 1)), axis=0))
    whole, part = regime_classes(close, 20), regime_classes(close[:70], 20)
    assert (whole[:50] == part[:50]).all()


def test_label_names_its_classes_in_the_order_of_their_codes() -> None:
    assert REGIME.classes == REGIME_CLASSES == ("Risk-Off", "Neutral", "Risk-On")
    panel = panel_of(np.linspace(100, 130, 40)[:, None])
    assert REGIME.build(panel, 20, None).value[0, 0] == ON


def test_history_shorter_than_the_horizon_has_no_regime() -> None:
    assert np.isnan(regime_classes(np.full((20, 1), 5.0), 20)).all()


def test_horizon_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="label horizon 0"):
        regime_classes(np.ones((5, 1)), 0)


def test_shares_on_the_s_and_p_500_are_those_of_the_specification(shared_data: Path) -> None:
    index = pl.read_parquet(shared_data / "context_indices_1990_2018.parquet").filter(pl.col("ticker") == "^GSPC")
    regime = regime_classes(index.sort("date")["close"].to_numpy()[:, None], 20)[:, 0]
    known = regime[np.isfinite(regime)]
    off, neutral, on = (round(100 * float((known == code).mean())) for code in (OFF, NEUTRAL, ON))
    assert (off, on, neutral) == (23, 44, 32)
    last_known = float((regime[20:-20] == regime[:-40]).mean())
    assert 0.36 <= last_known <= 0.44
