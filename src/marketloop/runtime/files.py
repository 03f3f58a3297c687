"""Files that are either there as a whole or not at all, and disk errors as one sentence."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from marketloop.core.errors import FailedError, MarketLoopError, UsageError
from marketloop.runtime.faults import is_armed, point, step
from marketloop.runtime.locks import lock

__all__ = [
    "append",
    "delete",
    "disk_errors",
    "ensure_folder",
    "fill",
    "flush_folder",
    "rename",
    "storage_error",
    "write_atomic",
]

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
_BESIDE: Final = ".marketloop-partial"
_LEFT_BEHIND: Final = re.compile(r"\..+\.[a-z0-9_]{8}" + re.escape(_BESIDE))


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the whole new one, also after a power cut.

    The bytes go to a file beside `path`, are flushed to disk, and take its place in one step; then the folder is
    flushed too. What processes that were killed meanwhile have left beside other files of the folder is deleted.

    Raises
    ------
    FailedError
        The disk is full, the folder is not writable, or something is in the way; `path` is as it was.
    """
    with disk_errors(path):
        _sweep(path.parent)
        file, beside = _open_beside(path)
        with file:
            try:
                fill(file.fileno(), content)
                beside.chmod(_permissions(path))
                if os.name == "nt":  # an open file cannot be renamed there, nor deleted by the sweep of another process
                    file.close()
                rename(beside, path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
        flush_folder(path.parent)


def fill(handle: int, content: bytes) -> None:
    """Write all of `content` to an open file and flush it."""
    with step("file.write"):
        view = memoryview(content)
        if is_armed():
            view = _written(handle, view, len(view) // 2)
            point("file.write.half")
        _written(handle, view, len(view))
    with step("file.fsync"):
        os.fsync(handle)


def append(path: Path, content: bytes, *, most: int) -> None:
    """Append whole lines to a log; one that has grown beyond `most` bytes becomes ``NAME.1`` and a new one begins.

    A line that a killed process left half-written is ended, so that nothing stands behind it.
    """
    with disk_errors(path):
        if path.exists() and path.stat().st_size > most:
            rename(path, path.with_name(f"{path.name}.1"))
        with path.open("a+b") as file:
            if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
                content = b"\n" + content
            fill(file.fileno(), content)


def rename(beside: Path, path: Path) -> None:
    """Give a flushed file or folder its name, in one step, in place of a file that has it."""
    with step("file.rename"):
        beside.replace(path)


def flush_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    if os.name == "nt":  # folders cannot be opened there, and replace is durable enough
        return
    with step("folder.fsync"):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
        if not path.is_dir():
            with step("folder.make"):
                path.mkdir(parents=True, exist_ok=True)
    return path


def delete(path: Path) -> None:
    """Delete a file, or a folder with everything in it; a missing one is fine."""
    with disk_errors(path), step("file.delete"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


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


def _open_beside(path: Path) -> tuple[IO[bytes], Path]:
    """Open a new file beside `path`, locked as long as it is open: an unlocked one was left by a dead process."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_BESIDE, dir=path.parent)
        file = os.fdopen(handle, "wb", buffering=0)
        with suppress(OSError):  # where files cannot be locked nothing is swept either
            lock(file, wait=True)
        if os.path.lexists(name):
            return file, Path(name)
        file.close()  # swept between its making and its lock


def _sweep(folder: Path) -> None:
    """Delete what killed processes left beside the files of `folder`."""
    for path in folder.iterdir():
        if not _LEFT_BEHIND.fullmatch(path.name):
            continue
        with suppress(OSError, MarketLoopError), path.open("rb") as file:
            lock(file, wait=False)
            delete(path)


def _written(handle: int, content: memoryview, count: int) -> memoryview:
    """Write the first `count` bytes and return the rest."""
    left = content[:count]
    while left:
        left = left[os.write(handle, left) :]
    return content[count:]
