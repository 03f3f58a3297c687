"""Regime models beside each other: the markets are as they should be, and the quick rules are what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from marketloop.bench.study import guarded_regimes
from marketloop.bench.study.guarded_regimes import EQUALS, WORSE, differences, looks

SESSIONS = 378


def test_equals_differ_by_nothing_in_the_mean_and_worse_ones_by_something() -> None:
    mean = {
        name: np.mean([differences(seed, pair, SESSIONS).mean() for seed in range(40)])
        for name, pair in {**EQUALS, **WORSE}.items()
    }
    assert all(abs(mean[name]) < 0.06 for name in EQUALS)
    assert all(mean[name] < -0.02 for name in WORSE)


def test_likelihood_ratio_is_that_of_labels_that_do_not_overlap() -> None:
    d = np.linspace(-1, 1, 50)
    ratio = guarded_regimes._likelihood_ratio(d)
    sets = [d[offset:45:20] for offset in range(20)]
    assert ratio[44] == pytest.approx(np.mean([np.exp(-one.sum()) for one in sets]))
    assert len(ratio) == 50


def test_every_rule_takes_a_disaster_back_and_leaves_a_better_one_alone() -> None:
    rng = np.random.default_rng(3)
    noise = 0.01 * rng.standard_normal(SESSIONS)
    for mean, expected in ((-9.0, True), (0.5, False)):
        assert [terms is not None for _, terms in looks(mean + noise)] == [expected] * 5
