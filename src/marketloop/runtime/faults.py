"""Every moment at which a process may be cut off, by name, so that a test can cut it off there."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from marketloop.core.errors import UsageError

__all__ = ["POINTS", "STEPS", "VARIABLE", "arm", "is_armed", "point", "step"]

STEPS: Final[Mapping[str, str]] = {
    "file.write": "bytes go into a file",
    "file.fsync": "a file is flushed",
    "file.rename": "a file or folder takes its name",
    "file.delete": "a file or folder is deleted",
    "folder.make": "a folder is made",
    "folder.fsync": "a folder's entries are flushed",
    "ledger.write": "a statement changes the ledger",
    "ledger.commit": "a transaction of the ledger is committed",
    "scores.write": "a statement changes the scoreboards",
    "scores.commit": "a transaction of the scoreboards is committed",
    "scores.fsync": "the scoreboards are flushed",
    "table.commit": "a table of bars or series gets a version",
    "mirror.make": "MLflow's database is made",
    "mirror.send": "a version is copied into MLflow",
}
"""All that a cycle leaves on a disk or in a database goes through one of these steps."""

POINTS: Final = (*(f"{name}.{side}" for name in STEPS for side in ("before", "after")), "file.write.half")
"""Each step has a point before it and one after it; bytes also have one when half of them are written."""

VARIABLE: Final = "MARKETLOOP_FAULT"
"""Set to what `arm` takes, to have the process armed from its start."""

_THROUGH: Final = {
    f"marketloop.{name}"
    for name in ("runtime.faults", "runtime.files", "registry.disk", "state.store", "state.probing", "data.delta")
}
_KNOWN: Final = frozenset(POINTS)
Deed = Literal["kill", "stop", "error", "record"]
_DEEDS: Final[tuple[Deed, ...]] = ("stop", "error", "record")


@dataclass(slots=True)
class _Plan:
    deed: Deed
    target: str
    left: int = 1

    def pass_by(self, name: str) -> None:
        passed = f"{name}@{_site()}"
        if self.deed == "record":
            _note(self.target, passed)
        elif self.target in {name, passed}:
            self.left -= 1
            if self.left == 0:
                _strike(self.deed, passed)


_plan: _Plan | None = None


def arm(fault: str) -> None:
    """Choose what happens at the points that this process passes from now on; with "" nothing does.

    Parameters
    ----------
    fault : str
        ``NAME`` or ``NAME:N`` kills the process (SIGKILL) when it passes the point for the N-th time.
        ``stop:NAME:N`` stops it there until SIGCONT, ``error:NAME:N`` raises "no space left on device" there, and
        ``record:FILE`` appends the name of every point that is passed to a file. A name may be that of a point alone,
        or end with the place: ``ledger.commit.after@registry.registry.Registry.promote``.

    Raises
    ------
    UsageError
        There is no such point, or N is no number.
    """
    global _plan  # noqa: PLW0603 -- there is one process to kill
    first, _, rest = fault.partition(":")
    deed: Deed = next((deed for deed in _DEEDS if deed == first), "kill")
    wanted = rest if deed != "kill" else fault
    if deed == "record" or not fault:
        _plan = _Plan("record", wanted) if fault else None
        return
    name, _, count = wanted.partition(":")
    _check(name.partition("@")[0])
    if count and not (count.isdecimal() and int(count)):
        raise UsageError(f'{VARIABLE} "{fault}": expected a count from 1 after the name, not "{count}"')
    _plan = _Plan(deed, name, int(count or 1))


def is_armed() -> bool:
    """Say whether anything may happen at the points."""
    return _plan is not None


def point(name: str) -> None:
    """Pass the point `name`: does nothing unless the process is armed."""
    _check(name)
    if _plan is not None:
        _plan.pass_by(name)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Pass the point before the step `name`, let the block do it, and pass the point after it."""
    point(f"{name}.before")
    yield
    point(f"{name}.after")


def _check(name: str) -> None:
    if name not in _KNOWN:
        raise UsageError(f'unknown fault point "{name}": expected a step of {", ".join(STEPS)} with .before or .after')


def _site() -> str:
    """Return the function of the house for which a step is done: module and name, the doers themselves left out."""
    frame = sys._getframe(1)  # noqa: SLF001 -- `inspect` costs 10 ms, and every command imports this
    while frame is not None:
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_qualname
        if module.startswith("marketloop.") and module not in _THROUGH and not frame.f_code.co_name.startswith("<"):
            return f"{module.removeprefix('marketloop.')}.{name.replace('.<locals>', '')}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "outside"


def _note(path: str, passed: str) -> None:
    with Path(path).open("ab", buffering=0) as file:
        file.write(f"{passed}\n".encode())


def _strike(deed: Deed, passed: str) -> None:
    if deed == "error":
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} (asked for at {passed})")
    os.kill(os.getpid(), signal.SIGSTOP if deed == "stop" else signal.SIGKILL)


arm(os.environ.get(VARIABLE, ""))
