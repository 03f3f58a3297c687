"""Receivers of alarms on loopback: real servers that listen, refuse, break or hang."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope


@dataclass
class Received:
    """What a receiver got, and where it listens."""

    port: int = 0
    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    mails: list[Envelope] = field(default_factory=list)
    tries: int = 0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def http_receiver(status: int = 200) -> Iterator[Received]:
    """Answer every POST with `Received.status`, which may be changed meanwhile."""
    received = Received(status=status)

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.tries += 1
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if received.status == 200:
                received.bodies.append(json.loads(content))
            self.send_response(received.status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its own name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def silent_receiver() -> Iterator[int]:
    """Take connections and never say a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield listener.getsockname()[1]


class _Mailbox:
    def __init__(self, received: Received) -> None:
        self.received = received

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 -- their name
        self.received.tries += 1
        if self.received.status != 200:
            return "554 not today"
        self.received.mails.append(envelope)
        return "250 taken"


@contextmanager
def mail_receiver(status: int = 200) -> Iterator[Received]:
    """Take mail as an SMTP server does."""
    received = Received(status=status, port=free_port())
    controller = Controller(_Mailbox(received), hostname="127.0.0.1", port=received.port)
    controller.start()
    try:
        yield received
    finally:
        controller.stop()
