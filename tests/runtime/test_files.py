from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from marketloop.core.errors import FailedError, UsageError
from marketloop.runtime.files import storage_error, write_atomic


def test_write_atomic_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"first, and longer")
    write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_keeps_the_permissions_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    path.chmod(0o640)
    write_atomic(path, b"x")
    assert path.stat().st_mode & 0o777 == 0o640


def test_write_atomic_keeps_the_old_file_and_no_rest_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FailedError, match=r'the disk is full: ".*/a" was not written; free some space'):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_names_the_file_when_the_folder_is_read_only(read_only_folder: Path) -> None:
    with pytest.raises(FailedError, match=f'no permission for "{read_only_folder / "a"}"'):
        write_atomic(read_only_folder / "a", b"x")


def test_write_atomic_names_the_file_when_the_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'gone/a" does not exist'):
        write_atomic(tmp_path / "gone" / "a", b"x")


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, FailedError, "the disk is full"),
        (errno.EROFS, FailedError, "read-only file system"),
        (errno.EACCES, FailedError, "permission denied"),
        (errno.ENOTDIR, UsageError, "in the way"),
        (errno.EIO, FailedError, "could not be read or written"),
    ],
)
def test_storage_error_says_what_the_disk_refused(number: int, kind: type[Exception], words: str) -> None:
    error = storage_error(OSError(number, os.strerror(number)), Path("x"))
    assert type(error) is kind
    assert words in str(error)
