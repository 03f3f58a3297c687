"""What it costs to say hello, and what `retrain` without news and `rollback` cost on a project."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from marketloop.bench.processes import COMMAND, Measured, measure
from marketloop.bench.retrain import context_beside
from marketloop.core.errors import FailedError, UsageError
from marketloop.runtime.project import create_project

__all__ = ["run"]

QUICK: Final = {f"family.{name}.recipes": ["rank_ridge"] for name in ("price_predictor", "momentum_ranker")}
"""What the project learns by is of no matter here."""
FAMILY: Final = "price_predictor"
"""The family that is promoted twice, and goes back and forth."""


def run(
    *,
    path: Path | None = None,
    repeats: int = 5,
    settings: Mapping[str, Any] | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Measure fresh processes; medians of `repeats` count.

    A process that does nothing is measured beside them, because the interpreter's own start is in every figure.

    Parameters
    ----------
    path : Path, optional
        File or folder of bars. With it, ``retrain`` that finds nothing new and ``rollback`` are measured too, on a new
        project of these bars whose families were trained twice (some minutes).
    settings : mapping, optional
        Further settings of that project, by dotted key.

    Returns
    -------
    dict
        The document of ``marketloop bench``: ``name, rows, seconds, peak_rss_mb, figures, peer``; times are CPU seconds
        of all threads, where they are not called ``seconds`` alone.
    """
    if repeats < 1:
        raise UsageError(f"repeats = {repeats}: expected at least 1")
    tell = on_progress or _silent
    python = (sys.executable, "-c")
    measure((*COMMAND, "--help"))  # leaves bytecode behind, where the installation has not
    shown = [measure((*COMMAND, "--help")) for _ in range(repeats)]
    imported = [measure((*python, "import marketloop")) for _ in range(repeats)]
    empty = [measure((*python, "pass")) for _ in range(repeats)]
    nothing = statistics.median(one.cpu_seconds for one in empty)
    return {
        "name": "startup",
        "rows": 0,
        "seconds": round(statistics.median(one.seconds for one in shown), 3),
        "peak_rss_mb": round(max(one.peak_rss_mb for one in shown), 1),
        "figures": {
            "help_cpu_seconds": round(statistics.median(one.cpu_seconds for one in shown), 3),
            "import_cpu_seconds": round(statistics.median(one.cpu_seconds for one in imported) - nothing, 3),
            "python_itself_cpu_seconds": round(nothing, 3),
            **({} if path is None else _on_a_project(path, repeats, settings or {}, tell)),
            "repeats": repeats,
        },
        "peer": {},
    }


def _on_a_project(
    path: Path, repeats: int, settings: Mapping[str, Any], tell: Callable[[int, int, str], None]
) -> dict[str, Any]:
    path = path.expanduser().absolute()
    if not path.exists():
        raise UsageError(f"no file or folder {path}: name the bars of the project with --path FILE")
    with tempfile.TemporaryDirectory(prefix="marketloop_bench_") as name:
        root = create_project(Path(name) / "project", settings={**context_beside(path), **QUICK, **settings}).root

        def command(*arguments: str) -> Measured:
            return measure((*COMMAND, "--project", str(root), *arguments, "--json"), folder=root, codes=(0, 1))

        tell(0, 4, "collecting")
        collected = json.loads(command("collect", "--source", "folder", "--path", str(path)).stdout)
        tell(1, 4, "retraining")
        for _ in range(2):  # two versions, so that there is one to go back to
            command("retrain", "--force", "--reason", "bench startup")
        tell(2, 4, "looking for something new")
        idle = [command("retrain") for _ in range(repeats)]
        outcomes = {json.loads(one.stdout)["outcome"] for one in idle}
        if outcomes != {"skipped"}:
            raise FailedError(f"a retrain on the same bars ended as {', '.join(outcomes)}, expected skipped")
        tell(3, 4, "rolling back")
        back = [command("rollback", FAMILY, "--to", str(1 + n % 2), "--reason", "bench") for n in range(repeats)]
        failed = [one.stdout for one in back if one.exit_code]
        if failed:
            raise FailedError(f"a rollback failed: {failed[0][-300:]}")
    return {
        "project_tickers": len(collected["tickers"]),
        **_told("nothing_new", idle),
        **_told("rollback", back),
    }


def _told(name: str, measured: Sequence[Measured]) -> dict[str, Any]:
    return {
        f"{name}_seconds": round(statistics.median(one.seconds for one in measured), 2),
        f"{name}_seconds_max": round(max(one.seconds for one in measured), 2),
        f"{name}_cpu_seconds": round(statistics.median(one.cpu_seconds for one in measured), 2),
    }


def _silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""
