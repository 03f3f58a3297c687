"""A command of the product in a fresh process: what it cost and what it said."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from marketloop.core.errors import FailedError

__all__ = ["COMMAND", "Measured", "measure"]

COMMAND = (sys.executable, "-c", "from marketloop.cli import main; main()")
"""The `marketloop` command of this installation; its arguments follow."""
FORBIDDEN = "PYTHONDONTWRITEBYTECODE"
"""Where it is set and nothing was compiled at the installation, every process compiles every module that it imports."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a finished process cost, the processes that it started included.

    Parameters
    ----------
    seconds, cpu_seconds : float
        From start to end, and computing time of all threads.
    peak_rss_mb : float
        Largest resident set of any one of its processes, in MB (10^6 bytes).
    """

    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    stdout: str


def measure(command: Sequence[str], *, folder: Path | None = None, codes: Sequence[int] = (0,)) -> Measured:
    """Run `command` to its end in `folder` and measure it.

    It may keep the bytecode that it compiles, as any process of an ordinary installation does.

    Parameters
    ----------
    codes : exit codes that are no failure

    Raises
    ------
    FailedError
        The process ended with another code; the end of what it said is in the message.
    """
    environment = {name: value for name, value in os.environ.items() if name != FORBIDDEN}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            list(command), cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = code = os.waitstatus_to_exitcode(status)
        said, complaint = _text(out), _text(err)
    if code not in codes:
        last = (complaint.strip() or said.strip())[-300:]
        raise FailedError(f"{' '.join(command[-4:])} ended with exit code {code}, expected {codes}: {last}")
    kilobyte = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return Measured(code, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * kilobyte / 1e6, said)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
