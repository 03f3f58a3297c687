"""Publish what happened elsewhere; the loop acts on it."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from marketloop.runtime.payloads import event_type, payload_of
from marketloop.state import events
from marketloop.state.events import Stored
from marketloop.web.premises import premises_of
from marketloop.web.problems import described
from marketloop.web.retraining import needs

__all__ = ["router"]

router = APIRouter(tags=["events"])


class EventIn(BaseModel):
    """Something that happened."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"type": "DATA_ARRIVED", "data": {"new_rows": 505}, "key": "vendor-2026-01-30"}]
        },
    )

    type: Annotated[str, Field(min_length=1, max_length=64, description="E.g. DATA_ARRIVED.")]
    data: Annotated[dict[str, Any], Field(max_length=100, description="As the type demands.")] = {}
    key: Annotated[
        str | None,
        Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$", description="Published once under one key."),
    ] = None


class EventOut(BaseModel):
    """The event as it is kept."""

    id: int
    key: str
    type: str
    new: bool = Field(description="False where the key was there already.")


class EventDocument(BaseModel):
    """An event, and what came of it."""

    id: int
    key: str
    type: str
    data: dict[str, Any]
    source: str = Field(description="Who published it.")
    published_at: str
    handled_at: str | None = Field(description="Null while nobody has acted on it.")
    result: dict[str, Any]
    trouble: str


class EventsDocument(BaseModel):
    """The latest events, newest first."""

    events: list[EventDocument]


@router.get(
    "/api/events", response_model=EventsDocument, responses=described(401, 422, 503), summary="The latest events"
)
async def listing(request: Request, limit: Annotated[int, Query(ge=1, le=50)] = 20) -> Response:
    """Return what was published last, newest first; only what is shown is read."""
    premises = premises_of(request)

    def read() -> list[EventDocument]:
        with premises.state.read() as db:
            return [_told(stored) for stored in events.recent(db, limit=limit)]

    document = EventsDocument(events=await asyncio.to_thread(read))
    return Response(document.model_dump_json(), media_type="application/json")


def _told(stored: Stored) -> EventDocument:
    return EventDocument(
        id=stored.id,
        key=stored.key,
        type=stored.type,
        data=dict(stored.payload),
        source=stored.source,
        published_at=stored.published_at.isoformat(),
        handled_at=None if stored.handled_at is None else stored.handled_at.isoformat(),
        result=dict(stored.result),
        trouble=stored.trouble,
    )


@router.post(
    "/api/events",
    response_model=EventOut,
    responses=described(400, 401, 403, 413, 422, 429, 503),
    summary="Publish an event",
)
async def publish(request: Request, event: EventIn) -> Response:
    """Record an event durably; the loop acts on it later, once."""
    visitor = needs(request, "operate")
    premises = premises_of(request)
    kind = event_type(event.type)
    payload = payload_of(kind, event.data).model_dump(mode="json")

    def record() -> dict[str, Any]:
        key = f"api:{event.key or secrets.token_hex(16)}"
        with premises.state.write() as db:
            at = premises.clock.now()
            stored, new = events.publish(db, kind, key=key, payload=payload, source=f"api:{visitor.name}"[:128], at=at)
        return {"id": stored.id, "key": stored.key, "type": stored.type, "new": new}

    return Response(json.dumps(await asyncio.to_thread(record)).encode(), media_type="application/json")
