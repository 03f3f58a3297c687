"""Opens the two databases of a project and hands out transactions."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL

from marketloop.runtime.faults import is_armed, step
from marketloop.runtime.files import disk_errors
from marketloop.state import dialects, lease, preparing
from marketloop.state.lease import Lease
from marketloop.state.probing import probe
from marketloop.state.pulse import Pulse
from marketloop.state.trouble import reported

__all__ = ["Database", "State", "beside"]


@dataclass(frozen=True, slots=True)
class Database:
    """One database: transactions that read, and transactions that write alone.

    `name` tells its fault points from those of the other one.
    """

    url: URL
    engine: Engine
    name: Literal["ledger", "scores"] = "ledger"

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
        with disk_errors(log), step("scores.fsync"):
            number = os.open(log, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        with reported(self.url), self.engine.connect() as db:
            if write and is_armed():
                probe(db, self.name)
            dialects.begin(db, write=write)
            yield db
            if not write:
                db.rollback()
                return
            with step(f"{self.name}.commit"):
                db.commit()


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
    _fence: threading.local = field(default_factory=threading.local, init=False, repr=False, compare=False)
    _pulses: list[Pulse] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, url: str, *, scoreboard_url: str | None = None, busy_timeout_s: float = 30.0) -> State:
        """Open the databases; create what is missing, and bring tables of an earlier version up to date.

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
        second = dialects.parse_url(scoreboard_url) if scoreboard_url else beside(first)
        ledger = Database(
            first, dialects.open_engine(first, schema="marketloop", durability="FULL", timeout_s=busy_timeout_s)
        )
        scores = Database(
            second,
            dialects.open_engine(second, schema="marketloop_scores", durability="NORMAL", timeout_s=busy_timeout_s),
            "scores",
        )
        state = cls(ledger, scores)
        try:
            _prepare((ledger, scores))
        except BaseException:
            state.close()
            raise
        for database in (ledger, scores):
            dialects.create_no_more(database.engine, database.url)
        return state

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a snapshot of the ledger."""
        with self.ledger.read() as db:
            yield db

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield the ledger to its only writer; inside `fenced`, only while the lease is held."""
        with self.ledger.write() as db:
            self._check_fence(db)
            yield db

    @contextmanager
    def write_scores(self) -> Iterator[Connection]:
        """Yield the scoreboards to their only writer; inside `fenced`, only while the lease is held."""
        with self.ledger.read() as db:
            self._check_fence(db)
        with self.scores.write() as db:
            yield db

    @contextmanager
    def fenced(self, held: Lease) -> Iterator[None]:
        """Let this thread write inside the block only while `held` is the valid lease.

        Every transaction that changes the ledger checks the token first, so that a holder who was overtaken while it
        slept writes nothing at all, whatever it was about to write.
        """
        before = getattr(self._fence, "held", None)
        self._fence.held = held
        try:
            yield
        finally:
            self._fence.held = before

    def _check_fence(self, db: Connection) -> None:
        held: Lease | None = getattr(self._fence, "held", None)
        if held is not None:
            lease.check(db, held)

    def pulse(self) -> tuple[str, ...]:
        """Return what is the same as before only while nothing was committed to either database; for one thread.

        Raises
        ------
        FailedError
            A database is gone or does not answer.
        """
        if not self._pulses:
            self._pulses.extend(Pulse(database.url, database.engine) for database in (self.ledger, self.scores))
        return tuple(pulse.feel() for pulse in self._pulses)

    def close(self) -> None:
        """Give all connections back."""
        for pulse in self._pulses:
            pulse.close()
        self.ledger.engine.dispose()
        self.scores.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def beside(url: URL) -> URL:
    """Return where the scoreboards of the ledger `url` are unless somebody says otherwise."""
    path = dialects.sqlite_path(url)
    return url.set(database=str(path.with_name("scoreboard.db"))) if path else url


def _prepare(databases: Sequence[Database]) -> None:
    """Create or upgrade tables under the writer's lock; nothing is touched where any was written by a newer version."""
    stale = []
    for database in databases:
        with database.read() as db:
            if not preparing.is_current(db, database.name, database.url):
                stale.append(database)
    for database in stale:
        with database.write() as db:
            preparing.bring_up_to_date(db, database.name, database.url)
