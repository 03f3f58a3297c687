"""Logs: one line per happening, to the screen and to rotating files, with secrets hidden."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final, TextIO, cast

import structlog

from marketloop.runtime.files import disk_errors, ensure_folder
from marketloop.runtime.redact import redact

__all__ = ["get_logger", "set_up_logging"]

_ROOT: Final = "marketloop"
_LEVELS: Final = (logging.CRITICAL, logging.INFO, logging.DEBUG)
_FILE_BYTES: Final = 5_000_000
_FILES_KEPT: Final = 5


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a room, e.g. ``get_logger("loop").info("cycle started", family=...)``."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(f"{_ROOT}.{name}"))


def set_up_logging(
    folder: Path | None, *, verbosity: int = 0, file: str = "app.log", screen: TextIO | None = None
) -> None:
    """Send log lines to `screen` and, from level INFO, to ``folder/file``; standard output stays untouched.

    Parameters
    ----------
    folder : Path or None
        Folder of the log files, created when missing; None writes no file.
    verbosity : int
        0 shows nothing on the screen, where commands speak for themselves; 1 information, 2 everything.
    file : str
        Name of the file; it holds JSON lines, rotates at 5 MB, and five old ones are kept.
    screen : text stream, optional
        Standard error by default.

    Raises
    ------
    MarketLoopError
        The folder cannot be made or written.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _hide_secrets,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    logging.raiseExceptions = False  # a log line that cannot be written (disk full) must not stop or clutter the work
    root = logging.getLogger(_ROOT)
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.propagate = False
    stream = logging.StreamHandler(screen or sys.stderr)
    stream.setLevel(_LEVELS[min(verbosity, len(_LEVELS) - 1)])
    stream.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0), shared))
    root.addHandler(stream)
    if folder is not None:
        root.addHandler(_file_handler(folder, file, shared))
    root.setLevel(logging.DEBUG if verbosity > 1 else logging.INFO)


def _file_handler(folder: Path, file: str, shared: list[Any]) -> logging.Handler:
    path = ensure_folder(folder) / file
    with disk_errors(path):
        handler = RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, encoding="utf-8")
    handler.setLevel(logging.INFO)
    handler.setFormatter(_formatter(structlog.processors.JSONRenderer(sort_keys=True, default=str), shared))
    return handler


def _formatter(renderer: Any, shared: list[Any]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: value if key.startswith("_") else redact(key, value) for key, value in event.items()}
