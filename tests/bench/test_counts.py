from __future__ import annotations

import math

import pytest

from marketloop.bench.counts import Count
from marketloop.core.errors import UsageError


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(5, 100, 0.0215, 0.1118), (0, 100, 0.0, 0.0370), (14, 400, 0.0210, 0.0579), (100, 100, 0.9630, 1.0)],
)
def test_count_gives_wilsons_interval(hits: int, trials: int, low: float, high: float) -> None:
    assert Count(hits, trials).wilson == pytest.approx((low, high), abs=5e-5)


def test_count_without_trials_has_no_interval() -> None:
    assert all(math.isnan(bound) for bound in Count(0, 0).wilson)
    assert Count(0, 0).document() == {"hits": 0, "trials": 0, "wilson_95": None}


def test_count_refuses_more_hits_than_trials() -> None:
    with pytest.raises(UsageError, match="3 hits of 2 trials: expected 0 to 2 hits"):
        Count(3, 2)
