"""Ask for a retraining, watch it, go back, and see where the loop stands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from marketloop.core.errors import MarketLoopError
from marketloop.serving.keys import allows
from marketloop.state import Slot, requests, this_process
from marketloop.state.requests import Wish
from marketloop.web.documents import JobDocument, RollbackDocument, StatusDocument, TriggerDocument
from marketloop.web.door import Visitor, visitor_of
from marketloop.web.limits import Places
from marketloop.web.premises import Premises, premises_of
from marketloop.web.problems import ProblemError, described
from marketloop.web.standing import job_document, status_document

__all__ = ["needs", "roll_back", "router", "trigger_retraining"]

router = APIRouter(prefix="/api/ml/retraining", tags=["retraining"])

ENDED = frozenset({requests.DONE, requests.SKIPPED, requests.FAILED})
BETWEEN_EVENTS_S = 0.5
Reason = Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$", description="Why; it is recorded.")]
Families = Annotated[
    list[Annotated[str, Query(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]] | None,
    Query(alias="family", max_length=20, description="All enabled ones when not given."),
]
JobId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_]+$")]


class Watched(StreamingResponse):
    """A stream that gives its place back however it ends, also where it never began."""

    def __init__(self, places: Places, content: AsyncIterator[bytes], **given: Any) -> None:
        super().__init__(content, **given)
        self.places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.places.leave()


@router.get("/status", response_model=StatusDocument, responses=described(401, 503), summary="Where the loop stands")
async def status(request: Request) -> Response:
    """Return champions, next runs, and why a retraining would not run now."""
    premises = premises_of(request)
    document = await asyncio.to_thread(status_document, premises)
    return _json(document)


@router.post(
    "/trigger", response_model=TriggerDocument, responses=described(401, 403, 422, 429, 503), summary="Retrain now"
)
async def trigger(request: Request, reason: Reason = "", force: bool = False, family: Families = None) -> Response:
    """Record a request for a retraining; a loop runs it. `started` says that it is recorded."""
    visitor = needs(request, "operate")
    job = await asyncio.to_thread(
        trigger_retraining, premises_of(request), visitor, reason=reason, force=force, families=tuple(family or ())
    )
    return _json({"job_id": job, "status": "started", "message": "Retraining job started in background"})


@router.get(
    "/jobs/{job_id}", response_model=JobDocument, responses=described(401, 404, 422, 503), summary="One retraining"
)
async def job(request: Request, job_id: JobId) -> Response:
    """Return where a retraining stands, and what came of it."""
    return _json(await asyncio.to_thread(_job, premises_of(request), job_id))


@router.get(
    "/jobs/{job_id}/events",
    responses={200: {"content": {"text/event-stream": {}}}, **described(401, 404, 422, 503)},
    response_class=StreamingResponse,
    summary="One retraining, as it goes on (server-sent events)",
)
async def job_events(request: Request, job_id: JobId) -> StreamingResponse:
    """Send the job's document whenever it changes, until it has ended."""
    premises = premises_of(request)
    first = await asyncio.to_thread(_job, premises, job_id)
    if not premises.watchers.take():
        raise ProblemError(
            503,
            f"{premises.watchers.most} clients watch jobs already: ask for the job itself now and then, or later again",
            headers={"Retry-After": "30"},
        )
    return Watched(
        premises.watchers,
        _told(premises, job_id, first),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


@router.post(
    "/rollback",
    response_model=RollbackDocument,
    responses=described(400, 401, 403, 409, 422, 429, 503),
    summary="Go back to the previous version",
)
async def rollback(
    request: Request,
    reason: Reason = "asked for by the API",
    family: Annotated[str | None, Query(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")] = None,
    to: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="A version that has served before.")] = None,
) -> Response:
    """Let the version before the champion, or version `to`, serve again."""
    visitor = needs(request, "admin")
    premises = premises_of(request)
    name = family or premises.settings.serve.primary
    version = await asyncio.to_thread(roll_back, premises, visitor, name, to=to, reason=reason)
    return _json(
        {
            "success": True,
            "message": "Successfully rolled back to previous model version",
            "family": name,
            "version": version,
        }
    )


def needs(request: Request, role: str) -> Visitor:
    """Return who asks; raise 403 unless they may do what `role` may."""
    visitor = visitor_of(request.scope)
    if not allows(visitor.role, role):
        raise ProblemError(403, f'the key "{visitor.name}" has the role {visitor.role}; this needs {role}')
    return visitor


def trigger_retraining(
    premises: Premises, visitor: Visitor, *, reason: str, force: bool, families: tuple[str, ...]
) -> str:
    """Record a wish and return its id.

    Raises
    ------
    ProblemError
        Forced without a reason, or by somebody who may not.
    """
    if force and not reason.strip():
        raise ProblemError(422, "force needs a reason: it is audited")
    if force and not allows(visitor.role, "admin"):
        raise ProblemError(403, f'the key "{visitor.name}" has the role {visitor.role}; force needs admin')
    wish = Wish("manual", reason or "asked for by the API", families, force=force, requested_by=visitor.name)
    with premises.state.write() as db:
        asked, _ = requests.ask(db, wish, process=this_process(), at=premises.clock.now())
    return asked.id


def roll_back(premises: Premises, visitor: Visitor, family: str, *, to: int | None, reason: str) -> int:
    """Let an earlier version of `family` serve again, and return it."""
    slot = Slot(family, premises.desk.view.default_key)
    champion = premises.registry.rollback(slot, to=to, reason=f"{reason} ({visitor.name})", at=premises.clock.now())
    premises.desk.refresh(premises.clock.now())
    return champion.version


def _job(premises: Premises, job_id: str) -> dict[str, Any]:
    with premises.state.read() as db:
        found = requests.get(db, job_id)
    if found is None:
        raise ProblemError(404, f'there is no job "{job_id}"; the id is what the trigger returned')
    return job_document(found)


async def _told(premises: Premises, job_id: str, first: dict[str, Any]) -> AsyncIterator[bytes]:
    """Yield the document each time it differs, and a comment now and then that keeps the line open."""
    last: dict[str, Any] = {}
    now, quiet = first, 0.0
    while True:
        if now != last:
            yield f"event: job\ndata: {json.dumps(now)}\n\n".encode()
            last, quiet = now, 0.0
        elif quiet >= 15:
            yield b": still here\n\n"
            quiet = 0.0
        if now["state"] in ENDED:
            return
        await asyncio.sleep(BETWEEN_EVENTS_S)
        quiet += BETWEEN_EVENTS_S
        with suppress(MarketLoopError, ProblemError):  # the database is away: say what was known until it is back
            now = await asyncio.to_thread(_job, premises, job_id)


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document, allow_nan=False, ensure_ascii=False).encode(), media_type="application/json")
