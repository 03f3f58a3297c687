"""Passes a fault point before and after each statement that changes a database, in a process that is to be cut off."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, event

from marketloop.runtime.faults import point

__all__ = ["probe"]

_CHANGES: Final = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP")


def probe(db: Connection, name: str) -> None:
    """Pass ``NAME.write`` around the changing statements of a connection; asked for in armed processes only."""

    def before(*given: Any) -> None:
        if _changes(given[2]):
            point(f"{name}.write.before")

    def after(*given: Any) -> None:
        if _changes(given[2]):
            point(f"{name}.write.after")

    event.listen(db, "before_cursor_execute", before)
    event.listen(db, "after_cursor_execute", after)


def _changes(statement: str) -> bool:
    return statement.lstrip()[:6].upper().startswith(_CHANGES)
