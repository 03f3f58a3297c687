"""From scores to the weights that an account should hold: signals by a rule of the past, sizes by what was known."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError, unknown_name
from marketloop.core.values import BoolArray, IntArray
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE

__all__ = [
    "SIZINGS",
    "Rule",
    "Sizing",
    "buy_and_hold",
    "equal_weight",
    "past_edge",
    "quantiles_of",
    "session_rule",
    "sides_of",
    "stream_rule",
    "target_weights",
    "trailing_rule",
]

SIZINGS = ("equal", "kelly", "volatility")
LEAST_SESSIONS = 60
"""Sessions of scores with known returns that an edge is estimated from at least."""
EXECUTED = 2
"""Sessions from a score to the close of the first whole session that a position taken on it has earned."""
CALLED = 0.1
"""Share of the scores on each side that is a BUY or a SELL."""
RULE_SESSIONS = 250
"""Newest sessions of scores, at least, whose outer shares are called."""
STRIDE = 64
"""Every so many-th value of a run that finds where a quantile lies."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sizing:
    """How large positions are.

    Parameters
    ----------
    method : str
        ``equal``: every position the same share. ``volatility``: shares in proportion to 1 / trailing volatility.
        ``kelly``: a fraction of expected return over variance, each from the past only; what has no positive expected
        return gets nothing, and nothing is held before there are 60 sessions to expect from.
    short : bool
        Whether SELL is a short position; otherwise it is none.
    max_weight, max_gross : float, 0..1
        Most that one position, and all together, may be of the equity. What the limit on one position cuts off stays
        in cash.
    kelly_fraction : float, 0..1
        Share of the full Kelly size; the full size is right only when the estimates are.
    """

    method: str = "equal"
    short: bool = False
    max_weight: float = 0.2
    max_gross: float = 1.0
    kelly_fraction: float = 0.5

    def __post_init__(self) -> None:
        if self.method not in SIZINGS:
            raise unknown_name("sizing", self.method, SIZINGS)
        for name in ("max_weight", "max_gross", "kelly_fraction"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
                raise UsageError(f"{name} = {value!r}: expected a fraction above 0 and at most 1")


@dataclass(frozen=True, slots=True)
class Rule:
    """BUY at or above `buy_from`, SELL at or below `sell_to`, else HOLD; thresholds per session.

    Parameters
    ----------
    buy_from, sell_to : float64 (T,)
        NaN in sessions that have no rule yet.
    abstained : bool (T, N), optional
        Where the model is not confident enough: HOLD whatever the score.
    """

    buy_from: Array
    sell_to: Array
    abstained: BoolArray | None = None

    @property
    def known(self) -> BoolArray:
        """In which sessions there is a rule, bool (T,)."""
        return ~np.isnan(self.buy_from)

    def until(self, end: int) -> Rule:
        """Return the rule of the first `end` sessions."""
        return Rule(self.buy_from[:end], self.sell_to[:end], None if self.abstained is None else self.abstained[:end])


def stream_rule(scores: Array, block: IntArray) -> Rule:
    """Return what is a BUY and what a SELL in each session of a stream.

    The outer tenth on each side of the session's own scores; in a universe too small for a cross-section, that of the
    scores before.
    """
    return session_rule(scores) if scores.shape[1] >= SMALL_UNIVERSE else trailing_rule(scores, block)


def session_rule(scores: Array, *, share: float = CALLED) -> Rule:
    """Return the rule that calls the outer `share` on each side of each session's own scores (ADR 0013).

    What is proven of a model is the order in which it puts the tickers of a session, and that is what is called: the
    level and the spread of scores belong to one fitted model, and a threshold carried over from another calls
    everything or nothing. At least one ticker on each side; who says the same as the last one called is called too. A
    session with fewer than 10 scores, or with one score for all, calls nobody.

    Parameters
    ----------
    scores : float64 (T, N)
    share : float, above 0, below 0.5
    """
    ordered = np.sort(scores, axis=1)  # unknown ones come last
    n = np.isfinite(scores).sum(axis=1)
    called, row = np.maximum((share * n + 1e-9).astype(np.intp), 1), np.arange(len(scores))
    few = n < SMALL_UNIVERSE
    buy, sell = ordered[row, np.maximum(n - called, 0)], ordered[row, np.minimum(called, scores.shape[1]) - 1]
    flat = few | (buy <= sell)
    buy, sell = np.where(flat, np.inf, buy), np.where(flat, -np.inf, sell)
    return Rule(np.where(n > 0, buy, np.nan), np.where(n > 0, sell, np.nan))


def trailing_rule(scores: Array, block: IntArray, *, share: float = CALLED, least: int = RULE_SESSIONS) -> Rule:
    """Return the rule that calls the outer `share` on each side of the scores of the blocks just *before*.

    For a universe that is too small for a cross-section. The level of scores moves as models are refitted, so that
    against all that was ever said a model can fall silent for months; the newest earlier blocks with at least `least`
    sessions of scores, whole blocks, are what is asked.

    Parameters
    ----------
    scores : float64 (T, N)
    block : int (T,)
        Number of the block of each session, not falling. A block's sessions share one rule; sessions of the first block
        that has scores have none.
    share : float
        As in `signal_rule`, which does the same for a version that is served: there the newest block is past too.
    """
    buy_from, sell_to = np.full(len(scores), np.nan), np.full(len(scores), np.nan)
    runs: deque[tuple[int, Array]] = deque()
    for rows in np.split(np.arange(len(scores)), np.flatnonzero(np.diff(block)) + 1):
        if runs:
            below, above = quantiles_of([values for _, values in runs], share)
            buy_from[rows], sell_to[rows] = (above, below) if above > below else (np.inf, -np.inf)
        fresh = scores[rows]
        known = np.isfinite(fresh)
        if known.any():
            runs.append((int(known.any(axis=1).sum()), np.sort(fresh[known])))
        while sum(sessions for sessions, _ in islice(runs, 1, None)) >= least:
            runs.popleft()
    return Rule(buy_from, sell_to)


def quantiles_of(runs: Sequence[Array], share: float) -> tuple[float, float]:
    """Return the quantiles `share` and ``1 - share`` of values that stand in runs, each in rising order.

    The same as ``np.quantile`` of all of them, without putting them together: every so many-th value of each run says
    between which two values the wanted one lies, and only those between are sorted.
    """
    last = sum(map(len, runs)) - 1
    samples = np.sort(np.concatenate([run[::STRIDE] for run in runs]))
    return _between(runs, samples, share * last), _between(runs, samples, (1 - share) * last)


def sides_of(scores: Array, rule: Rule, *, short: bool) -> NDArray[np.int8]:
    """Return 1 where a ticker is to be held, -1 where it is to be short, else 0, int8 (T, N)."""
    with np.errstate(invalid="ignore"):
        sides = (scores >= rule.buy_from[:, None]).astype(np.int8)
        if short:
            sides -= ((scores <= rule.sell_to[:, None]) & (sides == 0)).astype(np.int8)
    if rule.abstained is not None:
        sides[rule.abstained] = 0
    return sides


def target_weights(scores: Array, rule: Rule, volatility: Array, returns: Array, sizing: Sizing) -> Array:
    """Return the weight of each ticker that is wanted at each close, float64 (T, N).

    Parameters
    ----------
    scores : float64 (T, N)
        Known at the close of each row; NaN where there is none, which is no position.
    rule : Rule
    volatility : float64 (T, N)
        Standard deviation of one-session returns, known at the close; NaN where unknown, which is no position unless
        sizes are equal.
    returns : float64 (T, N)
        One-session returns, from which `kelly` learns what a score was worth.
    sizing : Sizing

    Returns
    -------
    float64 (T, N)
        Negative for short. NaN (no order) in rows without any score or without a rule.
    """
    sides = sides_of(scores, rule, short=sizing.short)
    if sizing.method == "kelly":
        weights = _kelly(sides, past_edge(scores, returns), volatility, sizing)
    else:
        weights = _shared(sides, volatility if sizing.method == "volatility" else None, sizing)
    weights[~(rule.known & np.isfinite(scores).any(axis=1))] = np.nan
    return weights


def past_edge(scores: Array, returns: Array) -> Array:
    """Return the one-session return that each score leads to expect, by least squares on the past, float64 (T, N).

    All earlier pairs (score of session s, return of the first whole session of a position taken on it, s + 2) that are
    known at the close of t give intercept and slope; with fewer than 60 sessions of pairs the row is NaN.
    """
    edge = np.full(scores.shape, np.nan)
    if len(scores) <= EXECUTED:
        return edge
    x, y = scores[:-EXECUTED], returns[EXECUTED:]
    pair = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(pair, x, 0.0), np.where(pair, y, 0.0)
    rows = (pair, x, y, x * x, x * y)
    n, sx, sy, sxx, sxy = (np.cumsum(values.sum(axis=1, dtype=np.float64)) for values in rows)
    spread = sxx - sx * sx / np.maximum(n, 1)
    covariance = sxy - sx * sy / np.maximum(n, 1)
    slope = np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    intercept = (sy - slope * sx) / np.maximum(n, 1)
    enough = np.cumsum(pair.any(axis=1)) >= LEAST_SESSIONS
    known = EXECUTED + np.flatnonzero(enough)
    edge[known] = intercept[enough, None] + slope[enough, None] * scores[known]
    return edge


def equal_weight(bars: BoolArray) -> Array:
    """Return equal weights of all tickers that have a bar, in every session, float64 (T, N); NaN for the others."""
    return np.where(bars, 1 / np.maximum(bars.sum(axis=1, keepdims=True), 1), np.nan)


def buy_and_hold(bars: BoolArray) -> Array:
    """Return equal weights in the first row, of all tickers that have a bar there and in the next; no orders after."""
    out = np.full(bars.shape, np.nan)
    out[:1] = equal_weight(bars[:1] & bars[1:2]) if len(bars) > 1 else np.nan
    return out


def _shared(sides: NDArray[np.int8], volatility: Array | None, sizing: Sizing) -> Array:
    size = np.abs(sides).astype(np.float64)
    if volatility is not None:
        usable = np.isfinite(volatility) & (volatility > 0)
        size = np.divide(size, volatility, out=np.zeros_like(size), where=usable)
    total = size.sum(axis=1, keepdims=True)
    share = np.divide(sizing.max_gross, total, out=np.zeros_like(total), where=total > 0)
    weights: Array = sides * np.minimum(size * share, sizing.max_weight)
    return weights


def _kelly(sides: NDArray[np.int8], edge: Array, volatility: Array, sizing: Sizing) -> Array:
    usable = np.isfinite(edge) & np.isfinite(volatility) & (volatility > 0) & (edge * sides > 0)
    size = np.divide(np.abs(edge), volatility**2, out=np.zeros_like(edge), where=usable)
    size = np.minimum(sizing.kelly_fraction * size, sizing.max_weight)
    total = size.sum(axis=1, keepdims=True)
    weights: Array = sides * size * np.minimum(1.0, sizing.max_gross / np.maximum(total, 1e-300))
    return weights


def _between(runs: Sequence[Array], samples: Array, at: float) -> float:
    """Return the value at position `at` of all values in rising order, between neighbours by a straight line."""
    below = int(at)
    # Below sample i stand at most STRIDE * i values, and at least STRIDE * i less STRIDE - 1 for each run.
    lowest = samples[below // STRIDE]
    high = -(-(below + 1 + len(runs) * (STRIDE - 1)) // STRIDE)
    highest = samples[high] if high < len(samples) else np.inf
    starts = [int(run.searchsorted(lowest)) for run in runs]
    ends = [int(run.searchsorted(highest, side="right")) for run in runs]
    near = np.sort(np.concatenate([run[a:b] for run, a, b in zip(runs, starts, ends, strict=True)]))
    first = below - sum(starts)
    after = near[min(first + 1, len(near) - 1)]
    return float(near[first] + (at - below) * (after - near[first]))
