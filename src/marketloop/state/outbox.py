"""The outbox: what others must hear, written in the transaction that made it true, delivered later, at least once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from marketloop.runtime.redact import redact_text
from marketloop.state.columns import Json
from marketloop.state.rows import from_row, is_due
from marketloop.state.schema import outbox
from marketloop.state.store import State

__all__ = [
    "Deliver",
    "Drained",
    "Message",
    "Queue",
    "append",
    "claim",
    "drain",
    "pending",
    "queues",
    "sent",
    "troubled",
    "waiting",
]


@dataclass(frozen=True, slots=True)
class Message:
    """Something that a mirror must hear.

    Parameters
    ----------
    id : int
        Order of delivery within a topic.
    topic : str
        Whose business it is: ``mlflow``, ``views``, ``event``, ``alarm``.
    key : str
        Unique; the same key is never appended twice.
    payload : dict
    created_at : datetime
    attempts : int
        Failed deliveries so far.
    """

    id: int
    topic: str
    key: str
    payload: dict[str, Any]
    created_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain did.

    Parameters
    ----------
    sent, failed : int
        Messages delivered, and topics whose delivery stopped.
    reason : str
        The first failure in one sentence; empty when there was none.
    """

    sent: int = 0
    failed: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits of one topic: how many messages, since when, how often the first was tried and what it met."""

    topic: str
    waiting: int
    since: datetime
    attempts: int
    trouble: str


Deliver = Callable[[Message], None]


def append(db: Connection, topic: str, *, key: str, payload: Json, at: datetime) -> bool:
    """Append a message; return False when its key is there already."""
    if db.scalar(select(outbox.c.id).where(outbox.c.key == key)) is not None:
        return False
    db.execute(outbox.insert().values(topic=topic, key=key, payload=payload, created_at=at, attempts=0, trouble=""))
    return True


def pending(
    db: Connection, topic: str, *, limit: int = 1000, at: datetime | None = None, delays: Sequence[timedelta] = ()
) -> tuple[Message, ...]:
    """Return the messages of a topic that wait, in order; with `at` those of which the next attempt is due.

    `delays` says, by the number of attempts that failed, how long after its creation a message is tried again.
    """
    query = select(outbox).where(outbox.c.topic == topic, outbox.c.sent_at.is_(None)).order_by(outbox.c.id).limit(limit)
    if at is not None:
        query = query.where(is_due(outbox, "created_at", at=at, delays=delays))
    return tuple(from_row(Message, row) for row in db.execute(query).mappings())


def waiting(db: Connection, topics: Collection[str]) -> int:
    """Return how many messages of `topics` wait."""
    query = select(func.count()).select_from(outbox).where(outbox.c.topic.in_(topics), outbox.c.sent_at.is_(None))
    return db.scalar(query) or 0


def queues(db: Connection) -> tuple[Queue, ...]:
    """Return the topics of which messages wait, by name."""
    topic, number = outbox.c.topic, func.count().label("number")
    first = func.min(outbox.c.id).label("first")
    waits = select(topic, number, first).where(outbox.c.sent_at.is_(None)).group_by(topic).subquery()
    query = select(topic, waits.c.number, outbox.c.created_at, outbox.c.attempts, outbox.c.trouble)
    return tuple(Queue(*row) for row in db.execute(query.join(waits, outbox.c.id == waits.c.first).order_by(topic)))


def drain(state: State, handlers: Mapping[str, Deliver], *, at: datetime) -> Drained:
    """Deliver what waits, topic by topic, in order; a topic stops at its first failure and keeps the rest.

    A crash between a delivery and its mark delivers again: handlers must be idempotent. Whatever a handler raises is
    kept beside the message and reported, never raised: a mirror that is away must not fail a cycle.
    """
    sent, reasons = 0, []
    for topic, deliver in handlers.items():
        with state.read() as db:
            messages = pending(db, topic)
        for message in messages:
            trouble = _attempt(deliver, message)
            with state.write() as db:
                _mark(db, message, trouble, at)
            if trouble:
                reasons.append(f"{topic}: {trouble}")
                break
            sent += 1
    return Drained(sent, len(reasons), next(iter(reasons), ""))


def claim(db: Connection, message: Message) -> bool:
    """Count an attempt before it is made; False when another process has made one since `message` was read.

    For a topic whose messages are delivered one by one and out of order, by several processes.
    """
    mine = (outbox.c.id == message.id) & (outbox.c.attempts == message.attempts) & outbox.c.sent_at.is_(None)
    return db.execute(outbox.update().where(mine).values(attempts=message.attempts + 1)).rowcount == 1


def sent(db: Connection, message: Message, *, at: datetime, trouble: str = "") -> None:
    """Record that a claimed message is done with: delivered, or given up for the reason `trouble`."""
    db.execute(outbox.update().where(outbox.c.id == message.id).values(sent_at=at, trouble=trouble[:500]))


def troubled(db: Connection, message: Message, trouble: str) -> None:
    """Record why the attempt at a claimed message failed; it stays."""
    db.execute(outbox.update().where(outbox.c.id == message.id).values(trouble=trouble[:500]))


def _attempt(deliver: Deliver, message: Message) -> str:
    try:
        deliver(message)
    except Exception as error:  # noqa: BLE001 - the outermost edge of a delivery: recorded, never fatal
        said = redact_text(str(error)).strip().splitlines()  # a server's address may hold a password
        return f"{type(error).__name__}: {said[0] if said else ''}"[:500]
    return ""


def _mark(db: Connection, message: Message, trouble: str, at: datetime) -> None:
    change: dict[str, Any] = {"attempts": outbox.c.attempts + 1, "trouble": trouble} if trouble else {"sent_at": at}
    db.execute(outbox.update().where(outbox.c.id == message.id).values(change))
