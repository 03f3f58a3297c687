"""What is left of a project when its nightly cycle is killed: before and after every write, and at random instants."""

from __future__ import annotations

import datetime as dt
import math
import queue
import random
import shutil
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from marketloop.bench.mortal import Ended, Mortal
from marketloop.core.errors import FailedError, UsageError
from marketloop.data.calendar import load_sessions
from marketloop.runtime.faults import POINTS
from marketloop.runtime.parallel import threaded_map

__all__ = ["ALLOCATED", "NIGHTS", "Found", "Trial", "nights", "passes", "run", "try_out"]

NIGHTS: Final = "marketloop.bench.mortal_nights"
ALLOCATED: Final = "ledger.commit.after@registry.registry.Registry.write_candidate"
"""Where the promotion begins: the version has its number, and nothing else."""
PROJECTS: Final = ("served", "empty", "served, mirrored", "empty, mirrored")
"""With a champion or without one, with MLflow or without; what only the later ones pass is tried with them."""
MOST: Final = 3
"""How many instants are tried for a kill, at most: a night that is quicker than the measured one survives some."""
FIRST: Final = 830
"""Sessions of the market before the first night."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to die.

    Parameters
    ----------
    kind : str
        ``point``, ``cycle`` or ``promotion``.
    fault : str
        What arms the process; a random instant in the promotion stops it at `ALLOCATED` first.
    after_s : float, optional
        For a random instant: seconds to live.
    project : str
        Which of the `PROJECTS` is copied.
    """

    kind: str
    fault: str = ""
    after_s: float | None = None
    project: str = "served"

    @property
    def is_first(self) -> bool:
        """Whether it is the project's first night, without a champion to keep."""
        return self.project in {"empty", "empty, mirrored"}


@dataclass(frozen=True, slots=True)
class Found:
    """What a trial came to: whether the process was killed, what the recovery took, and what was wrong.

    `recovery_s` passes while neighbours compute, too; `recovery_cpu_s` is what the recovery itself computed.
    """

    trial: Trial
    was_killed: bool
    recovery_s: float
    recovery_cpu_s: float = float("nan")
    wrong: tuple[str, ...] = field(default=())


def run(
    *,
    kills: int = 1000,
    workers: int = 1,
    seeds: int = 1,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Kill the nightly cycle of a small project, each time in a copy of it, and look at what is left.

    At every point, in every place that passes it, and at `kills` random instants: half of them uniform over the cycle,
    half over the promotion. After each the champion must be complete and answer, the next cycle must
    promote, nothing half-written may stay, and the ledger may not contradict itself.

    Parameters
    ----------
    kills : int
        Random instants at which a process was killed; instants after its end are tried too and do not count.
    workers : int
        Servers of processes side by side.
    seeds : int
        Seed of the instants.

    Returns
    -------
    dict
        The document of ``marketloop bench``: ``name, rows, seconds, peak_rss_mb, figures, peer``; `rows` are kills,
        ``figures.hits`` the kills at each point, ``figures.violations`` what was wrong.
    """
    if kills < 0 or workers < 1:
        raise UsageError(f"kills = {kills}, workers = {workers}: expected at least 0 and 1")
    tell, started = on_progress or _silent, time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="marketloop_faults_") as name, ExitStack() as stack:
        servers: queue.Queue[Mortal] = queue.Queue()
        for _ in range(workers):
            servers.put(stack.enter_context(Mortal(NIGHTS)))
        template = Template.make(servers, Path(name))
        points = list(template.point_trials())
        found: list[Found] = []

        def trials() -> Iterator[Trial]:
            yield from points
            for one in template.instants(MOST * kills, random.Random(seeds)):  # noqa: S311 -- no secret
                if sum(one.was_killed and one.trial.kind != "point" for one in found) >= kills:
                    return
                yield one

        for one in threaded_map(lambda trial: _tried(servers, template, trial), trials(), workers=workers):
            found.append(one)
            tell(len(found), len(points) + kills, "killing")
    return _document(found, template, time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Template:
    """Projects to copy, and what a night in each passes."""

    folder: Path
    passed: dict[str, tuple[str, ...]]
    cycle_s: float
    promotion_s: float

    @classmethod
    def make(cls, servers: queue.Queue[Mortal], folder: Path) -> Template:
        """Make the projects and record a night of each."""
        server = servers.get()
        passed: dict[str, tuple[str, ...]] = {}
        for mirrored in ("", ", mirrored"):
            empty, served = folder / f"empty{mirrored}", folder / f"served{mirrored}"
            _checked(server.run("make", home=str(empty), tracking=bool(mirrored)))
            shutil.copytree(empty, served)
            passed[empty.name] = passes(server, served, nights()[0], folder / "first.txt")
            with _copy(served, folder) as home:
                passed[served.name] = passes(server, home, nights()[1], folder / "later.txt")
            (folder / "first.txt").unlink()
            (folder / "later.txt").unlink()
        with _copy(folder / "served", folder) as home:
            cycle_s = _checked(server.run("night", home=str(home), end=nights()[1])).seconds
        with _copy(folder / "served", folder) as home:
            server.start("night", home=str(home), end=nights()[1], fault=f"stop:{ALLOCATED}")
            server.told(None)
            since = time.perf_counter()
            server.signal(signal.SIGCONT)
            _checked(server.wait())
            promotion_s = time.perf_counter() - since
        servers.put(server)
        return cls(folder, passed, cycle_s, promotion_s)

    def point_trials(self) -> Iterator[Trial]:
        """Yield deaths at the first and last passage of each place; in a later project where no earlier one passes."""
        known: set[str] = set()
        for project in PROJECTS:
            new = [name for name in self.passed[project] if name not in known]
            known |= set(new)
            yield from (Trial("point", fault, project=project) for fault in _numbered(new))

    def instants(self, kills: int, chance: random.Random) -> Iterator[Trial]:
        """Yield random instants: half over the cycle, half over the promotion."""
        for number in range(kills):
            if number % 2:
                yield Trial("promotion", f"stop:{ALLOCATED}", chance.uniform(0, self.promotion_s))
            else:
                yield Trial("cycle", "", chance.uniform(0, self.cycle_s))


def nights() -> tuple[str, ...]:
    """Return the last day of the bars, night by night."""
    dates = load_sessions("XNYS", dt.date(2013, 1, 2), dt.date(2017, 12, 29)).dates
    return tuple(str(date) for date in dates[FIRST:])


def passes(server: Mortal, home: Path, end: str, record: Path) -> tuple[str, ...]:
    """Run a night and return the points that it passed, in order."""
    _checked(server.run("night", home=str(home), end=end, fault=f"record:{record}"))
    return tuple(record.read_text(encoding="utf-8").splitlines())


def try_out(server: Mortal, home: Path, trial: Trial, *, before: int, ends: Sequence[str]) -> Found:
    """Kill a night of the project `home`, whose champion is version `before`, look, and run the next one.

    Parameters
    ----------
    ends : last days of the bars of the night that is killed and of the next one
    """
    ended = _die(server, home, trial, ends[0])
    wrong = [] if ended.was_killed or ended.code == 0 else [f"the night ended with {ended.document}"]
    left = server.run("look", home=str(home)).document
    wrong += _served(left, before, is_first=trial.is_first)
    next_night = server.run("night", home=str(home), end=ends[1], recover=True).document
    if next_night.get("outcome") != "promoted":
        wrong.append(f"the next cycle: {next_night}")
    last = server.run("look", home=str(home)).document
    if last.get("champion") != next_night.get("version"):
        wrong.append(f"the next champion: {last}")
    wrong += [f"left behind: {kind} {names}" for kind, names in last.get("left", {}).items()]
    wrong += last.get("wrong", [])
    seconds, computed = (float(next_night.get(name, float("nan"))) for name in ("recovery_s", "recovery_cpu_s"))
    return Found(trial, ended.was_killed, seconds, computed, tuple(wrong))


def _die(server: Mortal, home: Path, trial: Trial, end: str) -> Ended:
    if trial.kind == "promotion":
        server.start("night", home=str(home), end=end, fault=trial.fault)
        server.told(None)
        server.signal(signal.SIGCONT)
        if server.told(trial.after_s) is None:
            server.signal(signal.SIGKILL)
        return server.wait()
    return server.run("night", home=str(home), end=end, fault=trial.fault, kill_after=trial.after_s)


def _served(left: dict[str, Any], before: int, *, is_first: bool) -> list[str]:
    """Return what is wrong with who serves right after the death, before anything recovered."""
    champion = left.get("champion")
    if champion is None:
        return [] if is_first and "error" not in left else [f"nobody serves: {left}"]
    if champion not in {before, before + 1} or left["predicted_by"] < champion or not left["tickers"]:
        return [f"after version {before}: {left}"]
    return list(left["wrong"])


def _tried(servers: queue.Queue[Mortal], template: Template, trial: Trial) -> Found:
    server = servers.get()
    try:
        with _copy(template.folder / trial.project, template.folder) as home:
            before, start = (0, 0) if trial.is_first else (1, 1)
            return try_out(server, home, trial, before=before, ends=nights()[start : start + 2])
    finally:
        servers.put(server)


@contextmanager
def _copy(project: Path, folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="trial_", dir=folder) as name:
        home = Path(name) / "project"
        shutil.copytree(project, home)
        yield home


def _numbered(passed: Sequence[str]) -> Iterator[str]:
    """Yield the first and the last passage of each place as ``NAME:N``."""
    for name, count in Counter(passed).items():
        yield from (f"{name}:{number}" for number in sorted({1, count}))


def _checked(ended: Ended) -> Ended:
    if ended.code != 0 or ended.document.get("outcome", "promoted") != "promoted":
        raise FailedError(f"a night that nobody killed did not promote: {ended}")
    return ended


def _document(found: Sequence[Found], template: Template, seconds: float) -> dict[str, Any]:
    hits: Counter[str] = Counter(one.trial.fault.partition("@")[0] for one in found if one.trial.kind == "point")
    places = {name for passed in template.passed.values() for name in passed}
    passed = {name.partition("@")[0] for name in places}
    recovered = [one for one in found if one.recovery_s == one.recovery_s]
    kinds = Counter(one.trial.kind for one in found)
    return {
        "name": "faults",
        "rows": sum(one.was_killed for one in found),
        "seconds": round(seconds, 1),
        "peak_rss_mb": None,
        "figures": {
            "trials": dict(kinds),
            "killed": dict(Counter(one.trial.kind for one in found if one.was_killed)),
            "points": len(POINTS),
            "passed_at_places": len(places),
            "points_never_passed": sorted(set(POINTS) - passed),
            "points_passed_and_not_killed_at": sorted(one.trial.fault for one in found if _missed(one)),
            "hits": dict(sorted(hits.items())),
            **_spread("recovery_ms", [one.recovery_s for one in recovered]),
            **_spread("recovery_cpu_ms", [one.recovery_cpu_s for one in recovered]),
            "recovery_slowest": str(max(recovered, key=lambda one: one.recovery_s).trial) if recovered else None,
            "cycle_s": round(template.cycle_s, 2),
            "promotion_s": round(template.promotion_s, 2),
            "survived": sum(not one.was_killed for one in found),
            "violations": sum(bool(one.wrong) for one in found),
            "violated": [{"fault": str(one.trial), "wrong": list(one.wrong)} for one in found if one.wrong][:50],
        },
        "peer": {},
    }


def _spread(name: str, seconds: Sequence[float]) -> dict[str, float | None]:
    """Return median, 99th percentile and largest of some times, in milliseconds."""
    ordered = sorted(1000 * one for one in seconds)
    if not ordered:
        return dict.fromkeys((f"{name}_median", f"{name}_p99", f"{name}_max"))
    return {
        f"{name}_median": round(statistics.median(ordered), 1),
        f"{name}_p99": round(ordered[math.ceil(0.99 * len(ordered)) - 1], 1),
        f"{name}_max": round(ordered[-1], 1),
    }


def _missed(one: Found) -> bool:
    return one.trial.kind == "point" and not one.was_killed


def _silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""
