"""Writes that are on the disk when they return: file by file, folder by folder."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from marketloop.core.errors import FailedError, UsageError
from marketloop.runtime.files import disk_errors, ensure_folder, fill, flush_folder, rename

__all__ = ["digest", "make_folder", "put_in_place", "read_verified", "safe_name", "write_synced"]

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
        ensure_folder(path)
        for folder in missing:
            flush_folder(folder.parent)


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file and flush it."""
    with disk_errors(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            fill(handle, content)
        finally:
            os.close(handle)


def put_in_place(beside: Path, path: Path) -> None:
    """Give a flushed file or folder its name in one step."""
    with disk_errors(path):
        if beside.is_dir():
            flush_folder(beside)
        rename(beside, path)
        flush_folder(path.parent)


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
