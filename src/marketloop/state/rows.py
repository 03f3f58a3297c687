"""Turns rows into frozen dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, RowMapping, Table, and_, or_

from marketloop.state.columns import Slot
from marketloop.state.process import Process, process_columns, process_of

__all__ = ["from_row", "in_slot", "is_due", "to_row"]

T = TypeVar("T")


def from_row(kind: type[T], row: RowMapping) -> T:
    """Return the dataclass `kind` of a row; its fields ``slot`` and ``process`` come from their columns."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        match field.name:
            case "slot":
                values["slot"] = Slot(row["family"], row["config_key"])
            case "process":
                values["process"] = process_of(row)
            case name:
                values[name] = row[name]
    return kind(**values)


def to_row(value: Any) -> dict[str, Any]:
    """Return the columns of a dataclass, the inverse of `from_row`."""
    columns: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        match item:
            case Slot():
                columns |= {"family": item.family, "config_key": item.config_key}
            case Process():
                columns |= process_columns(item)
            case _:
                columns[field.name] = item
    return columns


def in_slot(table: Table, slot: Slot) -> ColumnElement[bool]:
    """Return the condition that a row of `table` belongs to `slot`."""
    condition: ColumnElement[bool] = (table.c.family == slot.family) & (table.c.config_key == slot.config_key)
    return condition


def is_due(table: Table, since: str, *, at: datetime, delays: Sequence[timedelta]) -> ColumnElement[bool]:
    """Return the condition that the next attempt at a row of `table` is due.

    Parameters
    ----------
    since : str
        Column of the moment from which `delays` count. What lies in the future is due: a clock that jumped back must
        keep nothing for ever.
    delays : sequence of timedelta
        By number of attempts so far; whatever was tried more often is due.
    """
    attempts, moment = table.c.attempts, table.c[since]
    waits = (and_(attempts == n, moment <= at - delay) for n, delay in enumerate(delays))
    return or_(attempts >= len(delays), moment > at, *waits)
