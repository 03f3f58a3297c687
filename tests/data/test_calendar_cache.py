"""Calendars are laid out once and kept; a damaged copy is made anew, and nothing depends on the place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import datetime as dt, sys
from marketloop.data.calendar import load_closes, load_timezone
sessions = len(load_closes("XNYS", dt.date(2024, 1, 1), dt.date(2024, 12, 31)))
print(sessions, load_timezone("NYSE"), "pandas" in sys.modules)
"""


def asked(cache: Path) -> str:
    environ = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environ)
    return done.stdout.strip()


def test_second_process_reads_what_the_first_has_kept(tmp_path: Path) -> None:
    assert asked(tmp_path) == "252 America/New_York True"
    assert asked(tmp_path) == "252 America/New_York False"
    for kept in (tmp_path / "marketloop" / "calendars").glob("*.arrow"):
        kept.write_bytes(kept.read_bytes()[:-9])
    assert asked(tmp_path) == "252 America/New_York True"


@pytest.mark.parametrize("name", ["a file", "/proc/nowhere"])
def test_place_that_cannot_be_written_is_no_obstacle(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").write_text("")
    assert asked(tmp_path / name) == "252 America/New_York True"
