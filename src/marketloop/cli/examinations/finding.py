"""What an examination finds, and what it is given to look at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # what is examined may be broken, so nothing of it is imported here
    from marketloop.runtime.project import Project
    from marketloop.runtime.settings import Settings
    from marketloop.state import State

__all__ = ["Examination", "Finding", "Patient", "failed", "ok", "warning"]

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined.

    Parameters
    ----------
    name : str
        What it is about; one name, one finding.
    status : {"ok", "warning", "failed"}
        ``failed`` keeps something from working now, ``warning`` will, or may not be meant.
    value : str
        What was found.
    expected : str
        What should be; empty where the value says it.
    remedy : str
        A command, or what to do; beside ``ok`` what changes a choice that somebody made.
    """

    name: str
    status: Status
    value: str
    expected: str = ""
    remedy: str = ""

    @property
    def detail(self) -> str:
        """Value and expectation in one line."""
        return f"{self.value}; expected {self.expected}" if self.expected else self.value


def ok(name: str, value: str, *, remedy: str = "") -> Finding:
    """Return a finding about something in order."""
    return Finding(name, "ok", value, "", remedy)


def warning(name: str, value: str, remedy: str, *, expected: str = "") -> Finding:
    """Return a finding about something that works and should be looked at."""
    return Finding(name, "warning", value, expected, remedy)


def failed(name: str, value: str, remedy: str, *, expected: str = "") -> Finding:
    """Return a finding about something that does not work."""
    return Finding(name, "failed", value, expected, remedy)


@dataclass(frozen=True, slots=True)
class Patient:
    """A project to be examined; nothing of it is changed.

    Parameters
    ----------
    project : Project
    settings : Settings
    state : State or None
        None where the ledger is not there, or cannot be read.
    now : datetime
    environ : mapping
    """

    project: Project
    settings: Settings
    state: State | None
    now: dt.datetime
    environ: Mapping[str, str]

    @property
    def ledger(self) -> State:
        """The state, for examinations that are only made where it can be read."""
        if self.state is None:
            raise RuntimeError("an examination of the ledger was begun without one")
        return self.state


Examination = Callable[[Patient], Iterable[Finding]]
