from __future__ import annotations

from pathlib import Path

import pytest

from marketloop.core.errors import FailedError, RefusedError, UsageError
from marketloop.registry import StreamFiles


def test_stream_file_is_written_once(tmp_path: Path) -> None:
    files = StreamFiles(tmp_path / "streams")
    sha256 = files.put("stream_1/block_25.parquet", b"scores")
    assert files.put("stream_1/block_25.parquet", b"scores") == sha256
    assert files.get("stream_1/block_25.parquet", sha256) == b"scores"
    with pytest.raises(RefusedError, match="stored scores are never recomputed"):
        files.put("stream_1/block_25.parquet", b"other scores")
    assert [path.name for path in (tmp_path / "streams" / "stream_1").iterdir()] == ["block_25.parquet"]


def test_stream_file_is_verified_when_read(tmp_path: Path) -> None:
    files = StreamFiles(tmp_path)
    sha256 = files.put("a.parquet", b"scores")
    (tmp_path / "a.parquet").write_bytes(b"score5")
    with pytest.raises(FailedError, match="is damaged"):
        files.get("a.parquet", sha256)
    with pytest.raises(FailedError, match="is missing"):
        files.get("b.parquet", sha256)


def test_stream_file_stays_in_its_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="file name"):
        StreamFiles(tmp_path).put("../a.parquet", b"")


def test_recovery_deletes_files_that_no_block_names(tmp_path: Path) -> None:
    files = StreamFiles(tmp_path / "streams")
    for path in ("s/1.parquet", "s/2.parquet", "s/model/a.ubj"):
        files.put(path, b"x")
    (tmp_path / "streams" / "s" / ".3.parquet.partial").write_bytes(b"half")
    assert files.recover({"s/1.parquet", "s/model"}) == ("s/.3.parquet.partial", "s/2.parquet")
    assert files.recover({"s/1.parquet", "s/model"}) == ()
    assert StreamFiles(tmp_path / "none").recover(set()) == ()
