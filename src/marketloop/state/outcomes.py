"""Outcomes: what became of what was predicted; a later correction of the bars adds a revision; append-only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from marketloop.state.schema import outcomes

__all__ = ["Outcome", "history", "latest", "newest_session", "write"]

SAME: Final = 1e-6
"""Relative and absolute difference up to which a value that is computed again is the same: rounding is no revision."""

_Key = tuple[date, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one ticker after one session, by one label.

    It depends on no version and no configuration: all of them are judged by the same row.

    Parameters
    ----------
    label : str
        Name, horizon and threshold, e.g. ``direction/5/0.02``.
    as_of : date
        Session whose close it counts from.
    ticker : str
    value : float
        As the label gives it: the code of a class, a return as a fraction, a rank in -0.5..0.5.
    known_on : date
        Session at whose close it was known.
    data_version : str
        Of the bars it was computed from.
    class_name : str, optional
        None where the label is a number.
    revision : int
        From 1; 0 until it is written.
    """

    label: str
    as_of: date
    ticker: str
    value: float
    known_on: date
    data_version: str
    class_name: str | None = None
    revision: int = 0


def write(db: Connection, found: Iterable[Outcome], *, at: datetime) -> int:
    """Append the outcomes that are new or differ from what was written last, and return how many those are.

    `db` is a transaction of ``state.scores``. Writing the same again writes nothing.
    """
    rows = []
    for label, given in groupby(sorted(found, key=lambda o: (o.label, o.as_of, o.ticker)), key=lambda o: o.label):
        group = list(given)
        known = latest(db, label, since=group[0].as_of, until=group[-1].as_of)
        for outcome in group:
            before = known.get((outcome.as_of, outcome.ticker))
            if before is None or _differs(before, outcome):
                rows.append(_row(outcome, 1 if before is None else before.revision + 1, at))
    if rows:
        db.execute(outcomes.insert(), rows)
    return len(rows)


def latest(db: Connection, label: str, *, since: date, until: date | None = None) -> Mapping[_Key, Outcome]:
    """Return the last revision of each outcome of `label` by (as_of, ticker), from session `since` to `until`."""
    query = _read().where(outcomes.c.label == label, outcomes.c.as_of >= since)
    if until is not None:
        query = query.where(outcomes.c.as_of <= until)
    return {(row.as_of, row.ticker): Outcome(*row) for row in db.execute(query)}  # the later revision stands


def history(db: Connection, label: str, as_of: date, ticker: str) -> tuple[Outcome, ...]:
    """Return every revision of one outcome, oldest first."""
    mine = (outcomes.c.label == label) & (outcomes.c.as_of == as_of) & (outcomes.c.ticker == ticker)
    return tuple(Outcome(*row) for row in db.execute(_read().where(mine)))


def newest_session(db: Connection, label: str) -> date | None:
    """Return the newest session of which an outcome of `label` is written."""
    day: date | None = db.scalar(select(func.max(outcomes.c.as_of)).where(outcomes.c.label == label))
    return day


def _read() -> Select[Any]:
    columns = outcomes.c
    return select(
        columns.label,
        columns.as_of,
        columns.ticker,
        columns.value,
        columns.known_on,
        columns.data_version,
        columns.class_name,
        columns.revision,
    ).order_by(columns.label, columns.as_of, columns.ticker, columns.revision)


def _differs(before: Outcome, now: Outcome) -> bool:
    same = math.isclose(before.value, now.value, rel_tol=SAME, abs_tol=SAME)
    return not same or before.class_name != now.class_name or before.known_on != now.known_on


def _row(outcome: Outcome, revision: int, at: datetime) -> dict[str, object]:
    return {
        "label": outcome.label,
        "as_of": outcome.as_of,
        "ticker": outcome.ticker,
        "revision": revision,
        "value": outcome.value,
        "class_name": outcome.class_name,
        "known_on": outcome.known_on,
        "data_version": outcome.data_version,
        "recorded_at": at,
    }
