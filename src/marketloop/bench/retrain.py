"""What a whole retrain costs: a file of bars, a new project, a fresh process, walk-forward and gate included."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from marketloop.bench.processes import COMMAND, Measured, measure
from marketloop.core.errors import UsageError
from marketloop.runtime.project import create_project

__all__ = ["context_beside", "run"]

SERIES = {"spx": "^GSPC", "vix": "^VIX", "usd": "DX-Y.NYB"}
"""Tickers in the file of market series."""
PEER = {
    "name": "a published claim for one model without walk-forward, on another machine",
    "rows": 45_238,
    "tickers": 50,
    "seconds": 127.3,
}


def run(path: Path, *, on_progress: Callable[[int, int, str], None] | None = None) -> dict[str, Any]:
    """Measure ``retrain`` on the bars in `path`, in a temporary project with default settings: all its families.

    Market series beside the bars (``context_indices_1990_2018.parquet`` in the same folder) become the project's
    ``[context]``: without an S&P 500 the regimes would be left out.

    Parameters
    ----------
    path : Path
        File or folder that the source ``folder`` reads.

    Returns
    -------
    dict
        The document of ``marketloop bench``: ``name, rows, seconds, peak_rss_mb, figures, peer``. `seconds` is the
        retrain, which finds the bars collected (that was its own process, `collect_seconds`); `rows` are the bars.

    Raises
    ------
    UsageError
        There is no such file.
    FailedError
        A step failed; its own words are in the message.
    """
    path = path.expanduser().absolute()
    if not path.exists():
        raise UsageError(f"no file or folder {path}: name the bars to retrain on with --path FILE")
    tell = on_progress or _silent
    with tempfile.TemporaryDirectory(prefix="marketloop_bench_") as name:
        root = create_project(Path(name) / "project", settings=context_beside(path)).root
        tell(0, 2, "collecting")
        collected = _command(root, "collect", "--source", "folder", "--path", str(path))
        tell(1, 2, "retraining")
        retrained = _command(root, "retrain", codes=(0, 1))
    cycle = json.loads(retrained.stdout)
    return {
        "name": "retrain",
        "rows": json.loads(collected.stdout)["quality"]["accepted"],
        "seconds": round(retrained.seconds, 1),
        "peak_rss_mb": round(retrained.peak_rss_mb),
        "figures": {
            "cpu_seconds": round(retrained.cpu_seconds, 1),
            "collect_seconds": round(collected.seconds, 1),
            "collect_peak_rss_mb": round(collected.peak_rss_mb),
            "families": {family["family"]: _figures(family) for family in cycle["families"]},
        },
        "peer": PEER,
    }


def _figures(family: dict[str, Any]) -> dict[str, Any]:
    told = ("tickers", "rows", "verdict", "reason_code", "reason")
    return {
        **{name: family[name] for name in told},
        "metrics": {n: family["metrics"].get(n) for n in ("rank_ic", "z", "accuracy") if n in family["metrics"]},
        "baseline": {n: family["baseline"].get(n) for n in ("accuracy",) if n in family["baseline"]},
    }


def context_beside(path: Path) -> dict[str, str]:
    """Return the settings that name the market series beside the bars, if there are any."""
    series = path.parent / "context_indices_1990_2018.parquet"
    return {f"context.{name}": f"{series}#{column}" for name, column in SERIES.items()} if series.is_file() else {}


def _command(root: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> Measured:
    return measure((*COMMAND, "--project", str(root), *arguments, "--json"), folder=root, codes=codes)


def _silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""
