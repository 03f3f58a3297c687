"""States to test: SQLite always, PostgreSQL where a server and its driver are installed."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from marketloop.state import Slot, State

NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def noon() -> dt.datetime:
    return NOON


@pytest.fixture
def slot() -> Slot:
    return Slot("price_predictor", "rsi10_vol20_support20")


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))],
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    address: str = request.getfixturevalue("empty_postgres")
    return address


@pytest.fixture
def state(url: str) -> Iterator[State]:
    with State.open(url) as opened:
        yield opened


@pytest.fixture
def compete(url: str) -> Callable[[str], list[str]]:
    """Run a script in two processes at the same time and return what each printed; the script knows `url`."""

    def run(script: str) -> list[str]:
        head = "import datetime as dt, sys\nfrom marketloop.state import *\nurl = sys.argv[1]\n"
        head += "at = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)\nslot = Slot('price_predictor', 'rsi10')\n"
        head += "sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.readline()\n"
        children = [
            subprocess.Popen(
                [sys.executable, "-c", head + script, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        for child in children:
            assert child.stdout
            child.stdout.readline()
        for child in children:
            assert child.stdin
            child.stdin.write("go\n")
            child.stdin.flush()
        answers = [child.communicate(timeout=60)[0] for child in children]
        assert [child.returncode for child in children] == [0, 0]
        return answers

    return run
