"""Scoreboards: what a version says of every ticker as of a session; also the journal of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from marketloop.state.columns import Slot
from marketloop.state.dialects import insert_new
from marketloop.state.rows import in_slot
from marketloop.state.schema import scoreboards

__all__ = ["Prediction", "Saying", "Word", "latest_session", "load", "said", "signals", "words", "write"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one version says of one ticker as of one session.

    Parameters
    ----------
    ticker : str
    as_of : date
        Session at whose close everything used was known.
    signal : {"BUY", "HOLD", "SELL"}
    score : float
        Directional, higher is more bullish.
    probability, class_name : float in [0, 1], str, optional
        Of the most likely class; None for families that predict a value.
    classes : mapping of class name to probability
    low, high : float, optional
        Ends of the prediction interval of a family that predicts a return.
    label : str, optional
        What is predicted, as `Outcome.label` names it; None in rows of before schema version 4.
    """

    ticker: str
    as_of: date
    signal: str
    score: float
    probability: float | None = None
    class_name: str | None = None
    classes: Mapping[str, float] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Saying:
    """One version spoke of one session: of how many tickers, and when first."""

    as_of: date
    version: int
    label: str | None
    tickers: int
    written_at: datetime


class Word(NamedTuple):
    """What was predicted of one ticker, without its shares and its interval: there are very many of these."""

    ticker: str
    score: float
    probability: float | None
    class_name: str | None


def write(db: Connection, slot: Slot, version: int, predictions: Iterable[Prediction], *, at: datetime) -> int:
    """Append predictions and return how many were new.

    `db` is a transaction of ``state.scores``. The first word of a version on a ticker and session stands: a second
    one is not written, because the first may have been served.
    """
    rows = [
        {
            "family": slot.family,
            "config_key": slot.config_key,
            "version": version,
            "as_of": prediction.as_of,
            "ticker": prediction.ticker,
            "probability": prediction.probability,
            "class_name": prediction.class_name,
            "signal": prediction.signal,
            "classes": prediction.classes,
            "score": prediction.score,
            "low": prediction.low,
            "high": prediction.high,
            "label": prediction.label,
            "written_at": at,
        }
        for prediction in predictions
    ]
    if not rows:
        return 0
    before = _count(db, slot, version)
    db.execute(insert_new(db, scoreboards), rows)
    return _count(db, slot, version) - before


def load(db: Connection, slot: Slot, version: int, *, as_of: date | None = None) -> tuple[Prediction, ...]:
    """Return the scoreboard of a version by ticker, of its latest session unless `as_of` names another."""
    day = as_of or latest_session(db, slot, version)
    query = (
        select(*(scoreboards.c[item.name] for item in fields(Prediction)))
        .where(_of(slot, version), scoreboards.c.as_of == day)
        .order_by(scoreboards.c.ticker)
    )
    return tuple(Prediction(*row) for row in db.execute(query))


def latest_session(db: Connection, slot: Slot, version: int) -> date | None:
    """Return the latest session that a version has predictions for."""
    day: date | None = db.scalar(select(func.max(scoreboards.c.as_of)).where(_of(slot, version)))
    return day


def said(db: Connection, slot: Slot, *, since: date) -> tuple[Saying, ...]:
    """Return which versions of a slot spoke of which sessions from `since` on, by session and version."""
    columns = scoreboards.c
    what = (columns.as_of, columns.version, columns.label)
    query = (
        select(*what, func.count(), func.min(columns.written_at))
        .where(in_slot(scoreboards, slot), columns.as_of >= since)
        .group_by(*what)
        .order_by(*what)
    )
    return tuple(Saying(*row) for row in db.execute(query))


def words(db: Connection, slot: Slot, version: int, as_of: date) -> tuple[Word, ...]:
    """Return the bare predictions of a version as of a session, by ticker."""
    columns = scoreboards.c
    query = (
        select(columns.ticker, columns.score, columns.probability, columns.class_name)
        .where(_of(slot, version), columns.as_of == as_of)
        .order_by(columns.ticker)
    )
    return tuple(Word(*row) for row in db.execute(query))


def signals(db: Connection, slot: Slot, version: int, as_of: date) -> Mapping[str, int]:
    """Return how many tickers have which signal on the scoreboard of a version as of a session."""
    query = (
        select(scoreboards.c.signal, func.count())
        .where(_of(slot, version), scoreboards.c.as_of == as_of)
        .group_by(scoreboards.c.signal)
    )
    return {row.signal: row[1] for row in db.execute(query)}


def _of(slot: Slot, version: int) -> ColumnElement[bool]:
    return in_slot(scoreboards, slot) & (scoreboards.c.version == version)


def _count(db: Connection, slot: Slot, version: int) -> int:
    return db.scalar(select(func.count()).select_from(scoreboards).where(_of(slot, version))) or 0
