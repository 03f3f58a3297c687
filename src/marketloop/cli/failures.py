"""Errors as a user meets them: one sentence, an exit code, and a file for what only a developer can read."""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from marketloop.core.errors import MarketLoopError
from marketloop.runtime.clock import SystemClock
from marketloop.runtime.files import storage_error
from marketloop.runtime.project import find_project
from marketloop.runtime.redact import redact_text

__all__ = ["Failure", "explain", "report"]

_DISK: Final = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
# Libraries wrap what the disk said into errors of their own; their words stay the same.
_FULL: Final = ("No space left on device", "database or disk is full", "Disk quota exceeded")


@dataclass(frozen=True, slots=True)
class Failure:
    """One sentence and the exit code that goes with it."""

    sentence: str
    exit_code: int


def explain(error: BaseException, named: Path | None) -> Failure:
    """Say what `error` means to the user; `named` is the value of ``--project``."""
    if isinstance(error, MarketLoopError):
        return Failure(str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted: what was finished is kept, nothing is half-written; run the command again", 130)
    if isinstance(error, SystemExit):
        return Failure("", error.code if isinstance(error.code, int) else 3)
    if isinstance(error, OSError) and error.errno in _DISK:
        return Failure(str(storage_error(error)), 3)
    if any(words in str(error) for words in _FULL):
        return Failure("the disk is full: nothing half-written was kept; free some space and run the command again", 3)
    if isinstance(error, MemoryError):
        return Failure("out of memory: use fewer tickers or a shorter time, or lower [compute] threads", 3)
    place = _write_traceback(error, named)
    return Failure(f"something unforeseen happened ({type(error).__name__}); the details are in {place}", 3)


def report(failure: Failure, *, as_json: bool) -> int:
    """Print the sentence to standard error, with ``--json`` also as a document, and return the exit code."""
    if failure.sentence:
        sys.stderr.write(f"marketloop: {redact_text(failure.sentence)}\n")
        if as_json:
            document = {"error": redact_text(failure.sentence), "exit_code": failure.exit_code}
            sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    return failure.exit_code


def _write_traceback(error: BaseException, named: Path | None) -> str:
    """Write the traceback beside the project's logs, else to the temporary folder, and return where."""
    at = SystemClock().now().strftime("%Y%m%d_%H%M%S")
    text = redact_text("".join(traceback.format_exception(error)))
    for folder in _folders(named):
        try:
            handle, name = tempfile.mkstemp(prefix=f"error_{at}_", suffix=".log", dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            continue
        return f'"{name}"'
    return "no file, because none could be written"


def _folders(named: Path | None) -> list[Path]:
    temporary = Path(tempfile.gettempdir())
    try:
        logs = find_project(Path.cwd(), explicit=named, environ=os.environ).logs
    except (MarketLoopError, OSError):
        return [temporary]
    return [logs, temporary]
