"""The supervisor: keeps the processes of a project running, restarts what dies, and stops all of it in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final

from marketloop.loop.children import Child, stop_all

__all__ = ["Supervisor"]

STOP_S: Final = 8.0
"""Seconds that all children have to end in order; the loop needs `worker.STOP_S` of them for a running cycle."""
SHORTEST_S, LONGEST_S = 1.0, 60.0
"""Pause before a restart; it doubles with each death in a row."""
STEADY_S: Final = 60.0
"""A child that has lived so long has not died in a row."""
ALARMING: Final = 5
"""Deaths in a row after which somebody is told; the restarts go on."""
REFUSES: Final = 2
"""Exit code of wrong use: settings that cannot be, a port that is taken. Starting it again at once changes nothing."""
Saying = Callable[[str, Mapping[str, Any]], None]


@dataclass(slots=True)
class _Program:
    """A command that should run, and how it has fared."""

    name: str
    arguments: Sequence[str]
    child: Child | None = None
    started: float = 0.0
    next_start: float = 0.0
    deaths: int = 0
    refused: bool = False


@dataclass(slots=True)
class Supervisor:
    """Runs commands beside each other.

    Parameters
    ----------
    programs : mapping of name to the arguments of ``marketloop``
    say : function of a word and its details
        Told of every start, death and stop; ``alarm`` when something keeps dying, or once when it refuses to run. That
        one is tried again every minute, without another word: the others go on, and somebody may put it right.
    output : file, optional
        Where standard output of the children goes.
    """

    programs: Mapping[str, Sequence[str]]
    say: Saying
    output: IO[bytes] | None = None
    _running: list[_Program] = field(default_factory=list)

    def run(self, until: Callable[[], bool]) -> None:
        """Keep all programs running until `until` says so; then stop them, within `STOP_S` seconds."""
        self._running = [_Program(name, arguments) for name, arguments in self.programs.items()]
        try:
            while not until():
                for program in self._running:
                    self._look_after(program, time.monotonic())
                time.sleep(0.1)
        finally:
            self._stop()

    def _look_after(self, program: _Program, moment: float) -> None:
        child = program.child
        if child is None:
            if moment >= program.next_start:
                program.child = Child.start(program.arguments, output=self.output)
                program.started = moment
                if not program.refused:
                    self.say("started", {"program": program.name, "pid": program.child.pid})
        elif child.exit_code is not None:
            self._bury(program, child, moment)
        elif program.refused and moment - program.started >= STEADY_S:
            program.refused = False
            self.say("started", {"program": program.name, "pid": child.pid})

    def _bury(self, program: _Program, child: Child, moment: float) -> None:
        """Say that a program died, and when it starts again."""
        told = {"program": program.name, "exit_code": child.exit_code, "words": child.last_words()}
        program.deaths = program.deaths + 1 if moment - program.started < STEADY_S else 1
        known, program.refused = program.refused, child.exit_code == REFUSES
        doublings = 10 if program.refused else min(program.deaths - 1, 10)
        pause = min(LONGEST_S, SHORTEST_S * 2.0**doublings)
        program.next_start = moment + pause
        if not (program.refused and known):
            self.say("died", {**told, "in_a_row": program.deaths, "restart_in_s": pause})
        if program.refused and not known:
            self.say("alarm", {**told, "in_a_row": 1, "refused": True})
        elif not program.refused and program.deaths % ALARMING == 0:
            self.say("alarm", {**told, "in_a_row": program.deaths, "refused": False})
        child.kill()  # what it started in its session
        child.close()
        program.child = None

    def _stop(self) -> None:
        children = {program.name: program.child for program in self._running if program.child is not None}
        late = stop_all([*children.values()], patience=STOP_S)
        for name, child in children.items():
            self.say("stopped", {"program": name, "exit_code": child.exit_code, "killed": child in late})
            child.close()
        self._running = []
