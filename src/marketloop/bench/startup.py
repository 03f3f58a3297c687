"""What it costs to say hello: computing time of `import marketloop` and of `marketloop --help`."""

from __future__ import annotations

import statistics
import sys
from typing import Any

from marketloop.bench.processes import COMMAND, measure
from marketloop.core.errors import UsageError

__all__ = ["run"]


def run(*, repeats: int = 5) -> dict[str, Any]:
    """Measure fresh processes; medians of `repeats` count.

    A process that does nothing is measured beside them, because the interpreter's own start is in every figure.

    Returns
    -------
    dict
        The document of ``marketloop bench``: ``name, rows, seconds, peak_rss_mb, figures, peer``; times are CPU seconds
        of all threads.
    """
    if repeats < 1:
        raise UsageError(f"repeats = {repeats}: expected at least 1")
    python = (sys.executable, "-c")
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
            "repeats": repeats,
        },
        "peer": {},
    }
