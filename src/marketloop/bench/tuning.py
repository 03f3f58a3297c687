"""What fifty trials of the price predictor cost, and what a binned matrix that the trials share is worth."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from marketloop.evaluation.trials import TrialFolds
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Prepared, prepare
from marketloop.loop.searching import steps_of
from marketloop.loop.studies import StudyPlan, plan_study, search_space, what_to_tune
from marketloop.loop.tuning import TuneRequest, tune_family
from marketloop.models.tuning import Trial
from marketloop.runtime.memory import peak_rss_mb
from marketloop.runtime.project import create_project

__all__ = ["run"]

FAMILY, RECIPE = "price_predictor", "xgboost"
REPLAYED = 6
"""Trials that are repeated with and without sharing, for the ratio of their CPU seconds."""
WANTED = {"name": "wanted: at most 300 s, aim 120 s, on 2 cores", "seconds": 300.0}


def run(
    *,
    workers: int = 1,
    trials: int = 50,
    tickers: int = 50,
    sessions: int = 1250,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Measure ``tune price_predictor --algorithm xgboost`` on a simulated market, by default of five years.

    Parameters
    ----------
    workers : int
        Processes that share the trials.

    Returns
    -------
    dict
        The document of ``marketloop bench``. `seconds` is the search alone, with the features computed; of `figures`,
        ``sharing`` is how many times the CPU seconds of a trial without a shared binned matrix are those with one.
    """
    tell = on_progress or _silent
    with tempfile.TemporaryDirectory(prefix="marketloop_bench_") as name:
        root = create_project(Path(name) / "project").root
        with open_house(root, environ={}, flags={"tracking.enabled": False}) as house:
            tell(0, trials, "collecting")
            options = {"tickers": tickers, "sessions": sessions, "seed": 5}
            ingest(house, CollectRequest(source="synthetic", options=options))
            prepared = prepare(house, what_to_tune(house, FAMILY, RECIPE)[0])
            started, cpu = time.perf_counter(), time.process_time()
            found = tune_family(
                house,
                FAMILY,
                TuneRequest(RECIPE, n_trials=trials, workers=workers),
                prepared=prepared,
                tell=lambda what, done, total: tell(done, total, what),
            )
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            plan = _plan(house, prepared)
            done = plan.open().finished()
            figures = _sharing(plan, done)
    return {
        "name": "tuning",
        "rows": len(prepared.matrix),
        "seconds": round(seconds, 1),
        "peak_rss_mb": round(peak_rss_mb()),
        "figures": {
            "tickers": tickers,
            "sessions": sessions,
            "folds": len(found.folds),
            "workers": workers,
            "cpu_seconds": round(cpu, 1) if workers == 1 else None,
            **{state: found.states.get(state, 0) for state in ("complete", "pruned", "failed")},
            "pruned_share": round(found.states.get("pruned", 0) / len(done), 2),
            "trial_median_s": round(statistics.median(t.seconds for t in done if t.seconds is not None), 2),
            "value": round(found.tuning.value, 5),
            "default_value": found.default_value,
            "deflated_sharpe": found.evidence["deflated_sharpe"],
            "pbo": found.evidence["pbo"],
            **figures,
        },
        "peer": WANTED,
    }


def _plan(house: House, prepared: Prepared) -> StudyPlan:
    spec, recipe = what_to_tune(house, FAMILY, RECIPE)
    return plan_study(house, spec, recipe, prepared, space=search_space(house, spec, recipe), objective=None)


def _sharing(plan: StudyPlan, trials: tuple[Trial, ...]) -> dict[str, float]:
    """Repeat some trials with and without a shared matrix, in turns, and compare the CPU seconds."""
    spent = {True: 0.0, False: 0.0}
    sides = {
        shares: TrialFolds(plan.contender, plan.spec, plan.objective, plan.folds, shares).prepare(
            plan.matrix, plan.prepared.panel
        )
        for shares in spent
    }
    for trial in trials[:REPLAYED]:
        for shares, folds in sides.items():
            before = time.process_time()
            for _ in steps_of(folds)(trial.params):
                pass
            spent[shares] += time.process_time() - before
    return {
        "shared_cpu_s": round(spent[True], 2),
        "own_cpu_s": round(spent[False], 2),
        "sharing": round(spent[False] / max(spent[True], 1e-9), 2),
    }


def _silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""
