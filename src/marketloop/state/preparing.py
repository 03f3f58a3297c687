"""Looks which version of the tables a database has, and brings it to the present one."""

from __future__ import annotations

from sqlalchemy import Connection, MetaData, Table, func, inspect, select
from sqlalchemy.engine import URL

from marketloop.core.errors import FailedError
from marketloop.state import dialects, schema
from marketloop.state.migrations import Which, upgrade

__all__ = ["bring_up_to_date", "is_current", "version_of"]


def is_current(db: Connection, which: Which, url: URL) -> bool:
    """Return whether the tables are the present ones.

    Raises
    ------
    FailedError
        A newer MarketLoop wrote them.
    """
    found = version_of(db, which)
    if found > schema.VERSION:
        raise FailedError(
            f"state too new: {dialects.shown(url)} has schema version {found}, "
            f"this MarketLoop knows up to {schema.VERSION}; install the MarketLoop that wrote it, or a newer one"
        )
    return found == schema.VERSION


def bring_up_to_date(db: Connection, which: Which, url: URL) -> None:
    """Create the tables of an empty database, or upgrade those of an earlier version, in the open transaction.

    The version is looked up again: whoever waited for the writer's lock finds the work done.
    """
    if is_current(db, which, url):
        return
    found = version_of(db, which)
    if found == 0:
        _create(db, which)
    else:
        upgrade(db, which, version=found)
    db.execute(_table(which).insert().values(version=schema.VERSION))


def version_of(db: Connection, which: Which) -> int:
    """Return the version that wrote the tables last, 0 before any did; earlier ones stay as history."""
    look = inspect(db)
    place = db.get_execution_options().get("schema")
    if look.has_table("schema", schema=place):
        table = _table(which)
        return db.scalar(select(func.max(table.c.version))) or 0
    if which == "ledger" or not look.has_table("scoreboards", schema=place):
        return 0
    # Scoreboards did not say their version before 3.
    return 2 if "low" in {column["name"] for column in look.get_columns("scoreboards", schema=place)} else 1


def _create(db: Connection, which: Which) -> None:
    tables = _tables(which)
    dialects.create_schema(db)
    tables.create_all(db)
    for table in schema.APPEND_ONLY:
        if table.metadata is tables:
            dialects.append_only(db, table.name)


def _tables(which: Which) -> MetaData:
    return schema.LEDGER if which == "ledger" else schema.SCORES


def _table(which: Which) -> Table:
    return schema.schema_version if which == "ledger" else schema.scores_version
