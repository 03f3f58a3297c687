"""Locks on open files, between processes: free again when their holder ends in any way."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["lock", "unlock"]

if sys.platform == "win32":

    def lock(file: IO[bytes], *, wait: bool) -> None:
        """Lock a file alone; without `wait` raise `OSError` where another process has it."""
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

    def unlock(file: IO[bytes]) -> None:
        """Let others lock the file."""
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:

    def lock(file: IO[bytes], *, wait: bool) -> None:
        """Lock a file alone; without `wait` raise `OSError` where another process has it."""
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(file: IO[bytes]) -> None:
        """Let others lock the file."""
        fcntl.flock(file, fcntl.LOCK_UN)
