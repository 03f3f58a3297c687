"""The server: is its port free, or does a MarketLoop answer on it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable
from typing import Final

from marketloop.cli.examinations.finding import Finding, Patient, ok, warning

__all__ = ["EXAMINATIONS", "is_loopback"]

_PATIENCE_S: Final = 1.0
_ANYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 -- compared with, never listened on


def is_loopback(host: str) -> bool:
    """Return whether a server on `host` is reached from this machine alone."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def port(patient: Patient) -> Iterable[Finding]:
    """Say who answers where `serve` would listen."""
    host, number = patient.settings.serve.host, patient.settings.serve.port
    near = "127.0.0.1" if host in _ANYWHERE else host
    try:
        socket.create_connection((near, number), timeout=_PATIENCE_S).close()
    except OSError:
        return [ok("serve", f"nobody listens on {near}:{number}")]
    said = _health(near, number)
    if said is None:
        value = f"port {number} of {near} is taken by a program that is no MarketLoop"
        remedy = f"marketloop serve --port {number + 1 if number < 65_535 else 8000}, or set [serve] port"
        return [warning("serve", value, remedy, expected="a free port")]
    if said.get("database") == "away":
        value = f"answers on {near}:{number} from memory; its database is away: {said.get('detail', '')}"
        return [warning("serve", value, "see the finding about state", expected="a reachable database")]
    boards = said.get("boards", 0)
    return [ok("serve", f"answers on {near}:{number}, {boards} scoreboards in memory")]


def _health(host: str, number: int) -> dict[str, object] | None:
    """Ask whoever listens whether it is a MarketLoop; None where it is not."""
    connection = http.client.HTTPConnection(host, number, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/health/live")
        answer = connection.getresponse()
        document = json.loads(answer.read(100_000))
        return document if isinstance(document, dict) and {"status", "boards", "database"} <= set(document) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


EXAMINATIONS: Final = (("serve", port),)
