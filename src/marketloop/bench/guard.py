"""The guard without models: how often it takes an equal champion back, and how soon a worse one."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from marketloop.bench.counts import Count
from marketloop.bench.study import guarded_regimes
from marketloop.bench.study.cases import MEMORY, Case, ic_per_strength, signal_of
from marketloop.bench.study.looks import series_from
from marketloop.bench.study.panels import autoregressive
from marketloop.bench.study.refits import HORIZON, refit
from marketloop.bench.study.series import one_session_ic
from marketloop.core.errors import UsageError
from marketloop.evaluation.guard import GuardPolicy, guard, guard_terms
from marketloop.runtime.memory import peak_rss_mb
from marketloop.runtime.parallel import parallel_map
from marketloop.runtime.threads import set_thread_budget

__all__ = ["run"]

Array = NDArray[np.float64]

POLICY: Final = GuardPolicy()
SCORES: Final = 4
"""Pairs of scores tried on one market."""
ALIKE: Final = (0.0, 0.9)
"""Correlation of the new scores with the old ones."""
PLANTED: Final = ((0.05, 0.02), (0.05, 0.05), (0.05, 0.10), (0.10, 0.05), (0.10, 0.10), (0.10, 0.20))
"""Rank IC of the old champion, and by how much the new one is worse."""
REFRESH: Final = 63
BATCH: Final = 10


@dataclass(frozen=True, slots=True)
class Ask:
    """One market: what is compared on it.

    Parameters
    ----------
    study : ``equal``, ``refitted``, ``overlapping``, ``regimes`` or ``worse``
    horizon, tickers : int
    ic, lost : float
        Rank IC of the old champion, and how much less the new one has.
    strength : float
        What plants a rank IC of 1, were it linear.
    """

    study: str
    seed: int
    horizon: int = 5
    tickers: int = 50
    ic: float = 0.0
    lost: float = 0.0
    strength: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the new champion was taken back, and after how many terms; `row` says of what kind it was."""

    study: str
    row: str
    terms: int | None


def run(
    *, seeds: int = 500, workers: int = 1, on_progress: Callable[[int, int, str], None] | None = None
) -> dict[str, Any]:
    """Count rollbacks between equals, and between an old champion and a worse new one.

    Parameters
    ----------
    seeds : int, at least 1
        Markets of each case; several pairs of scores are tried on most of them.
    workers : int, at least 1
        Processes.
    on_progress : function of (done, total, what), optional

    Returns
    -------
    dict
        The document of ``marketloop bench``: hits, trials and Wilson's 95 % interval by study and row, and, where
        something was found, the median number of terms until then.

    Raises
    ------
    UsageError
        An argument is out of range.
    """
    if seeds < 1:
        raise UsageError(f"seeds = {seeds}: expected at least 1 market of each case")
    set_thread_budget()  # before workers start: they read it at their imports
    started = time.perf_counter()
    asked = asks(seeds)
    batches = [asked[at : at + BATCH] for at in range(0, len(asked), BATCH)]

    def tell(position: int, _: list[Answer]) -> None:
        if on_progress is not None:
            on_progress(position + 1, len(batches), batches[position][0].study)

    found = parallel_map(answers, batches, workers=workers, threads=workers, on_result=tell)
    return {
        "name": "guard",
        "rows": sum(map(len, found)),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_mb": round(peak_rss_mb()),
        "figures": tabulated([answer for some in found for answer in some]),
    }


def asks(seeds: int) -> list[Ask]:
    """Return every market of a run."""
    kinds = [
        *(("equal", {"horizon": h}) for h in (1, 5, 20)),
        *(("equal", {"tickers": n}) for n in (8, 100)),
        ("refitted", {}),
        *(("overlapping", {"horizon": h}) for h in (5, 20)),
        ("regimes", {}),
    ]
    found = [Ask(study, seed, **more) for study, more in kinds for seed in range(seeds)]
    for tickers in (50, 100, 300):
        strength = 1 / ic_per_strength(min(12, seeds + 2), tickers=tickers)
        for ic, lost in PLANTED:
            found += [Ask("worse", seed, 5, tickers, ic, lost, strength) for seed in range(-(-seeds // 2))]
    return found


def answers(batch: Sequence[Ask]) -> list[Answer]:
    """Return what the guard did in each market of `batch`."""
    studies = {
        "equal": _equal,
        "refitted": _refitted,
        "overlapping": _overlapping,
        "regimes": _regimes,
        "worse": _worse,
    }
    return [answer for ask in batch for answer in studies[ask.study](ask)]


def taken_back(d: Array, *, overlap: int = 1, policy: GuardPolicy = POLICY) -> int | None:
    """Look every night at the differences `d` (n,); return the number of terms at which the guard spoke."""
    series = series_from(d)
    first, last = guard_terms(policy, overlap)
    looks = range(first, min(last, len(d)) + 1)
    return next((n for n in looks if guard(series.between(0, n - 1), policy, overlap=overlap).worse), None)


def _equal(ask: Ask) -> Iterator[Answer]:
    """Compare scores that know nothing, unlike each other and alike."""
    case = Case("guard", ask.seed, tickers=ask.tickers, horizon=ask.horizon)
    arena, rng = case.arena(POLICY.window), case.rng(21)
    shape = arena.panel.returns.shape
    for _ in range(SCORES):
        old, other = autoregressive(shape, 0.98, rng), autoregressive(shape, 0.98, rng)
        for alike in ALIKE:
            new = alike * old + np.sqrt(1 - alike**2) * other
            d = one_session_ic(arena, new, ask.horizon) - one_session_ic(arena, old, ask.horizon)
            row = f"{ask.tickers} tickers, label of {ask.horizon}, correlation {alike:g}"
            yield Answer("equal, a promotion", row, taken_back(d))


def _refitted(ask: Ask) -> Iterator[Answer]:
    """Let one worthless recipe be refitted every quarter, each refit guarded by the one before."""
    case = Case("guard", ask.seed, tickers=ask.tickers)
    fitted = refit(case.arena(1000), case.rng(22))
    year = []
    for session in range(700, 700 + 4 * REFRESH, REFRESH):
        old, new = fitted.frozen(session - REFRESH), fitted.frozen(session)
        d = (fitted.series(new, session + 1) - fitted.series(old, session + 1))[: REFRESH - HORIZON]
        year.append(taken_back(d))
        yield Answer("equal, a promotion", "the same recipe refitted after 63 sessions", year[-1])
    any_of = next((terms for terms in year if terms is not None), None)
    yield Answer("equal, a year of four refreshes", "the same recipe refitted after 63 sessions", any_of)


def _overlapping(ask: Ask) -> Iterator[Answer]:
    """Compare equals whose values reach over `horizon` sessions: moving sums of noise with a mean of exactly zero."""
    rng = np.random.default_rng([ask.seed, ask.horizon, 23])
    _, last = guard_terms(POLICY, ask.horizon)
    for _ in range(SCORES):
        noise = rng.standard_normal(last + ask.horizon)
        d = lfilter(np.ones(ask.horizon), [1.0], noise)[ask.horizon :]
        row = f"values over {ask.horizon} sessions"
        yield Answer("equal, a promotion, overlapping values", row, taken_back(d, overlap=ask.horizon))


def _regimes(ask: Ask) -> Iterator[Answer]:
    """Compare two regime models, whose labels reach over 20 sessions, by the guard's rule and by two quicker ones."""
    _, last = guard_terms(POLICY, guarded_regimes.HORIZON)
    for name, pairs in (("equal", guarded_regimes.EQUALS), ("worse", guarded_regimes.WORSE)):
        for row, pair in pairs.items():
            for rule, terms in guarded_regimes.looks(guarded_regimes.differences(ask.seed, pair, last)):
                yield Answer(f"regimes, {name}: {rule}", row, terms)


def _worse(ask: Ask) -> Iterator[Answer]:
    """Replace a champion that knows the planted signal by one that knows less of it, or the opposite."""
    case = Case("guard", ask.seed, tickers=ask.tickers, ic=ask.ic, strength=ask.ic * ask.strength)
    arena, signal = signal_of(case, POLICY.window)
    share = (ask.ic - ask.lost) / ask.ic
    noise = autoregressive(signal.shape, MEMORY, case.rng(24))
    new = share * signal + np.sqrt(1 - share**2) * noise
    d = one_session_ic(arena, new, case.horizon) - one_session_ic(arena, signal, case.horizon)
    row = f"{ask.tickers} tickers, rank IC {ask.ic:g}, the new one {ask.ic - ask.lost:g}"
    yield Answer("worse", row, taken_back(d))


def tabulated(found: Sequence[Answer]) -> dict[str, Any]:
    """Return counts by study and row, in the order in which they were asked."""
    by: dict[str, dict[str, list[int | None]]] = defaultdict(lambda: defaultdict(list))
    for answer in found:
        by[answer.study][answer.row].append(answer.terms)
    return {study: {row: _counted(terms) for row, terms in rows.items()} for study, rows in by.items()}


def _counted(terms: Sequence[int | None]) -> dict[str, Any]:
    known = [n for n in terms if n is not None]
    count = Count(len(known), len(terms))
    after = statistics.median(known) if known else None
    return {"share": round(len(known) / len(terms), 4), **count.document(), "median_terms": after}
