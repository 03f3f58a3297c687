"""The databases: are they there, whole, of this version, and can somebody write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Final

from marketloop.cli.examinations.finding import Finding, Patient, failed, ok, warning
from marketloop.state import State
from marketloop.state.looking import KNOWN, Condition, condition_of, look

__all__ = ["absent", "is_there", "opened", "state"]

_FIRST: Final = "marketloop retrain price_predictor"


def is_there(patient: Patient) -> bool:
    """Return whether there is a ledger to look at: a server, or a file."""
    return patient.settings.state.url is not None or patient.project.state_db.exists()


def absent(patient: Patient) -> Iterable[Finding]:
    """Say what it means that there is no ledger."""
    registry = patient.project.models / "registry"
    if registry.is_dir() and any(registry.glob("*/*/v*")):
        value = f'"{patient.project.state_db}" is gone, and models/registry has versions that it named'
        remedy = 'put the backup of state.db and scoreboard.db back: sqlite3 copy.db ".backup state.db"'
        return [failed("state", value, remedy, expected="the ledger of these versions")]
    return [warning("state", "no ledger yet, so no champion", _FIRST)]


def opened(patient: Patient) -> AbstractContextManager[State]:
    """Open the databases of a project as they are."""
    url = patient.settings.state.url
    if url is not None:
        return look(url)
    project = patient.project
    return look(f"sqlite:///{project.state_db}", scoreboard_url=f"sqlite:///{project.scoreboard_db}")


def state(patient: Patient) -> tuple[Finding, bool]:
    """Say what is wrong with the ledger and the scoreboards, and whether the rest can be read from them."""
    found: list[Finding] = []
    for database, file in ((patient.ledger.ledger, "state.db"), (patient.ledger.scores, "scoreboard.db")):
        if patient.settings.state.url is None and not (patient.project.root / file).exists():
            found.append(
                failed("state", f"{file} is gone", f"put the backup of {file} back, then run marketloop doctor")
            )
            continue
        condition = condition_of(database)
        if condition.version == 0 and patient.settings.state.url is not None:
            return warning("state", f"{condition.name} is reachable, and has no tables yet", _FIRST), False
        found.extend(_of(condition, file))
    grave = next((finding for finding in found if finding.status == "failed"), None)
    fine = ok("state", f"readable, version {KNOWN}, nothing damaged")
    return grave or next(iter(found), fine), grave is None


def _of(condition: Condition, file: str) -> Iterator[Finding]:
    if condition.version > KNOWN:
        value = f"{condition.name} has tables of version {condition.version}: a newer MarketLoop wrote it"
        yield failed("state", value, "pip install --upgrade marketloop", expected=f"up to {KNOWN}")
    elif condition.damage:
        remedy = f"stop the loop and put the backup of {file} back; without one: sqlite3 {file} .recover"
        yield failed("state", f"{condition.name} is damaged: {condition.damage}", remedy)
    elif condition.version == 0:
        yield failed(
            "state", f"{condition.name} has no tables", "marketloop status makes them", expected=f"version {KNOWN}"
        )
    elif condition.version < KNOWN:
        value = f"{condition.name} has tables of version {condition.version}"
        remedy = f'sqlite3 {file} ".backup {file}.copy", then marketloop status brings them up to date'
        yield failed("state", value, remedy, expected=f"{KNOWN}")
    elif condition.busy:
        remedy = "marketloop status names a cycle that runs; wait for it, or end the process that holds the file"
        yield warning("state", condition.busy, remedy, expected="a free lock within 2 s")
