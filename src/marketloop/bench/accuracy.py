"""Do the intervals of `accuracy` cover? Journals of a market without signal; outcomes overlap and share a market."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.signal import lfilter

from marketloop.bench.counts import Count
from marketloop.core.errors import UsageError
from marketloop.evaluation.accuracy import Figure, estimated_hits, hit_rate, rank_correlation, root_error
from marketloop.runtime.memory import peak_rss_mb

__all__ = ["Case", "Journal", "draw", "run"]

Array = NDArray[np.float64]

MEMORY: Final = 0.98
"""Autocorrelation of the log volatility, session by session: calm and wild months."""
WAVES: Final = 0.3
"""Standard deviation of the log volatility where it comes in waves."""
COMMON: Final = 0.6
"""Share of a ticker's standard deviation that it has in common with all others."""
TOO_SURE: Final = 0.10


@dataclass(frozen=True, slots=True)
class Case:
    """Sessions of which a journal speaks, and how far ahead; `threshold` in standard deviations of the whole move."""

    sessions: int
    horizon: int
    waves: bool = False
    tickers: int = 50
    threshold: float = 0.9

    @property
    def name(self) -> str:
        """What the case is called in the document."""
        volatility = "volatility in waves" if self.waves else "steady volatility"
        return f"{self.sessions} sessions, horizon {self.horizon}, {volatility}"


CASES: Final = (
    *(Case(*size) for size in ((60, 5), (120, 5), (250, 5), (250, 20))),
    *(Case(*size, waves=True) for size in ((120, 5), (250, 5), (250, 20))),
)


@dataclass(frozen=True, slots=True)
class Journal:
    """What was said and what came, flat by session; `hit` also of the sessions that are still open at the end.

    `chance` and `square` are per session: the probability of a hit and the expected square of a move, given how wild
    the sessions were.
    """

    session: NDArray[np.int32]
    ticker: NDArray[np.intp]
    score: Array
    move: Array
    hit: NDArray[np.bool_]
    chance: Array
    square: Array


def draw(case: Case, seed: int) -> Journal:
    """Return a journal of ``sessions + horizon`` sessions of a market on which its scores have no bearing.

    The last `horizon` sessions are those whose labels have not matured. Scores persist from session to session; BUY is
    said of the better half, SELL of the rest.
    """
    rng = np.random.default_rng(seed)
    spoken, names = case.sessions + case.horizon, case.tickers
    total = spoken + case.horizon
    shocks = rng.normal(0, WAVES * math.sqrt(1 - MEMORY**2), total + 300)
    wild = np.exp(lfilter([1.0], [1.0, -MEMORY], shocks)[300:]) if case.waves else np.ones(total)
    normal = COMMON * rng.standard_normal((total, 1)) + math.sqrt(1 - COMMON**2) * rng.standard_normal((total, names))
    daily = wild[:, None] * normal
    path = np.cumsum(np.vstack([np.zeros((1, names)), daily]), axis=0)
    move = (path[case.horizon :] - path[: -case.horizon])[:spoken] / math.sqrt(case.horizon)
    score = lfilter([1.0], [1.0, -0.9], rng.standard_normal((spoken + 100, names)), axis=0)[100:]
    up = score >= np.median(score, axis=1, keepdims=True)
    hit = np.where(up, move > case.threshold, move < -case.threshold)
    variance = np.convolve(wild**2, np.full(case.horizon, 1 / case.horizon), mode="valid")[:spoken]
    session, ticker = (grid.ravel() for grid in np.indices((spoken, names)))
    return Journal(
        session.astype(np.int32),
        ticker,
        score.ravel(),
        move.ravel(),
        hit.ravel(),
        special.ndtr(-case.threshold / np.sqrt(variance)),
        variance,
    )


def run(*, seeds: int = 1000, on_progress: Callable[[int, int, str], None] | None = None) -> dict[str, Any]:
    """Count how often the 95 % intervals hold the truth, by figure, sessions and horizon.

    The truth of accuracy and error is what was to be expected of these very sessions, given how wild they were; `long
    run` is their mean over all journals. That of the rank correlation is 0. The estimate of the open sessions is
    compared with what they brought, for probabilities that are right on average and for such as are too high by 0.10.
    `naive` counts rows as if each were an observation of its own.

    Raises
    ------
    UsageError
        Fewer than two seeds.
    """
    if seeds < 2:
        raise UsageError(f"seeds = {seeds}: expected at least 2 journals of each case")
    started, figures = time.perf_counter(), {}
    for number, case in enumerate(CASES):
        figures[case.name] = _covered(case, seeds)
        if on_progress is not None:
            on_progress(number + 1, len(CASES), case.name)
    return {
        "name": "accuracy",
        "rows": len(CASES) * seeds,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_mb": round(peak_rss_mb()),
        "figures": figures,
    }


def _covered(case: Case, seeds: int) -> dict[str, Any]:
    journals = [draw(case, seed) for seed in range(seeds)]
    long_run = float(np.mean([journal.chance.mean() for journal in journals]))
    hits: dict[str, list[bool]] = {}
    for journal in journals:
        past = journal.session < case.sessions
        session, hit, move = journal.session[past], journal.hit[past], journal.move[past]
        chance, square = (values[: case.sessions].mean() for values in (journal.chance, journal.square))
        rate = hit_rate(session, hit, hit, horizon=case.horizon)
        _count(hits, "accuracy", rate, float(chance))
        _count(hits, "accuracy, long run", rate, long_run)
        half = 1.96 * math.sqrt(rate.value * (1 - rate.value) / len(hit))
        hits.setdefault("accuracy, naive", []).append(abs(rate.value - float(chance)) <= half)
        error = root_error(session, np.zeros(len(move)), move, horizon=case.horizon)
        _count(hits, "rmse", error, math.sqrt(float(square)))
        ranks = rank_correlation(session, journal.ticker[past], journal.score[past], move, horizon=case.horizon)
        _count(hits, "rank_ic", ranks, 0.0)
        for name, said in (("estimate", long_run), ("estimate, too sure", long_run + TOO_SURE)):
            _estimate(hits, name, case, journal, said)
    return {"long_run": round(long_run, 4)} | {name: _document(found) for name, found in hits.items()}


def _count(hits: dict[str, list[bool]], name: str, figure: Figure, truth: float) -> None:
    if math.isfinite(figure.low):
        hits.setdefault(name, []).append(figure.low <= truth <= figure.high)


def _estimate(hits: dict[str, list[bool]], name: str, case: Case, journal: Journal, said: float) -> None:
    past = journal.session < case.sessions
    estimate = estimated_hits(
        journal.session[~past],
        np.full(int((~past).sum()), said),
        past_session=journal.session[past],
        past_surprise=journal.hit[past].astype(np.float64) - said,
        horizon=case.horizon,
    )
    if math.isfinite(estimate.low):
        hits.setdefault(name, []).append(estimate.low <= float(journal.hit[~past].mean()) <= estimate.high)


def _document(found: list[bool]) -> dict[str, Any]:
    count = Count(sum(found), len(found))
    return {"coverage": round(count.hits / count.trials, 4), **count.document()}
