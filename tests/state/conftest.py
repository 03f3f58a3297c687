"""States to test: SQLite always, PostgreSQL where a server and its driver are installed."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from marketloop.state import Slot, State
from marketloop.state.dialects import open_engine, parse_url

NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def noon() -> dt.datetime:
    return NOON


@pytest.fixture
def slot() -> Slot:
    return Slot("price_predictor", "rsi10_vol20_support20")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server on loopback that lives as long as the tests."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed (extra: postgres)")
    programs = [shutil.which(name) for name in ("initdb", "pg_ctl")]
    if None in programs:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not on the PATH")
    initdb, pg_ctl = (str(Path(str(program)).resolve()) for program in programs)
    home = Path(tempfile.mkdtemp(prefix="marketloop-postgres-"))  # pytest's own folders are closed to other accounts
    account: dict[str, Any] = {}
    if os.getuid() == 0:  # the server refuses to run as root
        account = {"user": "postgres"}
        shutil.chown(home, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": home, **account}
    data = home / "data"
    subprocess.run([initdb, "-D", data, "-U", "loop", "--auth=trust", "--no-sync"], check=True, **quiet)
    options = f"-h 127.0.0.1 -p {port} -k {home} -F"
    subprocess.run([pg_ctl, "-D", data, "-w", "-l", home / "log", "-o", options, "start"], check=True, **quiet)
    yield f"postgresql://loop@127.0.0.1:{port}/postgres"
    subprocess.run([pg_ctl, "-D", data, "-w", "-m", "immediate", "stop"], check=True, **quiet)
    shutil.rmtree(home)


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))],
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    address: str = request.getfixturevalue("postgres")
    engine = open_engine(parse_url(address), schema="public", durability="FULL", timeout_s=5.0)
    with engine.begin() as db:
        for schema in ("marketloop", "marketloop_scores"):
            db.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    engine.dispose()
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
