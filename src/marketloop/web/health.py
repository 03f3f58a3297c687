"""Is the process alive, can it answer, and its figures."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from marketloop.web.meters import CONTENT_TYPE
from marketloop.web.premises import premises_of
from marketloop.web.problems import described, problem

__all__ = ["router"]

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """A word on the process."""

    status: Literal["alive", "ready"]
    boards: int = Field(description="Scoreboards in memory.")
    database: Literal["reachable", "away"]
    detail: str = ""


@router.get("/health/live", summary="Is the process alive")
async def live(request: Request) -> Health:
    """Answer as long as the process does."""
    view = premises_of(request).desk.view
    away = bool(view.trouble)
    return Health(
        status="alive", boards=len(view.boards), database="away" if away else "reachable", detail=view.trouble
    )


@router.get("/health/ready", response_model=Health, responses=described(503), summary="Can it answer")
async def ready(request: Request) -> Response:
    """Answer 200 as soon as a scoreboard is in memory, stale or not, with or without a loop."""
    view = premises_of(request).desk.view
    if not view.boards:
        why = view.trouble or "no champion has spoken yet: run `marketloop retrain`"
        return problem(503, f"not ready: {why}", headers={"Retry-After": "5"})
    away = bool(view.trouble)
    health = Health(
        status="ready", boards=len(view.boards), database="away" if away else "reachable", detail=view.trouble
    )
    return Response(health.model_dump_json(), media_type="application/json")


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Return counters, latencies and ages in Prometheus's text format."""
    return Response(premises_of(request).meters.exposition(), headers={"Content-Type": CONTENT_TYPE})
