"""The cache of frames: whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from marketloop.core.errors import UsageError
from marketloop.data.framecache import FrameCache

FRAME = pl.DataFrame({"a": [1.0, None, 3.0], "b": ["x", "y", None]})


def test_frame_comes_back_as_it_was_put(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path / "cache")
    assert cache.get("abc") is None
    cache.put("abc", FRAME)
    found = cache.get("abc")
    assert found is not None
    assert_frame_equal(found, FRAME)
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["abc.arrow"]


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-5], lambda c: c[:0], lambda c: c[:60] + b"?" + c[61:], lambda c: c + b"x"]
)
def test_damaged_file_counts_as_absent(tmp_path: Path, damage: object) -> None:
    cache = FrameCache(tmp_path)
    cache.put("abc", FRAME)
    (file,) = tmp_path.iterdir()
    assert callable(damage)
    file.write_bytes(damage(file.read_bytes()))
    assert cache.get("abc") is None
    cache.put("abc", FRAME)
    assert cache.get("abc") is not None


def test_frame_unused_for_longest_goes_first(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path, keep=2)
    for at, key in enumerate(("one", "two")):
        cache.put(key, FRAME)
        os.utime(tmp_path / f"{key}.arrow", (at, at))
    assert cache.get("one") is not None
    cache.put("three", FRAME)
    assert cache.get("two") is None
    assert cache.get("one") is not None
    assert cache.get("three") is not None


def test_key_that_is_no_fingerprint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no fingerprint"):
        FrameCache(tmp_path).put("../x", FRAME)
    with pytest.raises(UsageError, match="keep = 0: expected at least 1 frame"):
        FrameCache(tmp_path, keep=0)
