"""How strong a signal must be for a stated rank IC: a measured table, and the function that measures it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from marketloop.data.simulation.measures import forward_returns, neutralise, rank_ic, trailing_controls
from marketloop.data.simulation.path import HORIZON, walk
from marketloop.data.simulation.shocks import BURN_IN
from marketloop.data.simulation.signal import COMPONENTS, csrank, weights
from marketloop.data.simulation.spec import MarketSpec

__all__ = ["STRENGTHS", "calibrate", "decay_of", "measure_decay", "strength_of"]

Floats = NDArray[np.float64]

STRENGTHS: Final = (0.01, 0.025, 0.05, 0.10, 0.15, 0.20)

_IC: Final[Mapping[tuple[str, str, bool], tuple[float, ...]]] = {
    ("garch", "t5", False): (0.0214, 0.0532, 0.1052, 0.2031, 0.2894, 0.3614),
    ("garch", "normal", False): (0.0204, 0.0506, 0.1000, 0.1933, 0.2765, 0.3473),
    ("constant", "t5", False): (0.0210, 0.0522, 0.1031, 0.1992, 0.2842, 0.3559),
    ("constant", "normal", False): (0.0201, 0.0500, 0.0989, 0.1913, 0.2738, 0.3443),
    ("garch", "t5", True): (0.0187, 0.0468, 0.0932, 0.1843, 0.2703, 0.3492),
    ("garch", "normal", True): (0.0177, 0.0443, 0.0883, 0.1746, 0.2572, 0.3341),
    ("constant", "t5", True): (0.0182, 0.0456, 0.0909, 0.1800, 0.2646, 0.3426),
    ("constant", "normal", True): (0.0174, 0.0436, 0.0871, 0.1726, 0.2545, 0.3312),
}
"""Rank IC of `horizon_expected` with neutralised 5-session returns at each of `STRENGTHS`.

Found by `calibrate` on 100 tickers x 1,250 sessions, seeds 9000-9011, with the `_DECAY` below.
"""

_DECAY: Final[Mapping[bool, Floats]] = {
    False: np.array(
        [
            [-0.428, -0.248, -0.245, 0.185, -0.227],
            [-0.399, -0.227, -0.220, 0.172, -0.184],
            [-0.372, -0.208, -0.196, 0.155, -0.143],
            [-0.345, -0.191, -0.173, 0.136, -0.107],
        ]
    ),
    True: np.array(
        [
            [0.026, -0.004, -0.005, 0.000, -0.706],
            [0.040, -0.007, -0.010, 0.000, -0.594],
            [0.051, -0.009, -0.013, 0.001, -0.484],
            [0.060, -0.010, -0.015, 0.001, -0.383],
        ]
    ),
}
"""By `interaction`: found by `measure_decay` at strength 0.03, seeds 8000-8011."""


def strength_of(spec: MarketSpec) -> float:
    """Return the strength that plants ``spec.planted_ic``: the table, interpolated monotonely through 0."""
    measured = (0.0, *_IC[spec.volatility, spec.shocks, spec.interaction])
    return float(PchipInterpolator(measured, (0.0, *STRENGTHS))(spec.planted_ic))


def decay_of(spec: MarketSpec) -> Floats:
    """Return the (4, 5) coefficients with which the signal's rank 1..4 sessions ahead is expected from today's."""
    return _DECAY[spec.interaction]


def calibrate(spec: MarketSpec, strength: float, *, seeds: Iterable[int], decay: Floats | None = None) -> float:
    """Measure the rank IC that a `strength` plants in markets like `spec`, averaged over `seeds`.

    The same score is also correlated with the returns without the signal in them, whose rank IC has expectation
    zero; the difference is free of most of the noise (a control variate), so a few markets suffice.
    """
    found = []
    for seed in seeds:
        path = walk(replace(spec, seed=seed), strength, decay_of(spec) if decay is None else decay)
        rows = slice(BURN_IN, -1)
        close = path.bars.close
        returns = close[1:] / close[:-1] - 1
        index = (path.shocks.common + path.shocks.factor)[1:]
        beta, volatility = trailing_controls(returns, index)
        score = path.horizon_expected[1:]
        with_signal, without = (
            rank_ic(score[rows], neutralise(forward_returns(r, HORIZON)[rows], beta[rows], volatility[rows]))
            for r in (returns, returns - path.expected[:-1])
        )
        found.append(np.nanmean(with_signal - without))
    return float(np.mean(found))


def measure_decay(spec: MarketSpec, strength: float, *, seeds: Iterable[int]) -> Floats:
    """Measure (4, 5) the least-squares coefficients of the signal's rank at t + 1..4 on its components at t."""
    size = len(COMPONENTS)
    gram, cross = np.zeros((size, size)), np.zeros((HORIZON - 1, size))
    weight = weights(interaction=spec.interaction)
    for seed in seeds:
        path = walk(replace(spec, seed=seed), strength, np.zeros((HORIZON - 1, size)), keep_parts=True)
        parts = path.parts[BURN_IN:-1].astype(np.float64)
        rank = csrank(np.einsum("j,tjn->tn", weight, parts))
        now = parts[: 1 - HORIZON]
        gram += np.einsum("tjn,tin->ji", now, now)
        for k in range(1, HORIZON):
            cross[k - 1] += np.einsum("tn,tjn->j", rank[k : len(now) + k], now)
    return np.asarray(np.linalg.solve(gram, cross.T).T)
