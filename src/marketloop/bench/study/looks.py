"""A year of nights for one series, through the gate itself; nights on which nothing can happen are passed over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from marketloop.evaluation.boundary import robbins_siegmund_constant
from marketloop.evaluation.gate import ChampionFacts, Evidence, GatePolicy, Slot, examine
from marketloop.evaluation.harm import harm
from marketloop.evaluation.intervals import LEAST_TERMS
from marketloop.evaluation.rank_ic import SessionSeries

__all__ = ["alarm_at", "nights_of_proof", "series_from", "superior_at"]

Array = NDArray[np.float64]

NEAR = 0.02
"""A night is put to the gate when z comes so near to its bar; everything farther off cannot change the ledger."""


def series_from(x: Array) -> SessionSeries:
    """Return `x` as the series of sessions 0, 1, ..."""
    return SessionSeries(np.arange(len(x), dtype=np.int32), np.asarray(x, dtype=np.float64))


def nights_of_proof(
    x: Array, *, first: int, policy: GatePolicy, slot: Slot | None = None, every: bool = False
) -> int | None:
    """Return the number of terms with which skill was proven, None if it never was.

    Parameters
    ----------
    x : float64 (n,)
        All terms in the end; the first look sees ``x[:first]``, each further night one term more.
    slot : Slot, optional
        The ledger before the first look.
    every : bool
        Ask the gate every night instead of on those nights alone that may change something.
    """
    series, slot = series_from(x), slot or Slot()
    z = running_z(x)
    for n in range(first, len(x) + 1):
        year = slot.year
        opens = year is None or not year.covers(n - 1)
        near = year is not None and n >= year.n0 and z[n - 1] >= year.z_star - NEAR
        if not (every or opens or near or n == len(x)):
            continue
        champion = None if n == first else ChampionFacts(1, provisional=True, trained_through=n - 21)
        slot = examine(slot, champion, Evidence(n - 1, series.between(0, n - 1)), policy).slot
        if slot.proven:
            return n
    return None


def alarm_at(x: Array, policy: GatePolicy) -> int | None:
    """Return the number of live terms at which the harm alarm rings first, None if it never does."""
    window = policy.harm_window
    total, square = np.concatenate([[0.0], x.cumsum()]), np.concatenate([[0.0], (x * x).cumsum()])
    z = (total[window:] - total[:-window]) / np.sqrt(np.maximum(square[window:] - square[:-window], 1e-300))
    series = series_from(x)
    for n in np.flatnonzero(z <= policy.z_harm + NEAR) + window:
        if harm(series.between(0, int(n) - 1), policy).alarm:
            return int(n)
    return None


def superior_at(x: Array, d: Array, *, champion: int, policy: GatePolicy, refresh: bool = False) -> int | None:
    """Return how many sessions a proven champion had been compared on when it was called worse, None if it never was.

    Parameters
    ----------
    x : float64 (n,)
        The stream's series.
    d : float64 (m,)
        Its newest `m` values less those of the champion, trained through term `champion`.
    refresh : bool
        Whether old age may end the reign first.
    """
    series, difference = series_from(x), SessionSeries(np.arange(len(x) - len(d), len(x), dtype=np.int32), d)
    slot, facts = Slot(proven=True), ChampionFacts(1, provisional=False, trained_through=champion)
    policy = policy if refresh else replace(policy, refresh_age=10**6)
    near = running_z(d) >= _boundary(d, policy) - NEAR
    for n in range(len(x) - len(d) + policy.min_pair_sessions, len(x) + 1):
        if not near[n - (len(x) - len(d)) - 1] and n - 1 - champion < policy.refresh_age:
            continue
        evidence = Evidence(n - 1, series.between(0, n - 1), d=difference.between(0, n - 1))
        verdict = examine(slot, facts, evidence, policy)
        slot = verdict.slot
        if verdict.verdict == "promoted":
            return n - (len(x) - len(d)) if verdict.reason_code == "superior" else None
    return None


def _boundary(d: Array, policy: GatePolicy) -> Array:
    """Return the bar of a first reign after each of the differences `d`."""
    variance = (d * d).cumsum()
    a = robbins_siegmund_constant(policy.alpha_better / 2)
    bar: Array = np.sqrt(a * a + np.log(np.maximum(variance / max(variance[LEAST_TERMS - 1], 1e-300), 1.0)))
    return bar


def running_z(x: Array) -> Array:
    """Return ``sum / sqrt(sum of squares)`` after each term, NaN before the 40th."""
    with np.errstate(invalid="ignore", divide="ignore"):
        z: Array = x.cumsum() / np.sqrt((x * x).cumsum())
    z[: LEAST_TERMS - 1] = np.nan
    return z
