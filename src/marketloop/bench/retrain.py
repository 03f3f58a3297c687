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

__all__ = ["run"]

FAMILY = "price_predictor"
PEER = {
    "name": "a published claim for one model without walk-forward, on another machine",
    "rows": 45_238,
    "tickers": 50,
    "seconds": 127.3,
}


def run(path: Path, *, on_progress: Callable[[int, int, str], None] | None = None) -> dict[str, Any]:
    """Measure ``retrain price_predictor`` on the bars in `path`, in a temporary project with default settings.

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
        root = create_project(Path(name) / "project").root
        tell(0, 2, "collecting")
        collected = _command(root, "collect", "--source", "folder", "--path", str(path))
        tell(1, 2, "retraining")
        retrained = _command(root, "retrain", FAMILY, codes=(0, 1))
    cycle = json.loads(retrained.stdout)
    (family,) = cycle["families"]
    return {
        "name": "retrain",
        "rows": json.loads(collected.stdout)["quality"]["accepted"],
        "seconds": round(retrained.seconds, 1),
        "peak_rss_mb": round(retrained.peak_rss_mb),
        "figures": {
            "cpu_seconds": round(retrained.cpu_seconds, 1),
            "collect_seconds": round(collected.seconds, 1),
            "collect_peak_rss_mb": round(collected.peak_rss_mb),
            "tickers": family["tickers"],
            "training_rows": family["rows"],
            "verdict": family["verdict"],
            "reason_code": family["reason_code"],
            "reason": family["reason"],
            "rank_ic": family["metrics"].get("rank_ic"),
            "accuracy": family["metrics"].get("accuracy"),
            "baseline_accuracy": family["baseline"].get("accuracy"),
        },
        "peer": PEER,
    }


def _command(root: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> Measured:
    return measure((*COMMAND, "--project", str(root), *arguments, "--json"), folder=root, codes=codes)


def _silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""
