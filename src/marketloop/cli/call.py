"""One call of one command: where its project is, how it wants its answer, and the answer itself."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketloop.core.errors import MarketLoopError
from marketloop.runtime.layers import environment_layer, file_layer
from marketloop.runtime.project import PROJECT_VARIABLE, SETTINGS_FILE, Project, find_project
from marketloop.runtime.threads import set_thread_budget

if TYPE_CHECKING:
    from marketloop.cli.render import Screen, Update
    from marketloop.runtime.settings import Settings

__all__ = ["Answer", "Call"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found out.

    Parameters
    ----------
    document : mapping
        Printed with ``--json``; its keys are stable and described in the JSON reference.
    show : function of a `Screen`
        Prints the same for people.
    exit_code : int
        0 done, 1 refused by a gate or a check.
    """

    document: Mapping[str, Any]
    show: Callable[[Screen], None]
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """The options that every command has.

    Parameters
    ----------
    named : Path, optional
        Value of ``--project``.
    json : bool
        One JSON document goes to standard output and nothing else.
    verbose : int
        How much of the log goes to standard error: 0 warnings, 1 information, 2 everything.
    """

    named: Path | None = None
    json: bool = False
    verbose: int = 0

    def project(self) -> Project:
        """Return the project that the call is about, with its logs open and the thread budget set."""
        project = find_project(Path.cwd(), explicit=self.named, environ=os.environ)
        set_thread_budget(_threads(project))
        logs = importlib.import_module("marketloop.runtime.logging")
        try:
            logs.set_up_logging(project.logs, verbosity=self.verbose)
        except MarketLoopError as error:  # reading commands work in a read-only project
            logs.set_up_logging(None, verbosity=self.verbose)
            logs.get_logger("cli").info("no log file", reason=str(error))
        return project

    def settings(self, flags: Mapping[str, Any] | None = None) -> Settings:
        """Return the resolved settings of the project; `flags` by dotted key, None where not given."""
        root = self.project().root
        settings: Settings = importlib.import_module("marketloop.runtime.settings").load_settings(
            root, environ=os.environ, flags=flags or {}
        )
        return settings

    def open_house(self, flags: Mapping[str, Any] | None = None, *, bare: bool = False) -> Any:
        """Open the house of the project: ``marketloop.loop.house.open_house(folder, environ=, flags=)``.

        With `bare` a call outside any project gets a house with default settings and nothing in it.
        """
        root = None if bare and self._is_outside() else self.project().root
        return self.room("loop.house").open_house(root, environ=os.environ, flags=flags or {})

    def open_helm(self) -> Any:
        """Open the helm of the project: ledger and registry alone, in a fraction of the time that a house takes."""
        return self.room("loop.helm").open_helm(self.project().root, environ=os.environ)

    def room(self, name: str) -> Any:
        """Import a module of the house at the moment when it is needed, e.g. ``call.room("loop.cycle")``."""
        return importlib.import_module(f"marketloop.{name}")

    def _is_outside(self) -> bool:
        if self.named is not None or os.environ.get(PROJECT_VARIABLE):
            return False
        return not any((folder / SETTINGS_FILE).is_file() for folder in (Path.cwd(), *Path.cwd().parents))

    @contextmanager
    def progress(self, label: str) -> Iterator[Update]:
        """Yield a function ``update(done, total, what="")`` that draws a bar on a terminal once 2 s have passed."""
        wanted = not self.json and sys.stderr.isatty()
        with importlib.import_module("marketloop.cli.render").progress(label, wanted=wanted) as update:
            yield update

    @contextmanager
    def telling(self, label: str) -> Iterator[Callable[[str, int, int], None]]:
        """Yield a function ``tell(what, done, total)`` as `loop` takes it, drawn like `progress`."""
        with self.progress(label) as update:
            yield lambda what, done, total: update(done, total, what)


def _threads(project: Project) -> int | None:
    """Read ``[compute] threads`` without pydantic and Polars: libraries read the budget when they are imported.

    Nothing is checked here; wrong settings are reported by `load_settings`.
    """
    try:
        given = {**file_layer(project.settings_file).values, **environment_layer(os.environ).values}
        value = int(given.get(("compute", "threads"), 0))
    except (MarketLoopError, TypeError, ValueError):
        return None
    return value if value > 0 else None
