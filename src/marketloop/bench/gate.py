"""The gate's promises, measured without fitting models: how often it is wrong, and how soon it is right."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from marketloop.bench.counts import Count
from marketloop.bench.study.cases import STUDIES, Case, Fact, ic_per_strength
from marketloop.core.errors import UsageError
from marketloop.runtime.memory import peak_rss_mb
from marketloop.runtime.parallel import parallel_map
from marketloop.runtime.threads import set_thread_budget

__all__ = ["cases", "run"]

NUMBERS = frozenset({"harm alarm, sessions after the turn", "continuity"})
"""Studies whose answers are numbers; all others say whether something happened."""
BATCH = 20
PLANTED = (0.02, 0.03, 0.05, 0.10)


def run(
    *,
    seeds: int = 250,
    path: Path | None = None,
    workers: int = 1,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Count what the gate claims on markets without signal, and on planted ones what it finds.

    Parameters
    ----------
    seeds : int, at least 1
        Markets of each case; on most of them several scores are tried.
    path : Path, optional
        A Parquet file of daily bars of many tickers, for markets of shuffled real returns; without it these are left
        out.
    workers : int, at least 1
        Processes.
    on_progress : function of (done, total, what), optional

    Returns
    -------
    dict
        The document of ``marketloop bench``; under ``figures`` each study with its rows: hits, trials and Wilson's
        95 % interval of what may happen, quantiles of numbers. Scores on one market share its returns, so their
        trials are not quite independent.

    Raises
    ------
    UsageError
        An argument is out of range, or the file cannot be read.
    """
    if seeds < 1:
        raise UsageError(f"seeds = {seeds}: expected at least 1 market of each case")
    set_thread_budget()  # before workers start: they read it at their imports
    started = time.perf_counter()
    asked = cases(seeds=seeds, path=path, per_strength=ic_per_strength(min(12, seeds + 2)))
    batches = [asked[at : at + BATCH] for at in range(0, len(asked), BATCH)]

    def tell(position: int, _: list[Fact]) -> None:
        if on_progress is not None:
            on_progress(position + 1, len(batches), batches[position][0].study)

    found = parallel_map(answers, batches, workers=workers, threads=workers, on_result=tell)
    return {
        "name": "gate",
        "rows": sum(len(facts) for facts in found),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_mb": round(peak_rss_mb()),
        "figures": tabulated([fact for facts in found for fact in facts]),
    }


def cases(*, seeds: int, path: Path | None, per_strength: float) -> list[Case]:
    """Return every case of a run, `seeds` markets of each."""
    kinds = [
        *(Case("proofs", 0, horizon=h) for h in (5, 1, 20, 60)),
        *(Case("proofs", 0, tickers=n) for n in (5, 8, 10, 20, 100)),
        *(Case("proofs", 0, "drifting", tickers=n) for n in (5, 8)),
        Case("proofs", 0, n0=250),
        Case("slots", 0),
        Case("further", 0),
        Case("restart", 0),
        *(Case("harm", 0, ic=ic, strength=ic / per_strength) for ic in (0.0, *PLANTED)),
        Case("better", 0),
        Case("continuity", 0),
        *(Case("coverage", 0, horizon=h) for h in (1, 5, 20)),
        Case("coverage", 0, ic=0.05, strength=0.05 / per_strength),
        *(Case("overlap", 0, horizon=20, n0=n) for n in (250, 500, 1000)),
    ]
    if path is not None:
        kinds += [
            Case("proofs", 0, "mirrored", tickers=n, horizon=h, path=path) for n, h in ((50, 5), (8, 5), (50, 20))
        ]
        kinds += [Case("proofs", 0, "blocks", path=path), Case("better", 0, "mirrored", path=path)]
    return [replace(kind, seed=seed) for kind in kinds for seed in range(seeds)]


def answers(batch: Sequence[Case]) -> list[Fact]:
    """Return what is found in each case of `batch`."""
    return [fact for case in batch for fact in STUDIES[case.study](case)]


def tabulated(facts: Sequence[Fact]) -> dict[str, Any]:
    """Return counts or quantiles by study and row, in the order in which they were asked."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for fact in facts:
        values[fact.study][fact.row].append(float(fact.value))
    return {
        study: {row: _quantiles(found) if study in NUMBERS else _count(found) for row, found in rows.items()}
        for study, rows in values.items()
    }


def _count(found: Sequence[float]) -> dict[str, Any]:
    count = Count(sum(value > 0 for value in found), len(found))
    return {"share": round(count.hits / count.trials, 4), **count.document()}


def _quantiles(found: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(found)
    return {
        "median": round(statistics.median(ordered), 3),
        "least": round(ordered[0], 3),
        "low": round(ordered[int(0.01 * len(ordered))], 3),
        "most": round(ordered[-1], 3),
        "values": len(ordered),
    }
