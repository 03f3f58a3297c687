"""``marketloop up``: runs the processes of a project, restarts what dies, and stops all of it in order."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from marketloop.cli.call import Answer, Call
from marketloop.cli.commands import COMMANDS
from marketloop.cli.loop import ScheduleOption, Teller
from marketloop.core.errors import MarketLoopError

__all__ = ["command"]

PROGRAMS: Final = ("loop", "serve")
TALKING: Final = ("loop",)
"""Programs that print what happens; a server prints no document."""


def command(
    call: Call,
    schedule: ScheduleOption = None,
    tied: Annotated[bool, typer.Option("--tied", help="End when standard input ends.", hidden=True)] = False,
) -> Answer:
    """Run the loop and, where there is one, the web server; restart one that dies, later and later.

    SIGTERM or Ctrl-C stops everything within ten seconds, a running cycle included.
    """
    stopping, supervisor = map(call.room, ("runtime.stopping", "loop.supervisor"))
    until = stopping.stop_flag()
    if tied:
        stopping.tie_to_parent()
    call.settings({"retraining.schedule": schedule})  # what is wrong is said before anything is started
    root = str(call.project().root)
    teller = Teller(call)

    def say(what: str, about: Mapping[str, Any]) -> None:
        teller(what, about)
        if what == "alarm":
            threading.Thread(target=_sound, args=(call, about), daemon=True).start()

    spoken = ("--json",) if call.json else ()
    given = {"loop": ("--schedule", schedule) if schedule else ()}
    programs = {
        name: ("--project", root, name, "--tied", *(spoken if name in TALKING else ()), *given.get(name, ()))
        for name in PROGRAMS
        if name in COMMANDS
    }
    sys.stdout.flush()
    supervisor.Supervisor(programs, say=say, output=sys.stdout.buffer).run(until)
    raise typer.Exit


def _sound(call: Call, about: Mapping[str, Any]) -> None:
    """Tell somebody that a program refuses to run or keeps dying, from here: the loop may be the one that does."""
    alarms = call.room("loop.alarms")
    how = "refuses to run" if about["refused"] else f"has died {about['in_a_row']} times in a row"
    title = f"marketloop {about['program']} {how}"
    try:
        with call.open_helm() as helm:
            error = about["words"] or f"exit code {about['exit_code']}"
            alarms.raise_alarm(helm, alarms.went_wrong(title, key=f"died:{about['program']}", error=error))
            alarms.deliver(helm)
    except MarketLoopError as error:
        call.room("runtime.logging").get_logger("up").error(title, reason=str(error))
