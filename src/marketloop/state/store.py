"""Opens the two databases of a project and hands out transactions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Column, Connection, Engine, MetaData, func, inspect, select
from sqlalchemy.engine import URL

from marketloop.core.errors import FailedError
from marketloop.state import dialects, schema
from marketloop.state.trouble import reported

__all__ = ["Database", "State"]


@dataclass(frozen=True, slots=True)
class Database:
    """One database: transactions that read, and transactions that write alone."""

    url: URL
    engine: Engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one snapshot and writes nothing."""
        with self._transaction(write=False) as db:
            yield db

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection that is the only writer; it commits at the end, or rolls back on an error."""
        with self._transaction(write=True) as db:
            yield db

    def sync(self) -> None:
        """Make every commit so far survive a power cut (matters for ``synchronous=NORMAL`` only)."""
        path = dialects.sqlite_path(self.url)
        log = Path(f"{path}-wal") if path else None
        if log is None or not log.exists():
            return
        # Only the log: closing a second descriptor of the database file itself would drop SQLite's locks.
        number = os.open(log, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        with reported(self.url), self.engine.connect() as db:
            dialects.begin(db, write=write)
            yield db
            db.commit() if write else db.rollback()


@dataclass(frozen=True, slots=True)
class State:
    """What happened to a project: the ledger, and the scoreboards beside it.

    Use it as a context manager, or call `close`.

    Parameters
    ----------
    ledger : Database
        Cycles, versions, decisions, champions, streams, outbox, leases; every commit survives a power cut.
    scores : Database
        Scoreboards; `Database.sync` makes them as durable before a promotion.
    """

    ledger: Database
    scores: Database

    @classmethod
    def open(cls, url: str, *, scoreboard_url: str | None = None, busy_timeout_s: float = 30.0) -> State:
        """Open the databases and create what is missing.

        Parameters
        ----------
        url : str
            ``sqlite:///path/to/state.db`` or ``postgresql://...``.
        scoreboard_url : str, optional
            Default: ``scoreboard.db`` beside a SQLite ledger, another schema of the same PostgreSQL database.
        busy_timeout_s : float
            Seconds that a writer waits for another one.

        Raises
        ------
        UsageError
            The URL names no supported database.
        FailedError
            Not a database, not writable, locked, full, unreachable, or written by a newer MarketLoop.
        """
        first = dialects.parse_url(url)
        second = dialects.parse_url(scoreboard_url) if scoreboard_url else _beside(first)
        ledger = Database(
            first, dialects.open_engine(first, schema="marketloop", durability="FULL", timeout_s=busy_timeout_s)
        )
        scores = Database(
            second,
            dialects.open_engine(second, schema="marketloop_scores", durability="NORMAL", timeout_s=busy_timeout_s),
        )
        state = cls(ledger, scores)
        try:
            _prepare(ledger, schema.LEDGER)
            _prepare(scores, schema.SCORES)
        except BaseException:
            state.close()
            raise
        return state

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a snapshot of the ledger."""
        with self.ledger.read() as db:
            yield db

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield the ledger to its only writer."""
        with self.ledger.write() as db:
            yield db

    def close(self) -> None:
        """Give all connections back."""
        self.ledger.engine.dispose()
        self.scores.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _beside(url: URL) -> URL:
    path = dialects.sqlite_path(url)
    return url.set(database=str(path.with_name("scoreboard.db"))) if path else url


def _prepare(database: Database, tables: MetaData) -> None:
    """Create missing tables under the writer's lock, after a look at the version that wrote the others."""
    with database.read() as db:
        present = _table_names(db)
        if tables is schema.LEDGER and "schema" in present:
            _check_version(db, database.url)
        if present >= set(tables.tables) and not _lacking(db, tables):
            return
    with database.write() as db:
        dialects.create_schema(db)
        tables.create_all(db)
        for column in _lacking(db, tables):
            dialects.add_column(db, column)
        for table in schema.APPEND_ONLY:
            if table.metadata is tables:
                dialects.append_only(db, table)
        if tables is schema.LEDGER and _version(db) < schema.VERSION:
            db.execute(schema.schema_version.insert().values(version=schema.VERSION))


def _table_names(db: Connection) -> set[str]:
    return set(inspect(db).get_table_names(schema=db.get_execution_options().get("schema")))


def _lacking(db: Connection, tables: MetaData) -> list[Column[Any]]:
    """Return the columns that an earlier MarketLoop did not have; only such as may be null were ever added."""
    found = inspect(db)
    schema_name = db.get_execution_options().get("schema")
    columns: list[Column[Any]] = []
    for table in tables.tables.values():
        have = {column["name"] for column in found.get_columns(table.name, schema=schema_name)}
        columns += [column for column in table.columns if column.name not in have]
    return columns


def _check_version(db: Connection, url: URL) -> None:
    found = _version(db)
    if found > schema.VERSION:
        raise FailedError(
            f"state too new: {url.render_as_string(hide_password=True)} has schema version {found}, "
            f"this MarketLoop knows up to {schema.VERSION}; install the MarketLoop that wrote it, or a newer one"
        )


def _version(db: Connection) -> int:
    """Return the version that wrote the tables last, 0 before any did; earlier ones stay as history."""
    return db.scalar(select(func.max(schema.schema_version.c.version))) or 0
