"""Opens the databases as they are: nothing is created, upgraded or written, and what is wrong with them is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from marketloop.core.errors import MarketLoopError
from marketloop.state import dialects, preparing, schema
from marketloop.state.store import Database, State, beside
from marketloop.state.trouble import reported

__all__ = ["KNOWN", "Condition", "condition_of", "look"]

KNOWN: Final = schema.VERSION
"""Version of the tables that this MarketLoop writes."""
_MOST_READ: Final = 200_000_000
"""Bytes up to which a SQLite file is read as a whole: about a second."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What one database is like.

    Parameters
    ----------
    name : str
        As it may be printed: nothing of its user and password.
    version : int
        Of its tables; 0 where there are none.
    damage : str
        What SQLite's own check found; empty where it found nothing.
    checked : bool
        False for a server, which checks itself, and for a file too large to be read in passing.
    busy : str
        Why nobody could write to it; empty where one could.
    """

    name: str
    version: int
    damage: str = ""
    checked: bool = True
    busy: str = ""


@contextmanager
def look(url: str, *, scoreboard_url: str | None = None, patience_s: float = 2.0) -> Iterator[State]:
    """Yield the state of a project to a reader that must not change it, e.g. a doctor.

    `State.open` creates and upgrades; this does neither. Of SQLite the files are opened as they are, and statements
    that write are refused; of PostgreSQL every transaction reads only.

    Raises
    ------
    UsageError
        The URL names no supported database.
    """
    first = dialects.parse_url(url)
    second = dialects.parse_url(scoreboard_url) if scoreboard_url else beside(first)
    ledger = Database(first, _engine(first, "marketloop", patience_s))
    state = State(ledger, Database(second, _engine(second, "marketloop_scores", patience_s), "scores"))
    try:
        yield state
    finally:
        state.close()


def condition_of(database: Database) -> Condition:
    """Examine one database; a damaged, newer or busy one is described, one that cannot be read raises.

    Raises
    ------
    FailedError
        It is away, no database, or cannot be opened; the sentence names it and the remedy.
    """
    path = dialects.sqlite_path(database.url)
    with database.read() as db:
        version = preparing.version_of(db, database.name)
    small = path is not None and path.stat().st_size <= _MOST_READ
    return Condition(
        name=dialects.shown(database.url),
        version=version,
        damage=_damage(database) if small else "",
        checked=small,
        busy="" if path is None else _busy(database),
    )


def _engine(url: URL, place: str, patience_s: float) -> Engine:
    if dialects.sqlite_path(url) is not None:
        return dialects.open_as_is(url, timeout_s=patience_s)
    return dialects.open_engine(url, schema=place, durability="FULL", timeout_s=patience_s)


def _damage(database: Database) -> str:
    with reported(database.url), database.engine.connect() as db:
        said = [str(row[0]) for row in db.exec_driver_sql("PRAGMA quick_check(3)")]
    return "" if said == ["ok"] else "; ".join(said)


def _busy(database: Database) -> str:
    """Say why nobody can write, by taking the writer's lock for a moment."""
    try:
        with reported(database.url), database.engine.connect() as db:
            db.exec_driver_sql("PRAGMA query_only=OFF")  # of this connection, which is closed right away
            db.exec_driver_sql("BEGIN IMMEDIATE")
            db.exec_driver_sql("ROLLBACK")
    except MarketLoopError as error:
        return str(error)
    return ""
