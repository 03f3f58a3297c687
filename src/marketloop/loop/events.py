"""The event bus: publish what happened, durably and once per key; the loop acts on it later, also after a crash."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from marketloop.core.errors import UsageError
from marketloop.loop.house import House, open_house
from marketloop.runtime.logging import get_logger
from marketloop.runtime.payloads import EventType, event_type, payload_of
from marketloop.runtime.project import find_project
from marketloop.state import Connection, cycles, events, outbox
from marketloop.state.columns import encode
from marketloop.state.events import Stored

__all__ = [
    "LOOP",
    "TOPIC",
    "Event",
    "EventType",
    "drain_events",
    "publish",
    "publish_end_of_cycle",
]

TOPIC: Final = "event"
"""Topic of the outbox by which promotions and rollbacks become events: written in the transaction of the fact."""
LOOP: Final = "loop"
"""Source of the loop's own events. They never cause a retraining."""
MOST_BYTES: Final = 65_536
_SPOKEN_OF: Final = {
    "promoted": EventType.MODEL_PROMOTED,
    "provisional": EventType.MODEL_PROMOTED,
    "rollback": EventType.MODEL_ROLLED_BACK,
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Parameters
    ----------
    type : EventType or its name
    data : mapping
        Checked against the model of its type (`marketloop.runtime.payloads`) and completed with its defaults.

    Raises
    ------
    UsageError
        The type is unknown, a field is missing, unknown or wrong, or the whole is larger than 64 KiB.

    >>> Event(EventType.ANALYSIS_COMPLETED, {"batch_size": 60}).data["batch_size"]
    60
    """

    type: EventType
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = event_type(self.type)
        if not isinstance(self.data, Mapping):
            raise UsageError(
                f"event {kind}: data is a {type(self.data).__name__}: expected a mapping of field to value"
            )
        plain = payload_of(kind, self.data).model_dump(mode="json")
        if (size := len(encode(plain).encode())) > MOST_BYTES:
            raise UsageError(f"event {kind}: {size:,} bytes of data: expected at most {MOST_BYTES:,}; publish less")
        object.__setattr__(self, "type", kind)
        object.__setattr__(self, "data", plain)


def publish(
    event: Event, project: House | Path | str | None = None, key: str | None = None, *, source: str = "python"
) -> Stored:
    """Record `event` in the project's ledger and return it as it lies there; a loop acts on it, now or when it starts.

    Parameters
    ----------
    project : path or House, optional
        By default the project around the working directory.
    key : str, optional
        Publishing twice under one key is publishing once: the earlier event is returned. A fresh one by default.
    source : str
        Who says so.

    Raises
    ------
    UsageError
        The event is about a family that does not exist, or there is no project.
    """
    if not isinstance(event, Event):
        raise UsageError(
            f"publish takes an Event, not {event!r:.80}: write publish(Event(EventType.DATA_ARRIVED, {{}}))"
        )
    _check_name("key", key or "-", 255)
    _check_name("source", source, 128)
    with _house(project) as house:
        for family in event.data["families"]:
            house.catalog.family(family)
        at = house.clock.now()
        with house.state.write() as db:
            name = key or _fresh(event.type, at)
            stored, _ = events.publish(db, event.type.value, key=name, payload=event.data, source=source, at=at)
    return stored


def publish_end_of_cycle(db: Connection, cycle_id: str, *, at: dt.datetime) -> None:
    """Record RETRAINING_COMPLETED of a cycle that has ended, in the transaction that ends it."""
    cycle = cycles.get(db, cycle_id)
    if cycle is None:
        return
    families = cycle.document.get("families") or []
    event = Event(
        EventType.RETRAINING_COMPLETED,
        {
            "cycle_id": cycle.id,
            "trigger": cycle.trigger,
            "outcome": cycle.outcome,
            "verdicts": {str(f["family"]): str(f["verdict"]) for f in families},
            "duration_s": max(0.0, (at - cycle.started_at).total_seconds()),
            "error": None if cycle.document.get("error") is None else str(cycle.document["error"])[:2000],
        },
    )
    events.publish(db, event.type.value, key=f"cycle:{cycle.id}", payload=event.data, source=LOOP, at=at)


def drain_events(house: House) -> outbox.Drained:
    """Turn what the outbox says of promotions and rollbacks into events, each once; nothing is raised."""
    at = house.clock.now()

    def deliver(message: outbox.Message) -> None:
        kind = _SPOKEN_OF.get(str(message.payload.get("what")))
        if kind is None:  # refused or only examined: nobody serves anything else than before
            return
        names = ("family", "config_key", "version", "what", "decision")
        event = Event(kind, {name: message.payload[name] for name in names})
        with house.state.write() as db:
            events.publish(db, kind.value, key=message.key, payload=event.data, source=LOOP, at=at)

    drained = outbox.drain(house.state, {TOPIC: deliver}, at=at)
    if drained.failed:
        get_logger("loop").warning("events are behind", reason=drained.reason)
    return drained


def _house(project: House | Path | str | None) -> AbstractContextManager[House]:
    if isinstance(project, House):
        return nullcontext(project)
    return open_house(find_project(Path.cwd(), explicit=None if project is None else Path(project)).root)


def _check_name(what: str, value: str, most: int) -> None:
    if not value.strip() or len(value) > most:
        raise UsageError(f'{what} of an event "{value[:80]}": expected 1 to {most} characters')


def _fresh(kind: EventType, at: dt.datetime) -> str:
    return f"{kind}:{at.astimezone(dt.UTC):%Y%m%dT%H%M%S}:{secrets.token_hex(6)}"
