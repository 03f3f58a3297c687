"""Writes that are on the disk when they return: file by file, folder by folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from marketloop.core.errors import FailedError, UsageError
from marketloop.registry.faults import point
from marketloop.runtime.files import disk_errors

__all__ = ["digest", "make_folder", "put_in_place", "read_verified", "remove", "safe_name", "write_synced"]

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def digest(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def safe_name(name: str) -> str:
    """Return `name` if it names a file in its own folder on every system; raise `UsageError` otherwise."""
    if not _SAFE.fullmatch(name):
        raise UsageError(f'file name "{name}": expected up to 100 letters, digits, ".", "_" or "-", no leading dot')
    return name


def make_folder(path: Path) -> None:
    """Create the folder `path` and flush every folder that gained an entry."""
    with disk_errors(path):
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            _sync_folder(folder.parent)


def write_synced(path: Path, content: bytes, *, name: str) -> None:
    """Write a new file and flush it; `name` is the prefix of its two fault points."""
    with disk_errors(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(handle, left) :]
            point(f"{name}.written")
            os.fsync(handle)
        finally:
            os.close(handle)
        point(f"{name}.synced")


def put_in_place(beside: Path, path: Path, *, name: str) -> None:
    """Give a flushed file or folder its name in one step; `name` is the prefix of the fault points."""
    with disk_errors(path):
        if beside.is_dir():
            _sync_folder(beside)
            point(f"{name}.folder.synced")
        beside.rename(path)
        point(f"{name}.renamed")
        _sync_folder(path.parent)
        point(f"{name}.parent.synced")


def read_verified(path: Path, sha256: str, *, remedy: str) -> bytes:
    """Return the content of a file whose hash is known.

    Raises
    ------
    FailedError
        The file is missing or is not what was written; the sentence ends with `remedy`.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise FailedError(f'"{path}" is missing; {remedy}') from error
    except OSError as error:
        raise FailedError(f'"{path}" cannot be read ({error.strerror}); {remedy}') from error
    if (found := digest(content)) != sha256:
        raise FailedError(f'"{path}" is damaged: its sha256 is {found[:12]}..., {sha256[:12]}... was written; {remedy}')
    return content


def remove(path: Path) -> None:
    """Delete a file, or a folder with everything in it; a missing one is fine."""
    with disk_errors(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
