"""Processes that may be killed: a server that has imported everything forks one for each job."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from marketloop.core.errors import FailedError
from marketloop.runtime import faults

__all__ = ["Ended", "Job", "Mortal", "serve"]

PATIENCE_S: Final = 10.0
"""Seconds that a server has to end when nobody asks it any more."""
Job = Callable[..., dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job's process ended.

    Parameters
    ----------
    code : int
        Exit code; minus the signal that killed it.
    seconds, cpu_seconds : float
    document : dict
        What the job returned; empty where it did not come to its end, ``error`` where it raised.
    """

    code: int
    seconds: float
    cpu_seconds: float
    document: dict[str, Any]

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.code == -signal.SIGKILL


@dataclass(slots=True)
class Mortal:
    """A server of jobs: one at a time, each in a process of its own.

    A context manager: leaving it kills the job that still runs and ends the server. Each job leads a process group of
    its own, and what kills it kills the group.

    Parameters
    ----------
    module : str
        Module, or path of a file, whose run calls `serve`.
    """

    module: str
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _pid: int = 0
    _started: float = 0.0
    _answer: Path | None = None
    _buffer: bytes = b""

    def __enter__(self) -> Self:
        named = [self.module] if self.module.endswith(".py") else ["-m", self.module]
        self._process = subprocess.Popen(
            [sys.executable, *named], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ}
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.stdin is not None:
            if self._pid:
                with suppress(ProcessLookupError):
                    self.signal(signal.SIGKILL)
            self._process.stdin.close()
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:  # a job that nobody waited for keeps it, stopped perhaps
                _kill_children(self._process.pid)
                self._process.kill()
                self._process.wait()
            self._server().stdout.close()  # type: ignore[union-attr]

    def run(self, job: str, *, fault: str = "", kill_after: float | None = None, **given: Any) -> Ended:
        """Run a job to its end, or to its death `kill_after` seconds from its start."""
        self.start(job, fault=fault, **given)
        if kill_after is not None and self.told(kill_after) is None:
            self.signal(signal.SIGKILL)
        return self.wait()

    def start(self, job: str, *, fault: str = "", **given: Any) -> int:
        """Start a job and return its process id."""
        with tempfile.NamedTemporaryFile(prefix="marketloop_job_", delete=False) as file:
            self._answer = Path(file.name)
        asked = {"job": job, "fault": fault, "answer": str(self._answer), "given": given}
        server = self._server()
        server.stdin.write(json.dumps(asked).encode() + b"\n")  # type: ignore[union-attr]
        server.stdin.flush()  # type: ignore[union-attr]
        self._pid = int(self._line(None)["pid"])
        self._started = time.perf_counter()
        return self._pid

    def told(self, seconds: float | None) -> dict[str, Any] | None:
        """Wait for the next thing that happens to the job: ``stopped``, or its end as ``code``; None after a time."""
        try:
            told = self._line(seconds)
        except TimeoutError:
            return None
        if "code" in told:
            self._buffer = json.dumps(told).encode() + b"\n" + self._buffer
        return told

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the job and whatever it started."""
        os.killpg(self._pid, number)

    def wait(self) -> Ended:
        """Wait for the end of the job."""
        while "code" not in (told := self._line(None)):
            pass
        self._pid = 0
        seconds = time.perf_counter() - self._started
        answer = self._answer or Path(os.devnull)
        said = answer.read_text(encoding="utf-8")
        answer.unlink(missing_ok=True)
        try:
            document = json.loads(said) if said else {}
        except ValueError:  # killed while it was writing
            document = {}
        return Ended(int(told["code"]), seconds, float(told["cpu_s"]), document)

    def _line(self, seconds: float | None) -> dict[str, Any]:
        out = self._server().stdout
        if out is None:
            raise FailedError("the server has no standard output")
        until = None if seconds is None else time.perf_counter() + seconds
        while b"\n" not in self._buffer:
            left = None if until is None else max(0.0, until - time.perf_counter())
            if not select.select([out], [], [], left)[0]:
                raise TimeoutError
            piece = os.read(out.fileno(), 65536)
            if not piece:
                raise FailedError(f"the server of {self.module} ended; its complaint is on standard error")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told

    def _server(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise FailedError("the server is not running: use it in a `with` block")
        return self._process


def _kill_children(pid: int) -> None:
    """Kill the processes that a process has started, each with its group."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with suppress(OSError):
        for child in children.read_text(encoding="ascii").split():
            os.killpg(int(child), signal.SIGKILL)


def serve(jobs: Mapping[str, Job]) -> None:
    """Fork a process for each line of standard input and say on standard output what becomes of it."""
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _live(jobs, asked)
        _lead_group(pid)
        _say(pid=pid)
        while True:
            _, status, usage = os.wait4(pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            _say(stopped=True)
        _say(code=os.waitstatus_to_exitcode(status), cpu_s=usage.ru_utime + usage.ru_stime)


def _live(jobs: Mapping[str, Job], asked: Mapping[str, Any]) -> None:
    """Do the job in this process, and end it."""
    code = 0
    _lead_group(0)
    os.dup2(2, 1)  # what a library prints is not for whoever asked
    try:
        faults.arm(asked["fault"])
        document = jobs[asked["job"]](**asked["given"])
    except Exception as error:  # noqa: BLE001 -- the outermost edge of a process: told to whoever asked
        document = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        code = 1
    faults.arm("")
    Path(asked["answer"]).write_text(json.dumps(document, default=str), encoding="utf-8")
    os._exit(code)


def _lead_group(pid: int) -> None:
    """Give a process a group of its own: the child and its parent both do, whoever comes first."""
    with suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)


def _say(**told: Any) -> None:
    with suppress(BrokenPipeError):  # whoever asked is gone; the next line to read is the end
        sys.stdout.buffer.write(json.dumps(told).encode() + b"\n")
        sys.stdout.buffer.flush()
