"""Where the ways part behind the door: programs to the API, people to the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketloop.web.door import visitor_of
from marketloop.web.login import login_address

__all__ = ["Fork"]

OF_THE_API: Final = ("/api/", "/health/", "/reports/")
EXACTLY: Final = frozenset({"/api", "/metrics", "/docs", "/openapi.json", "/login", "/logout", "/reports"})
FOR_EVERYBODY: Final = ("/_nicegui/", "/assets/", "/favicon.ico")
MOST: Final = 500
PAGES_POLICY: Final = (
    # The page library compiles its templates in the browser, which needs eval; nothing may come from another host.
    b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    b"object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Fork:
    """Pure ASGI: what is not the API's goes to `pages`, with their policy; the lifespan is the API's."""

    app: ASGIApp
    pages: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and _is_api(scope["path"])):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            path: str = scope["path"]
            if visitor_of(scope).is_known or path.startswith(FOR_EVERYBODY):
                await self.pages(scope, receive, _with_policy(send))
                return
            # A stranger is turned away before the page library makes anything of the visit.
            await RedirectResponse(login_address(path[:MOST]), 303)(scope, receive, send)
        else:
            await self.pages(scope, receive, send)


def _is_api(path: str) -> bool:
    return path in EXACTLY or path.startswith(OF_THE_API)


def _with_policy(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"content-security-policy", PAGES_POLICY)]
        await send(message)

    return answer
