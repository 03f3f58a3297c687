"""What `doctor` examines, in order: the machine, the project, its ledger, and what is in it.

Each module holds some small examinations that return findings. They are loaded one by one: a library that cannot be
imported, or an examination that fails, costs its own findings and hides no others. None changes anything.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from marketloop.cli.examinations.finding import Examination, Finding, Patient, failed
from marketloop.core.errors import MarketLoopError
from marketloop.runtime.clock import SystemClock
from marketloop.runtime.project import Project, find_project

__all__ = ["Finding", "examine"]

_MACHINE: Final = ("installation",)
_PROJECT: Final = ("premises", "data", "serving")
_LEDGER: Final = ("champions", "views", "skill", "journal", "keys", "working", "cycles", "queues")
"""Modules whose examinations read the ledger; they are left out where it cannot be read, which `state` says."""


def examine(
    named: Path | None = None, *, environ: Mapping[str, str] | None = None, now: dt.datetime | None = None
) -> Iterator[Finding]:
    """Examine everything that can be examined; what depends on a thing that failed is left out.

    Parameters
    ----------
    named : Path, optional
        Value of ``--project``.
    environ : mapping, optional
        The environment; the process's own by default.
    now : datetime, optional
    """
    given = os.environ if environ is None else environ
    yield from _module("installation", given)
    try:
        project = find_project(Path.cwd(), explicit=named, environ=given)
    except MarketLoopError as error:
        yield failed("project", str(error), "marketloop init DIR")
        return
    yield from _guarded("project", lambda: _load("premises").places(project))
    settings: list[Any] = []
    yield from _guarded("settings", lambda: _settings(project, given, settings))
    if not settings:
        return
    patient = Patient(project, settings[0], None, now or SystemClock().now(), given)
    for name in _PROJECT:
        yield from _module(name, patient)
    with ExitStack() as stack:
        opened: list[Patient] = []
        yield from _guarded("state", lambda: _state(patient, stack, opened))
        for name in _LEDGER if opened else ():
            yield from _module(name, opened[0])


def _settings(project: Project, environ: Mapping[str, str], found: list[Any]) -> Iterator[Finding]:
    settings, finding = _load("premises").settings(project, environ)
    found.append(settings)
    yield finding


def _state(patient: Patient, stack: ExitStack, opened: list[Patient]) -> Iterator[Finding]:
    """Examine the ledger, and hand on a patient with an open one where it can be read."""
    ledger = _load("ledger")
    if not ledger.is_there(patient):
        yield from ledger.absent(patient)
        return
    state = stack.enter_context(ledger.opened(patient))
    held = dataclasses.replace(patient, state=state)
    finding, sound = ledger.state(held)
    yield finding
    if sound:
        opened.append(held)


def _module(name: str, what: Any) -> Iterator[Finding]:
    """Make every examination of a module; the module, and each of them, may fail alone."""
    listed: list[tuple[str, Examination]] = []

    def load() -> Iterable[Finding]:
        listed.extend(_load(name).EXAMINATIONS)
        return ()

    yield from _guarded(name, load)
    for title, examination in listed:
        yield from _guarded(title, partial(examination, what))


def _load(name: str) -> Any:
    return importlib.import_module(f"marketloop.cli.examinations.{name}")


def _guarded(name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what an examination finds; whatever goes wrong is a finding too, and the next one is made."""
    try:
        yield from look()
    except MarketLoopError as error:
        yield failed(name, str(error), "do as the sentence says, then run marketloop doctor")
    except Exception as error:  # noqa: BLE001 -- a doctor does not fall ill with the patient
        what = f"{type(error).__name__}: {error}"
        yield failed(name, what, "run make setup, or install MarketLoop again; if that does not help, report this line")
