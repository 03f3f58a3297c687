"""How fast a backtest is once the scores are there: rule, weights, account, benchmarks and figures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.values import Sessions
from marketloop.evaluation.backtest import Plan, run_backtest
from marketloop.evaluation.positions import SIZINGS, Sizing, stream_rule
from marketloop.labels import Panel, build_panel
from marketloop.runtime.memory import peak_rss_mb

__all__ = ["run"]

TICKERS, SESSIONS, BLOCK = 500, 1250, 21
REPEATS = 20
PERSISTENCE = 0.95
"""How much of a score is still there in the next session; signals of real models change about as slowly."""


def run(*, on_progress: Callable[[int, int, str], None] | None = None) -> dict[str, Any]:
    """Measure the backtest of 500 tickers over 1,250 sessions with simulated prices and scores.

    Returns
    -------
    dict
        The document of ``marketloop bench``. `seconds` is the median wall time of one whole backtest, from scores to
        figures, without making the scores; its parts are beside it, and the CPU time, which suffers less from other
        processes. One ticker in fifty lists late or stops early, and a few bars are missing.
    """
    panel, scores = _market()
    block = np.arange(SESSIONS) // BLOCK
    parts: dict[str, list[float]] = {"rule": [], "equal": [], "volatility": [], "kelly": []}
    cpu, wall = [], []
    for done in range(REPEATS):
        if on_progress is not None:
            on_progress(done, REPEATS, "backtesting")
        began, used = time.perf_counter(), time.process_time()
        rule = stream_rule(scores, block)
        parts["rule"].append(time.perf_counter() - began)
        for method in sorted(SIZINGS):
            start = time.perf_counter()
            run_backtest(scores, rule, panel, Plan(sizing=Sizing(method)), rows=(BLOCK, SESSIONS - 1)).figures()
            parts[method].append(time.perf_counter() - start)
            if method == "equal":
                wall.append(time.perf_counter() - began)
                cpu.append(time.process_time() - used)
    return {
        "name": "backtest",
        "rows": TICKERS * SESSIONS,
        "seconds": round(statistics.median(wall), 4),
        "peak_rss_mb": round(peak_rss_mb()),
        "figures": {
            "tickers": TICKERS,
            "sessions": SESSIONS,
            "repeats": REPEATS,
            "median_s": round(statistics.median(wall), 4),
            "best_s": round(min(wall), 4),
            "cpu_median_s": round(statistics.median(cpu), 4),
            "parts_median_s": {name: round(statistics.median(values), 4) for name, values in parts.items()},
            "parts_best_s": {name: round(min(values), 4) for name, values in parts.items()},
        },
        "peer": {},
    }


def _market() -> tuple[Panel, NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    close = 50 * np.exp(np.cumsum(rng.normal(0.0003, 0.015, (SESSIONS, TICKERS)), axis=0))
    close[:400, : TICKERS // 50], close[900:, -(TICKERS // 50) :] = np.nan, np.nan
    close[rng.random(close.shape) < 0.0001] = np.nan
    known = np.isfinite(close)
    row, column = np.nonzero(known)
    days = np.datetime64("2001-01-01") + np.arange(SESSIONS)
    names = np.array([f"T{i:03d}" for i in range(TICKERS)])
    opens = close * np.exp(rng.normal(0, 0.003, close.shape))
    bars = pl.DataFrame({"date": days[row], "ticker": names[column], "open": opens[known], "close": close[known]})
    scores = rng.normal(size=close.shape)
    for t in range(1, SESSIONS):
        scores[t] = PERSISTENCE * scores[t - 1] + np.sqrt(1 - PERSISTENCE**2) * scores[t]
    return build_panel(bars, Sessions("EVERYDAY", days)), np.where(known, scores, np.nan)
