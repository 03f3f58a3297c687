"""What is left of a project when its nightly cycle is killed: before and after every write, and at random instants."""

from __future__ import annotations

import math
import queue
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import chain, takewhile
from pathlib import Path
from typing import Any, Final

from marketloop.bench.deaths import Found, Pace, Template, Trial
from marketloop.bench.mortal import Mortal
from marketloop.core.errors import UsageError
from marketloop.runtime.faults import POINTS
from marketloop.runtime.journal import FileJournal
from marketloop.runtime.parallel import threaded_map

__all__ = ["NIGHTS", "run"]

NIGHTS: Final = "marketloop.bench.mortal_nights"


def run(
    *,
    kills: int = 1000,
    workers: int = 1,
    seeds: int = 1,
    out: Path | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Kill the nightly cycle of a small project, each time in a copy of it, and look at what is left.

    At every point, in every place that passes it, and at `kills` random instants: half of them uniform over the
    promotion, the others over the cycle, one in twenty of a command in a fresh process. After each the champion must
    be complete and answer, the next cycle must promote, nothing half-written may stay, and the ledger may not
    contradict itself.

    Parameters
    ----------
    kills : int
        Random instants at which a process was killed; instants after its end are tried too and do not count.
    workers : int
        Servers of processes side by side.
    seeds : int
        Seed of the instants.
    out : Path, optional
        File to which each trial is added at once, and from which a run that was stopped goes on.

    Returns
    -------
    dict
        The document of ``marketloop bench``: ``name, rows, seconds, peak_rss_mb, figures, peer``; `rows` are kills,
        ``figures.hits`` the kills at each point, ``figures.violations`` what was wrong.
    """
    if kills < 0 or workers < 1:
        raise UsageError(f"kills = {kills}, workers = {workers}: expected at least 0 and 1")
    tell, started = on_progress or _silent, time.perf_counter()
    journal = None if out is None else FileJournal(out, {"about": "deaths of cycles", "seed": seeds}).open()
    found = [] if journal is None else [_read(line) for line in journal.read()]
    with tempfile.TemporaryDirectory(prefix="marketloop_faults_") as name, ExitStack() as stack:
        servers: queue.Queue[Mortal] = queue.Queue()
        running = [stack.enter_context(Mortal(NIGHTS)) for _ in range(workers)]
        template = Template.make(running[0], Path(name))
        for server in running:
            servers.put(server)
        pace = template.pace()
        todo = _todo(template, pace, found, kills=kills, seed=seeds)
        for one in threaded_map(lambda trial: template.tried(servers, trial), todo, workers=workers):
            pace.note(one)
            found.append(one)
            if journal is not None:
                journal.append([asdict(one)])
            tell(_random(found), kills, f"killing at random ({sum(bool(one.wrong) for one in found)} wrong)")
    return _document(found, template, time.perf_counter() - started)


def _todo(template: Template, pace: Pace, found: Sequence[Found], *, kills: int, seed: int) -> Iterator[Trial]:
    """Yield the trials that are not done: instants until enough processes were killed at random, then every place."""
    done = {one.trial.name for one in found}
    instants = takewhile(lambda _: _random(found) < kills, pace.instants(seed))
    for trial in chain(instants, template.point_trials()):
        if trial.name not in done:
            yield trial


def _random(found: Sequence[Found]) -> int:
    return sum(one.was_killed and one.trial.kind != "point" for one in found)


def _read(line: Mapping[str, Any]) -> Found:
    given = {**line, "trial": Trial(**line["trial"]), "wrong": tuple(line["wrong"]), "left": tuple(line["left"])}
    return Found(**given)


def _document(found: Sequence[Found], template: Template, seconds: float) -> dict[str, Any]:
    hits: Counter[str] = Counter(one.trial.fault.partition("@")[0] for one in found if one.trial.kind == "point")
    places = {name for passed in template.passed.values() for name in passed}
    passed = {name.partition("@")[0] for name in places}
    loads = [one.load for one in found]
    by_chance = [one for one in found if one.was_killed and one.trial.kind != "point"]
    return {
        "name": "faults",
        "rows": sum(one.was_killed for one in found),
        "seconds": round(seconds, 1),
        "peak_rss_mb": None,
        "figures": {
            "trials": dict(Counter(one.trial.kind for one in found)),
            "killed": dict(Counter(one.trial.kind for one in found if one.was_killed)),
            "points": len(POINTS),
            "passed_at_places": len(places),
            "points_never_passed": sorted(set(POINTS) - passed),
            "points_passed_and_not_killed_at": sorted(one.trial.fault for one in found if _missed(one)),
            "hits": dict(sorted(hits.items())),
            "left_by_random_deaths": dict(Counter(" + ".join(one.left) or "nothing" for one in by_chance)),
            **_milliseconds("recovery_ms", [one.recovery_s for one in found]),
            **_milliseconds("recovery_cpu_ms", [one.recovery_cpu_s for one in found]),
            **_milliseconds("recovery_ms_promotion", [o.recovery_s for o in found if o.trial.kind == "promotion"]),
            "night_s_median": _rounded([one.night_s for one in found], statistics.median),
            "load_median": _rounded(loads, statistics.median),
            "load_max": _rounded(loads, max),
            "cycle_s": round(template.cycle_s, 2),
            "promotion_s": round(template.promotion_s, 2),
            "command_s": round(template.command_s, 2),
            "survived": sum(not one.was_killed for one in found),
            "violations": sum(bool(one.wrong) for one in found),
            "violated": [{"fault": str(one.trial), "wrong": list(one.wrong)} for one in found if one.wrong][:50],
        },
        "peer": {},
    }


def _missed(one: Found) -> bool:
    return one.trial.kind == "point" and not one.was_killed


def _milliseconds(name: str, seconds: Sequence[float]) -> dict[str, float | None]:
    """Return median, 99th percentile and maximum of what is known."""
    known = sorted(1000 * value for value in seconds if math.isfinite(value))
    if not known:
        return {f"{name}_{figure}": None for figure in ("median", "p99", "max")}
    nearest = known[min(len(known) - 1, round(0.99 * len(known)))]
    return {
        f"{name}_median": round(statistics.median(known), 1),
        f"{name}_p99": round(nearest, 1),
        f"{name}_max": round(known[-1], 1),
    }


def _rounded(values: Sequence[float], figure: Callable[[list[float]], float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return round(figure(known), 2) if known else None


def _silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""
