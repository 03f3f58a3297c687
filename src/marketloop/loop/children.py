"""Child processes of the house: started with a life tied to ours, asked to stop, and ended if they do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final, Self

__all__ = ["Child", "stop_all"]

_WORDS: Final = 2000
_PLAIN: Final = 4096


@dataclass(slots=True)
class Child:
    """A ``marketloop`` command that runs beside us.

    Its standard input is a pipe that nobody writes to: when we die, in whatever way, it ends, and with ``--tied`` the
    child ends with it. It leads a session of its own, so that a signal to it reaches nobody else, and the last one
    reaches everything that it started.
    """

    process: subprocess.Popen[bytes]
    errors: IO[bytes]

    @classmethod
    def start(
        cls, arguments: Sequence[str], environ: Mapping[str, str] | None = None, *, output: IO[bytes] | None = None
    ) -> Self:
        """Start ``marketloop ARGUMENTS``.

        Parameters
        ----------
        arguments : sequence of str
            Of the command line, ``--tied`` among them.
        environ : mapping, optional
            Variables beside our own.
        output : file, optional
            Where its standard output goes; nowhere by default.
        """
        errors = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as the child
        process = subprocess.Popen(
            [sys.executable, "-m", "marketloop.cli", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if output is None else output,
            stderr=errors,
            env={**os.environ, **(environ or {})},
            start_new_session=True,
        )
        return cls(process, errors)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self.process.poll()

    def last_words(self) -> str:
        """Return the last line that it wrote to standard error."""
        with suppress(OSError, ValueError):
            size = self.errors.seek(0, os.SEEK_END)
            self.errors.seek(max(0, size - _PLAIN))
            lines = self.errors.read().decode(errors="replace").strip().splitlines()
            return lines[-1].removeprefix("marketloop: ")[:_WORDS] if lines else ""
        return ""

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for its end, and return whether it has come."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ask_to_stop(self) -> None:
        """Send SIGTERM to it alone."""
        if self.exit_code is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and everything that it started in its session."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Give its pipe and its file back, once it has ended."""
        for stream in (self.process.stdin, self.errors):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def stop_all(children: Sequence[Child], *, patience: float) -> tuple[Child, ...]:
    """Ask every child to stop, wait up to `patience` seconds for all, kill the rest, and return these."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + patience
    while any(child.exit_code is None for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    late = tuple(child for child in children if child.exit_code is None)
    for child in late:
        child.kill()
    return late
