"""One death of a nightly cycle: where and when it comes, what is left, and what the next cycle makes of it."""

from __future__ import annotations

import datetime as dt
import math
import os
import queue
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from marketloop.bench.mortal import Ended, Mortal
from marketloop.bench.mortal_nights import FAMILY, MARKET, RECIPE
from marketloop.bench.processes import COMMAND
from marketloop.core.errors import FailedError
from marketloop.data.calendar import load_sessions

__all__ = ["ALLOCATED", "Found", "Pace", "Template", "Trial", "nights", "passes", "try_out"]

ALLOCATED: Final = "ledger.commit.after@registry.registry.Registry.write_candidate"
"""Where the promotion begins: the version has its number, and nothing else."""
PROJECTS: Final = ("served", "empty", "served, mirrored", "empty, mirrored")
"""With a champion or without one, with MLflow or without; what only the later ones pass is tried with them."""
FIRST: Final = 830
"""Sessions of the market before the first night."""
COLD_EVERY: Final = 20
"""Every so-many-th random instant is that of a command in a fresh process."""
OVER: Final = 1.05
"""Instants are drawn up to a little after the end, lest the end be spared; those that come too late do not count."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to die.

    Parameters
    ----------
    kind : str
        ``point``, or a random instant of the ``cycle``, of the ``promotion`` or of a ``command`` from the shell.
    fault : str
        What arms the process; a random instant in the promotion stops it at `ALLOCATED` first.
    after_s : float, optional
        For a random instant: seconds to live.
    project : str
        Which of the `PROJECTS` is copied.
    number : int
        Of a random instant.
    """

    kind: str
    fault: str = ""
    after_s: float | None = None
    project: str = "served"
    number: int = 0

    @property
    def is_first(self) -> bool:
        """Whether it is the project's first night, without a champion to keep."""
        return self.project in {"empty", "empty, mirrored"}

    @property
    def name(self) -> str:
        """What tells it from the other trials of a run."""
        return f"{self.project}: {self.fault}" if self.kind == "point" else f"{self.kind} {self.number}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a trial came to.

    Parameters
    ----------
    was_killed : bool
    recovery_s, night_s : float
        How long the recovery and the whole next night took.
    recovery_cpu_s : float
        What the recovery itself computed: neighbours do not lengthen it.
    load : float
        Processes that wanted the machine's cores, mean of the last minute.
    left : tuple of str
        Kinds of things that lay about right after the death.
    wrong : tuple of str
    """

    trial: Trial
    was_killed: bool
    recovery_s: float
    wrong: tuple[str, ...] = field(default=())
    night_s: float = float("nan")
    load: float = float("nan")
    left: tuple[str, ...] = field(default=())
    recovery_cpu_s: float = float("nan")


@dataclass(slots=True)
class Pace:
    """How long a night takes just now, by the last ones that nobody killed: other work on the machine comes and goes.

    Parameters
    ----------
    shares : dict
        How long a cycle, its promotion and the command take, as multiples of one undisturbed night.
    """

    shares: dict[str, float]
    nights_s: deque[float] = field(default_factory=lambda: deque(maxlen=9))

    def note(self, found: Found) -> None:
        """Take a night into account."""
        if math.isfinite(found.night_s):
            self.nights_s.append(found.night_s)

    def instants(self, seed: int) -> Iterator[Trial]:
        """Yield random instants without end: half over the promotion, the others over the cycle or the command."""
        chance = random.Random(seed)  # noqa: S311 -- no secret
        number = 0
        while True:
            kind = "promotion" if number % 2 else "cycle" if number % COLD_EVERY else "command"
            after_s = chance.uniform(0, OVER) * self.shares[kind] * median(self.nights_s)
            yield Trial(kind, f"stop:{ALLOCATED}" if kind == "promotion" else "", after_s, number=number)
            number += 1


@dataclass(frozen=True, slots=True)
class Template:
    """Projects to copy, and what a night in each passes."""

    folder: Path
    passed: dict[str, tuple[str, ...]]
    cycle_s: float
    promotion_s: float
    command_s: float

    @classmethod
    def make(cls, server: Mortal, folder: Path) -> Template:
        """Make the projects and record a night of each."""
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
        return cls(folder, passed, *_lengths(server, folder))

    def point_trials(self) -> Iterator[Trial]:
        """Yield deaths at the first and last passage of each place; in a later project where no earlier one passes."""
        known: set[str] = set()
        for project in PROJECTS:
            new = [name for name in self.passed[project] if name not in known]
            known |= set(new)
            yield from (Trial("point", fault, project=project) for fault in _numbered(new))

    def pace(self) -> Pace:
        """Return the pace to begin with."""
        shares = {
            "cycle": 1.0,
            "promotion": self.promotion_s / self.cycle_s,
            "command": self.command_s / self.cycle_s,
        }
        return Pace(shares, deque([self.cycle_s], maxlen=9))

    def tried(self, servers: queue.Queue[Mortal], trial: Trial) -> Found:
        """Carry out a trial in a copy, by the next server that is free."""
        server = servers.get()
        try:
            with _copy(self.folder / trial.project, self.folder) as home:
                before, start = (0, 0) if trial.is_first else (1, 1)
                return try_out(server, home, trial, before=before, ends=nights()[start : start + 2])
        finally:
            servers.put(server)


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
    wrong = [] if ended.was_killed or ended.code == 0 else [f"the night ended with {ended.code}: {ended.document}"]
    left = server.run("look", home=str(home)).document
    wrong += _served(left, before, is_first=trial.is_first)
    ran = server.run("night", home=str(home), end=ends[1], recover=True)
    next_night, recovery_s = ran.document, float(ran.document.get("recovery_s", "nan"))
    if next_night.get("outcome") != "promoted":
        wrong.append(f"the next cycle: {next_night}")
    last = server.run("look", home=str(home)).document
    if last.get("champion") != next_night.get("version"):
        wrong.append(f"the next champion: {last}")
    wrong += [f"left behind: {kind} {names}" for kind, names in last.get("left", {}).items()]
    wrong += last.get("wrong", [])
    return Found(
        trial=trial,
        was_killed=ended.was_killed,
        recovery_s=recovery_s,
        wrong=tuple(wrong),
        night_s=ran.seconds - recovery_s,
        load=os.getloadavg()[0],
        left=tuple(sorted(left.get("left", {}))),
        recovery_cpu_s=float(next_night.get("recovery_cpu_s", "nan")),
    )


def _die(server: Mortal, home: Path, trial: Trial, end: str) -> Ended:
    if trial.kind == "command":
        return _command(home, end, trial.after_s)
    if trial.kind == "promotion":
        server.start("night", home=str(home), end=end, fault=trial.fault)
        server.told(None)
        server.signal(signal.SIGCONT)
        if server.told(trial.after_s) is None:
            server.signal(signal.SIGKILL)
        return server.wait()
    return server.run("night", home=str(home), end=end, fault=trial.fault, kill_after=trial.after_s)


def _command(home: Path, end: str, after_s: float | None = None) -> Ended:
    """Run the same night as a command in a fresh process, its leak question included, until its death if it is to die.

    Its group dies with it, as it would if the machine stopped.
    """
    market = [f"--option={name}={value}" for name, value in MARKET.items() if name != "start"]
    params = RECIPE.params or {}
    recipe = [f"--algorithm={RECIPE.recipes[0]}", *(f"--set={name}={value}" for name, value in params.items())]
    given = ["--source=synthetic", *market, f"--start={MARKET['start']}", f"--end={end}", *recipe]
    asked = ["--project", str(home), "retrain", FAMILY, *given, "--force", "--reason=fault run"]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*COMMAND, *asked], stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        seconds = time.perf_counter() - started
        said.seek(0)
        document = {} if process.returncode == 0 else {"error": said.read().decode(errors="replace")[-2000:]}
    return Ended(process.returncode, seconds, float("nan"), document)


def _lengths(server: Mortal, folder: Path) -> tuple[float, float, float]:
    """Return how long a cycle, its promotion and the command take, in seconds."""
    with _copy(folder / "served", folder) as home:
        cycle_s = _checked(server.run("night", home=str(home), end=nights()[1])).seconds
    with _copy(folder / "served", folder) as home:
        server.start("night", home=str(home), end=nights()[1], fault=f"stop:{ALLOCATED}")
        server.told(None)
        since = time.perf_counter()
        server.signal(signal.SIGCONT)
        _checked(server.wait())
        promotion_s = time.perf_counter() - since
    with _copy(folder / "served", folder) as home:
        command = _command(home, nights()[1])
        if command.code:
            raise FailedError(f"a command that nobody killed ended with {command.code}: {command.document}")
    return cycle_s, promotion_s, command.seconds


def _served(left: dict[str, Any], before: int, *, is_first: bool) -> list[str]:
    """Return what is wrong with who serves right after the death, before anything recovered."""
    champion = left.get("champion")
    if champion is None:
        return [] if is_first and "error" not in left else [f"nobody serves: {left}"]
    if champion not in {before, before + 1} or left["predicted_by"] < champion or not left["tickers"]:
        return [f"after version {before}: {left}"]
    return list(left["wrong"])


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
