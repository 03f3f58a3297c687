"""Two regime models beside each other: how soon anybody could say which one is worse, and how often in error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from marketloop.bench.study.panels import autoregressive
from marketloop.evaluation.boundary import constant_boundary
from marketloop.evaluation.guard import GuardPolicy, guard_terms
from marketloop.evaluation.intervals import z_of
from marketloop.labels.regimes import regime_classes

__all__ = ["AGES", "EQUALS", "HORIZON", "WORSE", "differences", "looks"]

Array = NDArray[np.float64]
Model = Callable[[Array, np.random.Generator], Array]

HORIZON: Final = 20
POLICY: Final = GuardPolicy()
STAY: Final = (0.99, 0.97)
"""Probability that a calm and a stormy session are followed by their like."""
STORM: Final = ((0.0006, 0.007), (-0.0005, 0.018))
"""Mean and standard deviation of a session's return in calm and in storm, with Student's t of 6."""
TRUTH: Final = np.log([[0.13, 0.34, 0.53], [0.60, 0.25, 0.15]])
"""Log shares of Risk-Off, Neutral and Risk-On after a calm and after a stormy session of these markets."""
FLAT: Final = np.log([0.25, 0.32, 0.43])
LEAST_P: Final = 1e-4
FIRST_LOOK: Final = 20
EARLY_ALPHA: Final = 0.01
EVERY: Final = 3
"""Sessions between two looks of the guard here; in a project there is one a night."""
AGES: Final = (63, 126)
"""Sessions after a promotion; a quarter is the cadence of the family."""


def _noisy(amount: float) -> Model:
    return lambda logit, rng: logit + amount * autoregressive(logit.shape, 0.97, rng)


EQUALS: Final[Mapping[str, tuple[Model, Model]]] = {
    f"both the truth with noise of {amount:g}": (_noisy(amount), _noisy(amount)) for amount in (0.3, 0.7, 1.2)
}
WORSE: Final[Mapping[str, tuple[Model, Model]]] = {
    "the new one knows nothing": (_noisy(0.5), lambda logit, _: np.broadcast_to(FLAT, logit.shape)),
    "the new one is three times too sure": (_noisy(0.3), lambda logit, _: 3 * logit),
    "the new one is mostly noise": (_noisy(0.3), _noisy(1.5)),
    "the new one says the opposite": (_noisy(0.3), lambda logit, _: logit[:, ::-1]),
}


def differences(seed: int, pair: tuple[Model, Model], sessions: int) -> Array:
    """Return log probability of what happened, new less old (n,), on one market with two kinds of weather."""
    rng = np.random.default_rng([seed, 26])
    length = sessions + HORIZON
    stormy = np.zeros(length, dtype=np.intp)
    for t, drawn in enumerate(rng.random(length)):
        before = stormy[t - 1] if t else int(rng.random() < 0.25)
        stormy[t] = before if drawn < STAY[before] else 1 - before
    mean, size = np.array(STORM)[stormy].T
    moves = mean + size * rng.standard_t(6, length) / math.sqrt(6 / 4)
    happened = regime_classes(np.exp(np.cumsum(moves))[:, None], HORIZON)[:sessions, 0].astype(np.intp)
    logit = TRUTH[stormy[:sessions]]
    old, new = (_said(model(logit, rng), happened) for model in pair)
    difference: Array = new - old
    return difference


def _said(logit: Array, happened: NDArray[np.intp]) -> Array:
    p = special.softmax(logit, axis=1)[np.arange(len(happened)), happened]
    said: Array = np.log(np.maximum(p, LEAST_P))
    return said


def looks(d: Array) -> Iterator[tuple[str, int | None]]:
    """Yield each rule and the number of differences at which it takes the new model back, None where it never does.

    Of `AGES` sessions twice the horizon is lost: the first unseen session comes a horizon after the training, and the
    newest label is a horizon old.
    """
    for age in AGES:
        some = d[: age - 2 * HORIZON]
        bar = -float(special.ndtri(1 - EARLY_ALPHA))
        spoken = (n for n in range(FIRST_LOOK, len(some) + 1) if _early_z(some[:n]) <= bar)
        yield f"EWC from the {FIRST_LOOK}th difference on, within {age} sessions", next(spoken, None)
        evidence = np.flatnonzero(_likelihood_ratio(some) >= 1 / POLICY.alpha)
        yield f"likelihood ratio, within {age} sessions", int(evidence[0]) + 1 if len(evidence) else None
    first, last = guard_terms(POLICY, HORIZON)
    bar = -constant_boundary(POLICY.alpha / 2, last / first)
    spoken = (n for n in range(first, last + 1, EVERY) if z_of(d[:n], HORIZON) <= bar)
    yield f"the guard, {first} to {last} differences", next(spoken, None)


def _early_z(d: Array) -> float:
    """Return the z of the EWC interval below the length from which it holds (GATE.md, 3)."""
    n, nu = len(d), 4
    projections = fft.dct(d - d.mean(), type=2)[1 : nu + 1] / math.sqrt(2 * n)
    error = math.sqrt(float(np.mean(projections**2)) / n)
    if error == 0:
        return math.copysign(math.inf, float(d.mean()))
    return -float(special.ndtri(np.clip(special.stdtr(nu, -float(d.mean()) / error), 1e-12, 1 - 1e-12)))


def _likelihood_ratio(d: Array) -> Array:
    """Return the mean, over the sets of non-overlapping labels, of how much likelier the old model makes them (n,).

    If the new model is right, its chance of ever reaching ``1 / alpha`` is about alpha (Ville 1939; interleaving of
    overlapping outcomes as in Henzi and Ziegel 2022).
    """
    rows = -(-len(d) // HORIZON)
    padded = np.zeros(rows * HORIZON)
    padded[: len(d)] = -d
    ratio = np.exp(np.cumsum(padded.reshape(rows, HORIZON), axis=0))
    before = np.vstack([np.ones(HORIZON), ratio[:-1]])
    done = np.cumsum(ratio, axis=1)
    waits = before.sum(axis=1, keepdims=True) - np.cumsum(before, axis=1)
    mean: Array = ((done + waits) / HORIZON).ravel()[: len(d)]
    return mean
