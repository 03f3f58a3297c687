"""How well the ranker orders real tickers 1, 5 and 20 sessions ahead, on the test window of a published peer."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from marketloop.core.errors import UsageError
from marketloop.evaluation.intervals import ewc_interval
from marketloop.evaluation.rank_ic import SessionSeries, spearman_rows
from marketloop.evaluation.stream import Stream, StreamSpec, advance, grid_of
from marketloop.labels import forward_outcomes
from marketloop.loop.house import open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Choices, Prepared, choose, prepare
from marketloop.runtime.memory import peak_rss_mb
from marketloop.runtime.project import create_project
from marketloop.runtime.threads import set_thread_budget

__all__ = ["HORIZONS", "WINDOW", "run"]

FAMILY = "momentum_ranker"
HORIZONS = (1, 5, 20)
WINDOW = (dt.date(2017, 1, 3), dt.date(2018, 1, 31))
"""First and last session of the peer's test; the outcomes of its last session reach 20 sessions further at most."""
PEER = {
    "name": "Qlib 0.9.7, Alpha158 and LightGBM with its published hyperparameters, next-day label, this file",
    "train": "to 2016-06",
    "test": "2017-01 to 2018-02",
    "rank_ic": 0.0042,
    "rank_icir": 0.069,
}


def run(path: Path, *, on_progress: Callable[[int, int, str], None] | None = None) -> dict[str, Any]:
    """Walk the ranker through the bars in `path` with labels of 1, 5 and 20 sessions and measure its order.

    Returns
    -------
    dict
        The document of ``marketloop bench``. For each horizon, on the test window and on everything out of sample: mean
        rank IC per session against plain returns (as the peer's) and neutralised ones, ICIR (mean over standard
        deviation, per session), t and p corrected for overlap (EWC), and sessions.

    Raises
    ------
    UsageError
        There is no such file, or it does not reach over the test window.
    """
    path = path.expanduser().absolute()
    if not path.exists():
        raise UsageError(f"no file or folder {path}: name the bars with --path FILE")
    set_thread_budget()
    started = time.perf_counter()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="marketloop_bench_") as name:
        root = create_project(Path(name) / "project").root
        with open_house(root, environ={}, flags={"tracking.enabled": False}) as house:
            collected = ingest(house, CollectRequest(source="folder", path=path), tell=_silent)
            for done, horizon in enumerate(HORIZONS):
                if on_progress is not None:
                    on_progress(done, len(HORIZONS), f"{horizon}-session label")
                spec = choose(house, FAMILY, Choices(target_days=horizon))
                prepared = prepare(house, spec)
                stream = advance(Stream(spec.fingerprint), prepared.matrix, prepared.panel, spec)
                figures[f"{horizon}_sessions"] = _measured(stream, prepared, spec)
            rows = collected.collected.new_rows
    return {
        "name": "prediction",
        "rows": rows,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_mb": round(peak_rss_mb()),
        "figures": figures,
        "peer": PEER,
    }


def _measured(stream: Stream, prepared: Prepared, spec: StreamSpec) -> dict[str, Any]:
    panel, horizon = prepared.panel, spec.label.horizon
    outcomes, scores = forward_outcomes(panel, horizon), grid_of(stream.scores, panel)
    first, last = (int(prepared.sessions.numbers([day])[0]) for day in WINDOW)
    plain = spearman_rows(scores, outcomes.returns, panel.first)
    neutral = spearman_rows(scores, outcomes.neutral, panel.first)
    if len(plain.between(first, last)) == 0:
        raise UsageError(f"the bars give no scored session from {WINDOW[0]} to {WINDOW[1]}: name the file of the peer")
    nominees: dict[str, int] = {}
    for block in stream.blocks:
        nominees[block.nominee] = nominees.get(block.nominee, 0) + 1
    return {
        "test_window": _figures(plain.between(first, last), horizon),
        "test_window_neutralised": _figures(neutral.between(first, last), horizon),
        "all_out_of_sample": _figures(plain, horizon),
        "all_out_of_sample_neutralised": _figures(neutral, horizon),
        "nominees": nominees,
    }


def _figures(series: SessionSeries, horizon: int) -> dict[str, Any]:
    interval = ewc_interval(series.value, horizon=horizon)
    spread = float(np.std(series.value, ddof=1))
    return {
        "rank_ic": round(interval.mean, 4),
        "rank_icir": round(interval.mean / spread, 3),
        "t": _rounded(interval.t, 2),
        "p_value": _rounded(interval.p, 3),
        "interval": [_rounded(interval.low, 4), _rounded(interval.high, 4)],
        "sessions": len(series),
    }


def _rounded(value: float, digits: int) -> float | None:
    return round(value, digits) if np.isfinite(value) else None


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
