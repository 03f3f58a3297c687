"""Everything that SQLite and PostgreSQL do differently, in one place."""

from __future__ import annotations

import sqlite3
import time
import zlib
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Column, Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.schema import CreateColumn

from marketloop.core.errors import UsageError

__all__ = [
    "add_column",
    "append_only",
    "begin",
    "create_schema",
    "insert_new",
    "open_engine",
    "parse_url",
    "sqlite_path",
]

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
    except ArgumentError as error:
        raise UsageError(f'[state] url "{url}": expected sqlite:///path/to/state.db or postgresql://...') from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or parsed.database in {None, "", ":memory:"}:
        shown = parsed.render_as_string(hide_password=True)
        raise UsageError(f'[state] url "{shown}": expected sqlite:///path/to/state.db or postgresql://...')
    return parsed


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
    try:
        engine = create_engine(
            url.update_query_dict({"options": f"-clock_timeout={int(timeout_s * 1000)}"}), pool_pre_ping=True
        )
    except ModuleNotFoundError as error:
        raise UsageError(
            "[state] url names PostgreSQL but its driver psycopg is not installed: pip install 'marketloop[postgres]'"
        ) from error
    return engine.execution_options(schema_translate_map={None: schema}, schema=schema)


def begin(db: Connection, *, write: bool) -> None:
    """Open a transaction; a writer is alone from here to its end, on either database.

    SQLite readers see one snapshot. The lock comes before the first read, so that read-then-write sequences
    (allocation of a version, compare-and-swap) need no retry.
    """
    db.begin()
    if db.dialect.name == "sqlite":
        db.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
    elif write:
        schema = str(db.get_execution_options()["schema"])
        db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": zlib.crc32(schema.encode())})
    else:
        db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


def create_schema(db: Connection) -> None:
    """Create the PostgreSQL schema that holds the tables; a SQLite file needs none."""
    if db.dialect.name == "postgresql":
        db.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{db.get_execution_options()["schema"]}"'))


def insert_new(db: Connection, table: Table) -> Any:
    """Return an INSERT into `table` that skips rows whose primary key is there already."""
    maker: Any = sqlite.insert if db.dialect.name == "sqlite" else postgresql.insert
    return maker(table).on_conflict_do_nothing()


def append_only(db: Connection, table: Table) -> None:
    """Make the database itself refuse to change or delete rows of `table`."""
    name = table.name
    if db.dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            db.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
                f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
            )
        return
    schema = str(db.get_execution_options()["schema"])
    db.exec_driver_sql(
        f'CREATE OR REPLACE FUNCTION "{schema}".{name}_refuse() RETURNS trigger LANGUAGE plpgsql AS '
        f"$$ BEGIN RAISE EXCEPTION '{name} is append-only'; END $$"
    )
    db.exec_driver_sql(
        f'CREATE OR REPLACE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "{schema}".{name} '
        f'FOR EACH STATEMENT EXECUTE FUNCTION "{schema}".{name}_refuse()'
    )


def add_column(db: Connection, column: Column[Any]) -> None:
    """Add a column that may be null to a table that an earlier MarketLoop made."""
    table = column.table.name
    where = f'"{table}"'
    if db.dialect.name == "postgresql":
        where = f'"{db.get_execution_options()["schema"]}".{where}'
    db.exec_driver_sql(f"ALTER TABLE {where} ADD COLUMN {CreateColumn(column).compile(dialect=db.dialect)}")


def sqlite_path(url: URL) -> Path | None:
    """Return the file of a SQLite database, None for a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


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
