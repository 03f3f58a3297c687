"""A project with a champion, and servers of nights that may be killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.postgres_server import PostgresServer

from marketloop.bench.deaths import nights
from marketloop.bench.mortal import Mortal

JOBS = str(Path(__file__).with_name("jobs.py"))
Make = Callable[..., Path]


@pytest.fixture(scope="session")
def server() -> Iterator[Mortal]:
    with Mortal(JOBS) as running:
        yield running


@pytest.fixture(scope="session")
def served(server: Mortal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a project with version 1 as champion; its path holds a space."""
    home = tmp_path_factory.mktemp("a project") / "served"
    server.run("make", home=str(home))
    done = server.run("night", home=str(home), end=nights()[0]).document
    assert (done["outcome"], done["version"]) == ("promoted", 1), done
    return home


@pytest.fixture
def home(served: Path, tmp_path: Path) -> Path:
    """Return a copy of the project."""
    return Path(shutil.copytree(served, tmp_path / "project"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.remove()


def check_whole(seen: dict[str, Any], version: int) -> None:
    """Assert that version `version` serves, complete, and that nothing contradicts itself or is left behind."""
    assert seen.get("champion") == version, seen
    assert (seen["predicted_by"], seen["tickers"]) == (version, 5)
    assert (seen["wrong"], seen["left"]) == ([], {})
