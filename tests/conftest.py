"""Fixtures that every room may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres_server import PostgresServer

from marketloop.runtime.threads import set_thread_budget
from marketloop.state.dialects import open_engine, parse_url

# Before any test imports NumPy: two workers share the cores, and idle threads of BLAS and OpenMP spin.
set_thread_budget(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real market data; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real market data not found in {folder}")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server on loopback that lives as long as the tests."""
    server = PostgresServer()
    yield server.url
    server.remove()


@pytest.fixture
def empty_postgres(postgres: str) -> str:
    """URL of the PostgreSQL server, with nothing of ours in its database."""
    engine = open_engine(parse_url(postgres), schema="public", durability="FULL", timeout_s=5.0)
    with engine.begin() as db:
        for schema in ("marketloop", "marketloop_scores"):
            db.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    engine.dispose()
    return postgres
