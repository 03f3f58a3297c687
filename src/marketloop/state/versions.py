"""Versions: which models exist, numbered per slot, never renumbered."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select

from marketloop.core.errors import UsageError
from marketloop.state.columns import Json, Slot
from marketloop.state.process import Process
from marketloop.state.rows import from_row, in_slot, to_row
from marketloop.state.schema import versions

__all__ = [
    "MAIN_FIGURES",
    "Version",
    "VersionLine",
    "allocate",
    "best",
    "complete",
    "examined",
    "get",
    "lines",
    "listing",
    "mark",
    "require",
    "ruled",
]

MAIN_FIGURES: Final = ("rank_ic", "roc_auc")
"""The out-of-sample figure by which a version is called the best of its slot; the second where none has the first:
too few tickers for a rank IC, or only one row per session."""


@dataclass(frozen=True, slots=True)
class Version:
    """A fitted model and what is known about it.

    Parameters
    ----------
    slot : Slot
    version : int
        Counts from 1 in its slot; a number is used once, whatever became of it.
    state : str
        Of the artefact: ``writing``, ``complete``, ``abandoned`` (its writer died) or ``deleted`` (by retention).
    verdict : str
        The gate's latest word: ``promoted, provisional, refused``, or empty before the examination.
    recipe, params : str, dict
    data_version, sha256, path : str
        Data it was trained on, hash of its manifest, artefact folder below the registry's root.
    trained_at : datetime
    metrics, baseline, scorecard : dict
        Figures of the examination; empty before it.
    process : Process
        Who wrote it.
    """

    slot: Slot
    version: int
    state: str
    trained_at: datetime
    process: Process
    verdict: str = ""
    recipe: str = ""
    data_version: str = ""
    sha256: str = ""
    path: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    scorecard: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A version as a list shows it: without its settings and its scorecard."""

    slot: Slot
    version: int
    state: str
    verdict: str
    recipe: str
    trained_at: datetime
    metrics: dict[str, Any]
    baseline: dict[str, Any]


def allocate(db: Connection, slot: Slot, *, process: Process, at: datetime) -> Version:
    """Reserve the next version number of `slot` for the artefact that `process` is about to write."""
    last = db.scalar(select(func.max(versions.c.version)).where(in_slot(versions, slot))) or 0
    version = Version(slot, last + 1, "writing", at, process)
    db.execute(versions.insert().values(to_row(version)))
    return version


def complete(db: Connection, version: Version) -> Version:
    """Record that the artefact of a reserved version lies complete on disk, and what it is."""
    done = replace(version, state="complete")
    _change(db, version.slot, version.version, to_row(done), state="writing")
    return done


def examined(db: Connection, slot: Slot, version: int, *, metrics: Json, baseline: Json, scorecard: Json) -> None:
    """Record the figures of a version's examination."""
    _change(db, slot, version, {"metrics": metrics, "baseline": baseline, "scorecard": scorecard}, state="complete")


def ruled(db: Connection, slot: Slot, version: int, verdict: str) -> None:
    """Record the gate's latest word on a version; the reasons are in the decision."""
    _change(db, slot, version, {"verdict": verdict}, state="complete")


def mark(db: Connection, slot: Slot, version: int, state: str) -> None:
    """Record what became of a version's artefact: ``abandoned`` or ``deleted``."""
    _change(db, slot, version, {"state": state})


def get(db: Connection, slot: Slot, version: int) -> Version | None:
    """Return a version, None when its number was never used."""
    return next(iter(_read(db, in_slot(versions, slot) & (versions.c.version == version))), None)


def require(db: Connection, slot: Slot, version: int) -> Version:
    """Return a version; raise `UsageError` naming the known ones when there is none."""
    found = get(db, slot, version)
    if found is None:
        known = ", ".join(str(other.version) for other in listing(db, slot)) or "none"
        raise UsageError(f"{slot} has no version {version}: known are {known}")
    return found


def listing(db: Connection, slot: Slot | None = None) -> tuple[Version, ...]:
    """Return all versions of a slot, or of all slots, by slot and number."""
    return tuple(_read(db, None if slot is None else in_slot(versions, slot)))


def lines(db: Connection, slot: Slot | None = None, *, family: str | None = None) -> tuple[VersionLine, ...]:
    """Return all versions of a slot, a family or all, by slot and number, without settings and scorecards."""
    columns = versions.c
    names = ("family", "config_key", "version", "state", "verdict", "recipe", "trained_at", "metrics", "baseline")
    query = select(*(columns[name] for name in names)).order_by(columns.family, columns.config_key, columns.version)
    if slot is not None:
        query = query.where(in_slot(versions, slot))
    if family is not None:
        query = query.where(columns.family == family)
    return tuple(from_row(VersionLine, row) for row in db.execute(query).mappings())


def best(rows: Iterable[Version]) -> Version | None:
    """Return the version with the greatest main figure, the newest of equal ones; None where nobody has any.

    Versions that the gate has examined come first: the figures of a candidate are of its newest tenth alone, where luck
    is three times as large.
    """
    every = list(rows)
    examined_rows = [row for row in every if row.verdict] or every
    for figure in MAIN_FIGURES:
        known = [row for row in examined_rows if _is_number(row.metrics.get(figure))]
        if known:
            return max(known, key=lambda row: (row.metrics[figure], row.version))
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _read(db: Connection, condition: Any) -> list[Version]:
    query = select(versions).order_by(versions.c.family, versions.c.config_key, versions.c.version)
    rows = db.execute(query if condition is None else query.where(condition)).mappings()
    return [from_row(Version, row) for row in rows]


def _change(db: Connection, slot: Slot, version: int, values: Json, *, state: str | None = None) -> None:
    condition = in_slot(versions, slot) & (versions.c.version == version)
    if state is not None:
        condition &= versions.c.state == state
    if db.execute(versions.update().where(condition).values(**values)).rowcount != 1:
        found = require(db, slot, version)
        raise UsageError(f"version {version} of {slot} is {found.state}; expected {state}")
