"""What was published and what came of it, for readers: no data and no models are loaded."""

from __future__ import annotations

from typing import Any

from marketloop.runtime.payloads import event_type
from marketloop.state import State, events
from marketloop.state.events import Stored

__all__ = ["event_document", "list_events"]


def list_events(state: State, *, kind: str | None = None, limit: int = 20) -> dict[str, Any]:
    """Return the `events` document: the latest events, newest first, of one type or of all."""
    kinds = () if kind is None else (event_type(kind).value,)
    with state.read() as db:
        return {"events": [event_document(stored) for stored in events.recent(db, limit=limit, kinds=kinds)]}


def event_document(stored: Stored) -> dict[str, Any]:
    """Return an event as JSON values."""
    return {
        "id": stored.id,
        "type": stored.type,
        "key": stored.key,
        "source": stored.source,
        "published_at": stored.published_at.isoformat(),
        "handled_at": None if stored.handled_at is None else stored.handled_at.isoformat(),
        "attempts": stored.attempts,
        "trouble": stored.trouble,
        "data": stored.payload,
        "result": stored.result,
    }
