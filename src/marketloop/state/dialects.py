"""Everything that SQLite and PostgreSQL do differently, in one place."""

from __future__ import annotations

import importlib
import sqlite3
import time
import zlib
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from marketloop.core.errors import UsageError
from marketloop.runtime.redact import redact_text

__all__ = [
    "append_only",
    "begin",
    "create_no_more",
    "create_schema",
    "insert_new",
    "open_as_is",
    "open_engine",
    "parse_url",
    "shown",
    "sqlite_path",
    "use_schema",
]

_EXPECTED: Final = "expected sqlite:///path/to/state.db or postgresql://user:password@host/database"
CONNECT_S: Final = 10
"""Seconds that a PostgreSQL server may take to let a connection in."""
Durability = Literal["FULL", "NORMAL"]


def parse_url(url: str) -> URL:
    """Return the parsed `url` of a database that the house can live in.

    Raises
    ------
    UsageError
        For anything but ``sqlite:///path`` and ``postgresql://...``.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UsageError(f'[state] url "{shown(url)}": {_EXPECTED}') from error
    if "@" in (parsed.host or ""):
        raise UsageError(f'[state] url "{shown(url)}": the password holds an "@"; write it as %40')
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or parsed.database in {None, "", ":memory:"}:
        raise UsageError(f'[state] url "{shown(parsed)}": {_EXPECTED}')
    return parsed


def shown(url: URL | str) -> str:
    """Return `url` as it may be printed: nothing of its user and password, wherever they stand in it.

    >>> shown("postgresql://anna:p@ss@db/loop?password=pass")
    'postgresql://***@db/loop?password=***'
    """
    text = url.render_as_string(hide_password=True) if isinstance(url, URL) else url
    if text.startswith("sqlite:"):
        return text
    scheme, slashes, rest = text.rpartition("://") if "://" in text else ("", "", text)
    if "@" in rest:
        rest = f"***@{rest.rpartition('@')[2]}"
    return redact_text(f"{scheme}{slashes}{rest}")


def open_engine(url: URL, *, schema: str, durability: Durability, timeout_s: float) -> Engine:
    """Return an engine on `url`.

    Parameters
    ----------
    schema : str
        PostgreSQL schema of the tables; a SQLite file is its own schema.
    durability : {"FULL", "NORMAL"}
        Whether a commit survives a power cut (FULL), or the death of the process only (NORMAL). PostgreSQL is FULL.
    timeout_s : float
        How long a statement waits for another writer.
    """
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": timeout_s})
        _prepare_sqlite(engine, durability)
        return engine
    given = {"options": f"-clock_timeout={int(timeout_s * 1000)}"}
    if "connect_timeout" not in url.query:
        given["connect_timeout"] = str(CONNECT_S)  # the driver itself would wait for minutes
    try:
        engine = create_engine(url.update_query_dict(given), pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise UsageError(
            "[state] url names PostgreSQL but its driver psycopg is not installed: pip install 'marketloop[postgres]'"
        ) from error
    return engine.execution_options(schema_translate_map={None: schema}, schema=schema)


def create_no_more(engine: Engine, url: URL) -> None:
    """Let no further connection of `engine` create a SQLite file: one that was taken away is not begun anew, empty."""
    path = sqlite_path(url)
    if path is None:
        return

    @event.listens_for(engine, "do_connect")
    def _on_opening(*_: object) -> None:
        if not path.exists():
            raise sqlite3.OperationalError(f"unable to open database file: {path.name} is gone")


def open_as_is(url: URL, *, timeout_s: float) -> Engine:
    """Return an engine on a SQLite file that must be there, and that no statement changes, its journal mode neither."""
    path = Path(str(url.database)).absolute()

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=timeout_s, check_same_thread=False, isolation_level=None
        )
        connection.execute("PRAGMA query_only=ON")
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def begin(db: Connection, *, write: bool) -> None:
    """Open a transaction; a writer is alone from here to its end, on either database.

    SQLite readers see one snapshot. The lock comes before the first read, so that read-then-write sequences
    (allocation of a version, compare-and-swap) need no retry.
    """
    db.begin()
    if db.dialect.name == "sqlite":
        db.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
    elif write:
        schema = _schema(db)
        db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": zlib.crc32(schema.encode())})
    else:
        db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


def create_schema(db: Connection) -> None:
    """Create the PostgreSQL schema that holds the tables, unless it is there; a SQLite file needs none."""
    if db.dialect.name != "postgresql":
        return
    # Not IF NOT EXISTS: that asks for the right to create schemas also where the owner has made them beforehand.
    there = text("SELECT 1 FROM pg_namespace WHERE nspname = :name")
    if db.scalar(there, {"name": _schema(db)}) is None:
        db.exec_driver_sql(f'CREATE SCHEMA "{_schema(db)}"')


def insert_new(db: Connection, table: Table) -> Any:
    """Return an INSERT into `table` that skips rows whose primary key, or another unique one, is there already."""
    # The one in use is loaded already; the other, with its drivers, would be for nothing.
    maker: Any = importlib.import_module(f"sqlalchemy.dialects.{db.dialect.name}").insert
    return maker(table).on_conflict_do_nothing()


def append_only(db: Connection, name: str) -> None:
    """Make the database itself refuse to change or delete rows of table `name`."""
    if db.dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            db.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
                f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
            )
        return
    schema = _schema(db)
    db.exec_driver_sql(
        f'CREATE OR REPLACE FUNCTION "{schema}".{name}_refuse() RETURNS trigger LANGUAGE plpgsql AS '
        f"$$ BEGIN RAISE EXCEPTION '{name} is append-only'; END $$"
    )
    db.exec_driver_sql(
        f'CREATE OR REPLACE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "{schema}".{name} '
        f'FOR EACH STATEMENT EXECUTE FUNCTION "{schema}".{name}_refuse()'
    )


def use_schema(db: Connection) -> None:
    """Let names without a schema mean that of the tables, until the transaction ends; a SQLite file has only one."""
    if db.dialect.name == "postgresql":
        db.exec_driver_sql(f'SET LOCAL search_path TO "{_schema(db)}"')


def sqlite_path(url: URL) -> Path | None:
    """Return the file of a SQLite database, None for a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def _schema(db: Connection) -> str:
    return str(db.get_execution_options()["schema"])


def _prepare_sqlite(engine: Engine, durability: Durability) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver opens no transaction of its own; `begin` does
        _switch_to_wal(connection)
        connection.execute(f"PRAGMA synchronous={durability}")


def _switch_to_wal(connection: sqlite3.Connection, tries: int = 50) -> None:
    # Two processes that open a new file together: the loser gets SQLITE_BUSY at once, without the busy timeout.
    for left in reversed(range(tries)):
        try:
            if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal":
                return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or left == 0:
                raise
        time.sleep(0.02)
