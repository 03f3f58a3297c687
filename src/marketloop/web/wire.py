"""The wire under the application: bounds what a client may hold open, and for how long, without asking anything."""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from marketloop.web.problems import MEDIA_TYPE, problem

__all__ = ["Bounds", "Wire"]

LINGER_S: Final = 1.0
"""Seconds in which a client that is refused may go on sending: closed earlier, it would not hear why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection, and all of them, may hold.

    Parameters
    ----------
    connections : int
        Open at the same time; a further one is answered 503 and closed.
    head_bytes : int
        Bytes of the first line and the headers of a request.
    patience_s : float
        Seconds until a new connection has asked, until a request that has begun is whole, and until a reader takes
        what was sent to it. The door gives bodies less.
    """

    connections: int = 1_000
    head_bytes: int = 65_536
    patience_s: float = 60.0


class Wire(HttpToolsProtocol):
    """uvicorn's protocol with bounds: against slow heads, endless heads, readers that never read, and too many of them.

    The timer runs while a request is incomplete: not between requests, where uvicorn's keep-alive does that, and not
    while an answer is made. A request that comes in one piece, as nearly all do, never starts it.
    """

    def __init__(self, *args: Any, bounds: Bounds | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bounds = bounds or Bounds()
        self._late: TimerHandle | None = None
        self._stalled: TimerHandle | None = None
        self._is_whole = self._is_headed = self._is_refused = False
        self._head_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            self._refuse(503, f"more than {self.bounds.connections:,} connections are open: try again later")
        else:
            self._late = self.loop.call_later(self.bounds.patience_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the timers go with the connection."""
        for timer in (self._late, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and begin or end to wait for the rest."""
        if self._is_refused or self.transport.is_closing():
            return
        super().data_received(data)
        if self._is_whole:
            if self._late is not None:
                self._late.cancel()
                self._late = None
            return
        if not self._is_headed:
            self._head_bytes += len(data)
            if self._head_bytes > self.bounds.head_bytes:
                self._refuse(431, f"more than {self.bounds.head_bytes:,} bytes of headers: send fewer or shorter ones")
                return
        if self._late is None and not (self._is_refused or self.transport.is_closing()):
            self._late = self.loop.call_later(self.bounds.patience_s, self._give_up)

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._is_whole = self._is_headed = False
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that its head is whole."""
        self._is_headed = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that all of it is there."""
        self._is_whole = True
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; from here on the library for websockets looks after it."""
        if self._late is not None:
            self._late.cancel()
        self._is_whole = True
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """Begin to wait for a reader that takes nothing."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.bounds.patience_s, self.transport.abort)

    def resume_writing(self) -> None:
        """End to wait for it."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- uvicorn's words; ours say the same of each
        """Refuse what is no HTTP, as a problem like any other."""
        self._refuse(400, "this is not a request as HTTP/1.1 has it")

    def _give_up(self) -> None:
        self._late = None
        if self._is_headed:  # an answer may be under way: nothing can be said between its parts
            self.transport.abort()
        else:
            self._refuse(408, f"no whole request came within {self.bounds.patience_s:g} s")

    def _refuse(self, status: int, detail: str) -> None:
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        if self.cycle is not None and not self.cycle.response_complete:  # what was asked before is answered no more
            self.cycle.disconnected = True
            if self.cycle.response_started:
                self.transport.abort()
                return
        body = bytes(problem(status, detail).body)
        head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
        self.transport.write(STATUS_LINE[status] + f"{head}x-content-type-options: nosniff\r\n\r\n".encode() + body)
        if self._late is not None:
            self._late.cancel()
        self._late = self.loop.call_later(LINGER_S, self.transport.abort)
        if self.transport.can_write_eof():
            self.transport.write_eof()
