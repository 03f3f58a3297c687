"""Who holds something: a process that can be told from every other, dead ones included."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping

__all__ = ["Process", "process_columns", "process_of", "this_process"]


@dataclass(frozen=True, slots=True)
class Process:
    """Identity of a process.

    Parameters
    ----------
    pid : int
    host : str
    boot_id : str
        Differs after a reboot; empty where the system has none.
    start : str
        Start time in the kernel's own units, which tells a reused pid; empty where it cannot be read.
    """

    pid: int
    host: str
    boot_id: str
    start: str

    def is_dead(self, here: Process) -> bool:
        """Return whether this process is known to be dead, seen from the process `here`.

        A process of another host is never known to be dead.
        """
        if self.host != here.host:
            return False
        if self.boot_id != here.boot_id:
            return True
        return _start(self.pid) != self.start

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process() -> Process:
    """Return the identity of the running process."""
    pid = os.getpid()
    boot = Path("/proc/sys/kernel/random/boot_id")
    return Process(
        pid=pid,
        host=socket.gethostname(),
        boot_id=boot.read_text().strip() if boot.exists() else "",
        start=_start(pid) or "",
    )


def process_columns(process: Process) -> dict[str, Any]:
    """Return the four columns in which tables keep a process."""
    return {"pid": process.pid, "host": process.host, "boot_id": process.boot_id, "process_start": process.start}


def process_of(row: RowMapping) -> Process:
    """Return the process of a row, the inverse of `process_columns`."""
    return Process(row["pid"], row["host"], row["boot_id"], row["process_start"])


def _start(pid: int) -> str | None:
    """Return the start time of a living process, None for a dead one; zombies are dead."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
