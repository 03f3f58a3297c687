"""Drift: which features have moved away from what the champion learned from."""

from __future__ import annotations

from nicegui import ui
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from marketloop.web.dashboard.frame import Visit, enter
from marketloop.web.dashboard.pieces import Text

__all__ = ["register"]


def register() -> None:
    """Add the page."""

    @ui.page("/drift", response_timeout=20)
    async def drift(request: HttpRequest) -> Response | None:
        return await enter(request, "Drift", _build)


async def _build(visit: Visit) -> None:
    Text("h1", "Drift")
