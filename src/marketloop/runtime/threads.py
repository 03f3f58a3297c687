"""The thread budget: how many threads numerical libraries may start, set before any of them is imported."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

__all__ = ["BUDGET_VARIABLES", "cores", "set_thread_budget"]

BUDGET_VARIABLES: Final = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS")
_QUIET: Final = {
    # Idle OpenMP threads sleep instead of spinning: beside another process a fit took 36.7 s without, 7.3 s with it.
    "OMP_WAIT_POLICY": "passive",
    # Threads of BLAS spin while they wait, whatever OMP_WAIT_POLICY says: on busy cores a ridge fit took 4.6 s of CPU
    # with two of them and 0.6 s with one. The products here are tall and thin and gain nothing from a second one.
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_thread_budget(threads: int | None = None, environ: MutableMapping[str, str] | None = None) -> int:
    """Set the environment variables that numerical libraries read at their import, and return the budget.

    Parameters
    ----------
    threads : int, optional
        Threads per process; a variable that is set already wins over the default of all cores, not over a number
        given here.
    environ : mapping, optional
        ``os.environ`` by default.
    """
    target = os.environ if environ is None else environ
    for name, value in _QUIET.items():
        target.setdefault(name, value)
    budget = threads or cores()
    for name in BUDGET_VARIABLES:
        if threads is None:
            target.setdefault(name, str(budget))
        else:
            target[name] = str(budget)
    return budget
