"""Speaks to a server byte by byte, as no library would."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

HEAD = b"GET /api/predict/AAPL HTTP/1.1\r\nHost: localhost\r\n"


@contextmanager
def line(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as open_line:
        yield open_line


def heard(open_line: socket.socket) -> bytes:
    """Return everything that comes until the server closes."""
    parts = []
    try:
        while part := open_line.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def said(port: int, *parts: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send these bytes, and return status, headers and body of the first answer."""
    with line(port) as open_line:
        for part in parts:
            try:
                open_line.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break
        head, _, body = heard(open_line).partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest)}
    return int(first.split()[1]), headers, body


def sentence(port: int, status: int, *parts: bytes) -> str:
    found, headers, body = said(port, *parts)
    assert (found, headers["content-type"]) == (status, "application/problem+json")
    assert headers["x-content-type-options"] == "nosniff"
    return str(json.loads(body)["detail"])


def is_well(port: int) -> bool:
    return said(port, HEAD, b"Connection: close\r\n\r\n")[0] == 200
