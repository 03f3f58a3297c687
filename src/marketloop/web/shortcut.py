"""The question asked most, answered without the long way through routing and validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Shortcut"]

PREFIX: Final = "/api/predict/"
_JSON: Final = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Pure ASGI, between the door and the application: ``GET /api/predict/{ticker}`` of a ticker that is scored.

    It knows one answer only, and has it ready or has not: whatever else is asked, with a query or of an unknown ticker,
    goes on to the application, which gives the same answer and all the others. Nothing is checked here; the door has.

    Parameters
    ----------
    app : ASGI application
        What is asked otherwise.
    body_of : function
        Returns the answer on a ticker as JSON, or None.
    route : route
        The application's own for this question; the meters count under its name.
    """

    app: ASGIApp
    body_of: Callable[[str], bytes | None]
    route: BaseRoute

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application do it."""
        body = None
        if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]:
            path: str = scope["path"]
            if path.startswith(PREFIX):
                body = self.body_of(path[len(PREFIX) :])
        if body is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = self.route
        headers = [(b"content-length", b"%d" % len(body)), _JSON]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
