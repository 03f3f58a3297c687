"""What the worker does beside cycles: one command of the product at a time, in a process apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from marketloop.loop.aftermath import running_elsewhere
from marketloop.loop.children import Child, stop_all
from marketloop.loop.house import House
from marketloop.runtime.logging import get_logger

__all__ = ["Sidework"]


@dataclass(slots=True)
class Sidework:
    """A command that is run now and then, never twice at once and never beside a cycle; a failure is logged.

    Parameters
    ----------
    house : House
    trouble : str
        What the log says when the command has failed.
    environ : mapping, optional
        Variables for the process beside our own.
    """

    house: House
    trouble: str
    environ: Mapping[str, str] = field(default_factory=dict)
    _child: Child | None = None

    @property
    def busy(self) -> bool:
        """Whether its process is running."""
        return self._child is not None

    def may_begin(self) -> bool:
        """Say whether no cycle runs, here or elsewhere; looked at again when it has ended."""
        with self.house.state.write() as db:
            return running_elsewhere(db, self.house.clock.now()) is None

    def begin(self, *words: str) -> None:
        """Start the command `words` on the project."""
        arguments = ("--project", str(self.house.project.root), *words, "--tied", "--json")
        self._child = Child.start(arguments, self.environ)

    def reap(self) -> bool | None:
        """Put a process away that has ended; return whether it did its work, None while none has ended."""
        if self._child is None or self._child.exit_code is None:
            return None
        done = self._child.exit_code == 0
        if not done:
            get_logger("loop").warning(self.trouble, reason=self._child.last_words())
        self._child.close()
        self._child = None
        return done

    def stop(self, *, patience: float) -> None:
        """End its process, if one runs; what it had written stays."""
        if self._child is not None:
            stop_all([self._child], patience=patience)
            self._child.close()
            self._child = None

    def wait(self, seconds: float) -> bool | None:
        """Wait up to `seconds` for its process, and put it away."""
        if self._child is not None:
            self._child.wait(seconds)
        return self.reap()
