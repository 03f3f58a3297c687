"""Files that are either there as a whole or not at all, and disk errors as one sentence."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marketloop.core.errors import FailedError, MarketLoopError, UsageError

__all__ = ["disk_errors", "ensure_folder", "storage_error", "write_atomic"]

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the whole new one, also after a power cut.

    The bytes go to a file beside `path`, are flushed to disk, and take its place in one step; then the folder is
    flushed too.

    Raises
    ------
    FailedError
        The disk is full, the folder is not writable, or something is in the way; `path` is as it was.
    """
    with disk_errors(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        beside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.chmod(_permissions(path))
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)


def ensure_folder(path: Path) -> Path:
    """Create the folder `path` with its parents and return it.

    Raises
    ------
    UsageError
        A file is in the way.
    FailedError
        The disk is full or the parent is not writable.
    """
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block, which works on `path`, into the error that `storage_error` gives."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def storage_error(error: OSError, path: Path | None = None) -> MarketLoopError:
    """Say in one sentence what the disk refused and what to do about it.

    Parameters
    ----------
    error : OSError
    path : Path, optional
        What was being read or written; the error's own file name otherwise.
    """
    named = path or error.filename
    where = f'"{named}"' if named else "the output"
    if error.errno in _FULL:
        return FailedError(f"the disk is full: {where} was not written; free some space and run the command again")
    if error.errno in _FORBIDDEN:
        return FailedError(
            f"no permission for {where} ({os.strerror(error.errno or 0).lower()}): "
            "make it accessible to this user, or choose another folder with --project"
        )
    if error.errno in _IN_THE_WAY:
        return UsageError(f"{where} cannot be used: something of another kind is in the way; move it or choose another")
    if error.errno == errno.ENOENT:
        return UsageError(f"{where} does not exist: check the path")
    return FailedError(f"{where} could not be read or written: {error.strerror or error}; try again")


def _permissions(path: Path) -> int:
    """Return the mode that `path` has, or that an ordinary new file would get."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there, and replace is durable enough
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
