"""The door: every request passes it once, before anything else; host, origin, key, pace, size, headers, meters."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketloop.serving.keys import Kept, KeyRing
from marketloop.web.limits import Allowance, Limiter
from marketloop.web.meters import Meters
from marketloop.web.problems import problem
from marketloop.web.sessions import cookie_of

__all__ = ["ANYBODY", "Door", "Rules", "Visitor", "visitor_of"]

PAGE_SOCKET: Final = "/_nicegui_ws/"
"""Where pages that are open talk to the server, also where they cannot by a websocket."""
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
API_HEADERS: Final = (
    *HEADERS,
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
ANSWERED_BY_PROGRAMS: Final = ("/api/", "/health/", "/metrics")
METHODS: Final = frozenset({"GET", "HEAD", *UNSAFE})


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: the name of the key and its role.

    `is_known` is false for somebody who looks at a page without a key. `session` is the cookie of a browser that logged
    in, empty for others.
    """

    name: str
    role: str
    client: str
    is_known: bool = True
    session: str = field(default="", repr=False)


class Refusal(NamedTuple):
    """Why a request does not enter."""

    reason: str
    status: int
    detail: str
    headers: Mapping[str, str] = {}


READING: Final = Allowance(per_second=2000.0, burst=4000)
ASKING: Final = Allowance(per_second=0.5, burst=30)
ANYBODY: Final = Visitor("anybody on this machine", "admin", "loopback")
NO_KEY: Final = Refusal(
    "key",
    401,
    "this needs a valid API key: send `Authorization: Bearer ml_...`; make one with `marketloop keys create`",
    {"WWW-Authenticate": "Bearer"},
)


KEYS_AWAY: Final = Refusal(
    "key",
    503,
    "the API keys cannot be read yet, so nobody is let in: see /health/live for what is wrong, and try again",
    {"Retry-After": "5"},
)


@dataclass(frozen=True)
class Rules:
    """What the door asks of a visitor.

    Parameters
    ----------
    hosts : names that a Host header may have; empty accepts any
    keys : function that returns the valid keys
        While none was ever made and `loopback` holds, no key is needed. None: they could not be read yet.
    cookie : str
        Name of the cookie of a browser that logged in.
    session : function of (cookie, ring), optional
        Returns the key behind the value of that cookie, or None.
    loopback : bool
        Whether the server listens on this machine only.
    reading, asking : Allowance
        Pace of reading requests, and of those that make the loop do something.
    body_limit : int
        Bytes.
    patience_s : float
        Seconds that a body may take to arrive.
    """

    hosts: frozenset[str] = LOOPBACK
    keys: Callable[[], KeyRing | None] = KeyRing
    cookie: str = "marketloop_session"
    session: Callable[[str, KeyRing], Kept | None] = lambda _cookie, _ring: None
    loopback: bool = True
    reading: Allowance = READING
    asking: Allowance = ASKING
    body_limit: int = 1_000_000
    patience_s: float = 30.0


@dataclass
class Door:
    """Pure ASGI: a request that may not enter is answered here, and never reaches the application."""

    app: ASGIApp
    rules: Rules
    meters: Meters
    readers: Limiter = field(init=False)
    askers: Limiter = field(init=False)

    def __post_init__(self) -> None:
        self.readers, self.askers = Limiter(self.rules.reading), Limiter(self.rules.asking)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        if scope["type"] == "websocket":
            visitor = self._visitor(scope, headers, self.rules.keys())
            if self._stranger(headers, unsafe=True) is not None or visitor is None or not visitor.is_known:
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
            scope["marketloop.visitor"] = visitor
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500

        def answer(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                nonlocal status
                status = message["status"]
                message["headers"] = _guarded(message["headers"], scope["path"])
            return send(message)

        try:
            await self._enter(scope, headers, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path_format", None) or "other"
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.meters.answered(method, route, status, time.perf_counter() - begun)

    async def _enter(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send) -> None:
        talks = scope["path"].startswith(PAGE_SOCKET)
        refusal = self._stranger(headers, unsafe=talks or scope["method"] in UNSAFE)
        if refusal is None:
            ring = self.rules.keys()
            visitor = self._visitor(scope, headers, ring)
            if visitor is None:
                refusal = NO_KEY if ring is not None else KEYS_AWAY
            else:
                refusal = self._hurried(scope, visitor) or self._too_large(headers)
            scope["marketloop.visitor"] = visitor
        if refusal is None and scope["method"] in UNSAFE:
            body = await self._body(receive)
            if isinstance(body, Refusal):
                refusal = body
            else:
                receive = _replayed(body, receive)
        if refusal is None:
            await self.app(scope, receive, send)
            return
        self.meters.refused.labels(refusal.reason).inc()
        await problem(refusal.status, refusal.detail, headers=refusal.headers)(scope, receive, send)

    def _stranger(self, headers: Mapping[bytes, bytes], *, unsafe: bool) -> Refusal | None:
        """Refuse a request for another host (DNS rebinding), and one that another page sent (CSRF)."""
        host = headers.get(b"host", b"").decode("latin-1")
        if self.rules.hosts and _name(host) not in self.rules.hosts:
            return Refusal("host", 421, "this server does not answer to that Host; add it to [serve] hosts")
        origin = headers.get(b"origin")
        if unsafe and origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            return Refusal("origin", 403, "this request was sent by a page of another origin, and is not carried out")
        return None

    def _visitor(self, scope: Scope, headers: Mapping[bytes, bytes], ring: KeyRing | None) -> Visitor | None:
        client = scope.get("client")
        address = client[0] if client else "?"
        if self.rules.loopback and ring is not None and not ring.demanded:
            return Visitor(ANYBODY.name, ANYBODY.role, address)
        given = _key(headers)
        owner: Kept | None = ring.owner(given) if given and ring is not None else None
        if owner is not None:
            return Visitor(owner.name, owner.role, owner.id)
        # A wrong key is never taken for none; the API takes no cookies, so that no page can ask in somebody's name.
        if given is not None or scope["path"].startswith(("/api/", "/metrics")):
            return None
        cookie = cookie_of(headers.get(b"cookie", b""), self.rules.cookie)
        member = self.rules.session(cookie, ring) if ring is not None else None
        if member is not None:
            return Visitor(member.name, member.role, member.id, session=cookie)
        talks = scope["path"].startswith(PAGE_SOCKET)
        return None if talks else Visitor("a visitor", "read", address, is_known=False)

    def _hurried(self, scope: Scope, visitor: Visitor) -> Refusal | None:
        path: str = scope["path"]
        asks = scope["method"] in UNSAFE and path != "/api/predict" and not path.startswith(PAGE_SOCKET)
        wait = (self.askers if asks else self.readers).take(visitor.client, time.monotonic())
        if wait <= 0:
            return None
        seconds = str(math.ceil(min(wait, 3600.0)))
        detail = f"too many requests from {visitor.name}: ask again in {seconds} s"
        return Refusal("pace", 429, detail, {"Retry-After": seconds})

    def _too_large(self, headers: Mapping[bytes, bytes]) -> Refusal | None:
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 20:
            return Refusal("size", 400, "Content-Length is not the number of the bytes that follow")
        return self._over(int(length)) if int(length) > self.rules.body_limit else None

    def _over(self, size: int) -> Refusal:
        limit = self.rules.body_limit
        return Refusal("size", 413, f"the body has {size:,} bytes or more, at most {limit:,} are read")

    async def _body(self, receive: Receive) -> bytes | Refusal:
        """Read the whole body, no more of it than may be and no longer than patience lasts."""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.rules.patience_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return Refusal("gone", 400, "the client went away before its request was whole")
                    part = message.get("body", b"")
                    size += len(part)
                    if size > self.rules.body_limit:
                        return self._over(size)
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            seconds = f"{self.rules.patience_s:g} s"
            return Refusal("slow", 408, f"the body did not arrive within {seconds}", {"Connection": "close"})


def visitor_of(scope: Scope) -> Visitor:
    """Return who asks; the door has let them in."""
    visitor: Visitor = scope.get("marketloop.visitor") or Visitor("a visitor", "read", "?", is_known=False)
    return visitor


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, and then what comes after it."""
    given = False

    async def read() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read


def _guarded(headers: Iterable[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with those that protect, except where the answer has its own."""
    own = list(headers)
    names = {name for name, _ in own}
    extra = API_HEADERS if path.startswith(ANSWERED_BY_PROGRAMS) else HEADERS
    return own + [header for header in extra if header[0] not in names]


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return dict(scope["headers"])


def _key(headers: Mapping[bytes, bytes]) -> str | None:
    bearer = headers.get(b"authorization", b"").decode("latin-1")
    if bearer.lower().startswith("bearer "):
        return bearer[7:].strip()
    own = headers.get(b"x-api-key")
    return None if own is None else own.decode("latin-1").strip()


def _name(host: str) -> str:
    """Return the name in a Host header in lower case, without its port."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
