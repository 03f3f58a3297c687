"""What pages show, read from the ledger and from the documents that the loop wrote: values that can be compared."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from marketloop.core.strategy import StrategyConfig
from marketloop.registry import models_document
from marketloop.state import (
    Connection,
    Slot,
    alarms,
    champions,
    cycles,
    decisions,
    drift_scans,
    events,
    heartbeats,
    requests,
    versions,
)
from marketloop.state.alarms import Raised
from marketloop.state.champions import Champion
from marketloop.state.cycles import Cycle, CycleLine
from marketloop.state.decisions import Decision, DecisionLine
from marketloop.state.drift_scans import DriftScan
from marketloop.state.requests import Request
from marketloop.web.premises import Premises
from marketloop.web.problems import ProblemError
from marketloop.web.standing import status_document

__all__ = [
    "Activity",
    "Evidence",
    "FamilyReading",
    "Overview",
    "Serving",
    "course_of",
    "document_of",
    "read_activity",
    "read_drift",
    "read_evidence",
    "read_family",
    "read_job",
    "read_overview",
    "report_name",
    "running_request",
    "tail",
]

RECENT: Final = 10
MOST_LINES: Final = 200
SCANS: Final = 30
MOST_BYTES: Final = 8_000_000
LOG_BYTES: Final = 60_000


@dataclass(frozen=True)
class Serving:
    """A champion with the figures of its version, those of no skill, and when the newest candidate was trained."""

    champion: Champion
    metrics: Mapping[str, Any]
    baseline: Mapping[str, Any]
    candidate_at: dt.datetime


@dataclass(frozen=True)
class Overview:
    """Where the project stands.

    Parameters
    ----------
    status : mapping
        The document of A2.
    champions : sequence of `Serving`
    running : Request, optional
        The retraining that runs or waits.
    """

    status: Mapping[str, Any]
    champions: Sequence[Serving]
    running: Request | None
    decisions: Sequence[DecisionLine]
    alarms: Sequence[Raised]
    bars: bool
    trouble: str


@dataclass(frozen=True)
class FamilyReading:
    """One family under one configuration: who serves, what was decided, which versions there are."""

    slot: Slot
    champion: Champion | None
    previous: Champion | None
    versions: Sequence[Mapping[str, Any]]
    decisions: Sequence[DecisionLine]
    status: Mapping[str, Any]
    configurations: Sequence[str]
    running: Request | None
    loop_runs: bool
    accuracy: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Evidence:
    """Everything that is known of one version, as the loop wrote it down."""

    slot: Slot
    version: int
    row: versions.Version
    decisions: Sequence[Decision]
    course: Mapping[str, Any]
    report: str | None
    champion: versions.Version | None

    @property
    def ruling(self) -> Decision | None:
        """The newest word of the gate; what was done by hand is not one."""
        own = (word for word in self.decisions if word.record.get("checks") and not word.record.get("by_hand"))
        return next(own, next(iter(self.decisions), None))


@dataclass(frozen=True)
class Activity:
    """What was asked for, what ran, what happened, and what somebody should know of."""

    requests: Sequence[Request]
    cycles: Sequence[CycleLine]
    events: Sequence[events.Stored]
    alarms: Sequence[Raised]
    status: Mapping[str, Any] = field(default_factory=dict)


def read_overview(premises: Premises) -> Overview:
    """Read what the first page shows."""
    status = status_document(premises)
    with premises.state.read() as db:
        known = [one for slot in champions.slots(db) if (one := _serving(db, slot)) is not None]
        return Overview(
            status=status,
            champions=known,
            running=running_request(requests.unfinished(db)),
            decisions=decisions.recent(db, limit=RECENT),
            alarms=alarms.recent(db, limit=5),
            bars=(premises.project.data / "collection.json").exists() or bool(known),
            trouble=premises.desk.view.trouble,
        )


def _accuracy(db: Connection, slot: Slot) -> Mapping[str, Mapping[str, Any]]:
    """Return the figures of what was served, by window, as the loop worked them out last."""
    told = heartbeats.last(db, "accuracy")
    families = () if told is None else told.document.get("families", ())
    own = (one for one in families if (one["family"], one["config_key"]) == (slot.family, slot.config_key))
    return next((one.get("windows", {}) for one in own), {})


def _serving(db: Connection, slot: Slot) -> Serving | None:
    champion = champions.current(db, slot)
    row = None if champion is None else versions.get(db, slot, champion.version)
    if champion is None or row is None:
        return None
    made = [one.trained_at for one in versions.lines(db, slot) if one.state == "complete"]
    return Serving(champion, row.metrics, row.baseline, max(made, default=champion.trained_at))


def read_family(premises: Premises, family: str, config_key: str | None = None) -> FamilyReading:
    """Read what a family's page shows.

    Raises
    ------
    ProblemError
        There is no version of the family.
    """
    listed = models_document(premises.state, family=family)["models"]
    keys = sorted({model["config_key"] for model in listed})
    default = premises.desk.view.default_key
    fallback = default if default in keys else next(iter(keys), default)
    key = config_key if config_key is not None and config_key in keys else fallback
    if not listed:
        raise ProblemError(404, f"there is no version of {family} yet: run `marketloop retrain {family}`")
    slot = Slot(family, key)
    status = status_document(premises)
    with premises.state.read() as db:
        return FamilyReading(
            slot=slot,
            champion=champions.current(db, slot),
            previous=champions.previous(db, slot),
            versions=[model for model in reversed(listed) if model["config_key"] == key],
            decisions=decisions.recent(db, slot, limit=MOST_LINES),
            status=next((one for one in status["families"] if one["family"] == family), {}),
            configurations=keys,
            running=running_request(requests.unfinished(db), family),
            loop_runs=bool(status["running"]),
            accuracy=_accuracy(db, slot),
        )


def read_evidence(premises: Premises, slot: Slot, version: int) -> Evidence:
    """Read what is known of a version.

    Raises
    ------
    ProblemError
        There is no such version.
    """
    with premises.state.read() as db:
        row = versions.get(db, slot, version)
        if row is None:
            raise ProblemError(404, f"there is no version {version} of {slot}")
        champion = champions.current(db, slot)
        serving = None if champion is None else versions.get(db, slot, champion.version)
        said = decisions.history(db, slot, version=version)
    name = report_name(slot, version)
    page = premises.project.reports / f"{name}.html"
    course = course_of(premises, slot, version)
    return Evidence(slot, version, row, said, course, page.name if page.exists() else None, serving)


def read_activity(premises: Premises) -> Activity:
    """Read what the page of jobs shows, the newest of each."""
    status = status_document(premises)
    with premises.state.read() as db:
        return Activity(
            requests=requests.recent(db, limit=MOST_LINES),
            cycles=cycles.lines(db, limit=MOST_LINES),
            events=events.recent(db, limit=100),
            alarms=alarms.recent(db, limit=100),
            status=status,
        )


def read_drift(premises: Premises) -> Mapping[Slot, Sequence[DriftScan]]:
    """Read the latest scans of every champion, the newest first; a champion that was never scanned has none."""
    with premises.state.read() as db:
        return {slot: drift_scans.recent(db, slot, limit=SCANS) for slot in champions.slots(db)}


def read_job(premises: Premises, job: str) -> tuple[Request, Cycle | None, Sequence[Decision]]:
    """Read one retraining, the cycle that ran it and what was decided in it.

    Raises
    ------
    ProblemError
        There is no such job.
    """
    with premises.state.read() as db:
        found = requests.get(db, job)
        if found is None:
            raise ProblemError(404, f'there is no job "{job[:80]}"; see the list of jobs')
        cycle = None if found.cycle_id is None else cycles.get(db, found.cycle_id)
        said = () if cycle is None else decisions.history(db, cycle_id=cycle.id)
    return found, cycle, said


def running_request(unfinished: Sequence[Request], family: str = "") -> Request | None:
    """Return the retraining that runs, else the one that has waited longest; of one family where it is named."""
    concerned = [one for one in unfinished if not family or not one.families or family in one.families]
    running = [one for one in concerned if one.state == requests.RUNNING]
    return next(iter(running or concerned), None)


def report_name(slot: Slot, version: int) -> str:
    """Return the name, without its ending, under which the loop writes about a version."""
    usual = slot.config_key == StrategyConfig().key
    return f"{slot.family if usual else f'{slot.family}_{slot.config_key}'}_v{version}"


def course_of(premises: Premises, slot: Slot, version: int) -> Mapping[str, Any]:
    """Return the numbers of a version's charts; empty where there are none."""
    return document_of(premises.project.reports / f"{report_name(slot, version)}.json")


def document_of(path: Path) -> Mapping[str, Any]:
    """Return a JSON document that the loop wrote; empty where there is none, or it is none. Read only: it is shared."""
    try:
        about = path.stat()
    except OSError:
        return {}
    return _parsed(path, about.st_mtime_ns, about.st_size) if about.st_size <= MOST_BYTES else {}


@functools.lru_cache(maxsize=32)
def _parsed(path: Path, changed_ns: int, size: int) -> Mapping[str, Any]:
    del changed_ns, size  # they are what makes another file of it
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def tail(path: Path, lines: int = 200) -> Sequence[str]:
    """Return the last lines of a log file; nothing where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-lines:])
