"""Runs the application: where it listens, who may ask, and how it stops."""

from __future__ import annotations

import functools
import gc
import ipaddress
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from marketloop.core.errors import UsageError
from marketloop.runtime.clock import Clock
from marketloop.runtime.project import Project
from marketloop.runtime.settings import Settings
from marketloop.serving.desk import Desk
from marketloop.serving.keeping import read_ring
from marketloop.state import State
from marketloop.web.app import build_app
from marketloop.web.dashboard import build_pages
from marketloop.web.door import LOOPBACK, Rules
from marketloop.web.limits import Allowance
from marketloop.web.premises import Premises
from marketloop.web.wire import Bounds, Wire

__all__ = ["config_of", "is_loopback", "premises_for", "rules_for", "serve"]

STOP_S: Final = 5
"""Seconds that answers under way get when the server is stopped."""
TURN_S: Final = 0.0005
"""Seconds that a thread which reads the databases may go on while answers wait; Python's 5 ms are felt in the p99."""


def premises_for(project: Project, settings: Settings, clock: Clock, open_state: Callable[[], State]) -> Premises:
    """Return the premises of a project; its databases are opened when the desk first looks."""
    desk = Desk(settings, settings.strategy.config.key, open_state, project.models / "registry")
    return Premises(project, settings, desk, clock)


def rules_for(premises: Premises) -> Rules:
    """Return what the door asks of a visitor, from the settings.

    Raises
    ------
    UsageError
        The server would listen off this machine, and there is no key.
    """
    section = premises.settings.serve
    loopback = is_loopback(section.host)
    if not loopback and not read_ring(premises.state, at=premises.clock.now()).keys:
        raise UsageError(
            f"serve --host {section.host}: everybody who reaches this address could ask, and there is no API key; "
            "make one first with `marketloop keys create NAME --role admin`, or listen on 127.0.0.1"
        )
    # Off this machine the name under which a proxy calls is not known: keys guard every request there.
    hosts = frozenset({*LOOPBACK, section.host, *section.hosts}) if loopback or section.hosts else frozenset[str]()
    return Rules(
        hosts=hosts,
        keys=lambda: premises.desk.ring,
        cookie=premises.sessions.cookie,
        session=lambda cookie, ring: premises.sessions.owner(cookie, ring, premises.clock.now()),
        loopback=loopback,
        reading=Allowance(section.reads_per_second, max(1, round(2 * section.reads_per_second))),
        asking=Allowance(section.asks_per_minute / 60, max(1, round(section.asks_per_minute))),
        body_limit=section.body_kb * 1000,
    )


def serve(premises: Premises) -> None:
    """Listen until SIGTERM or Ctrl-C.

    Raises
    ------
    UsageError
        No key off this machine, or the address is taken.
    """
    section = premises.settings.serve
    app = build_app(premises, rules_for(premises), build_pages(premises))
    door = _listen(section.host, section.port)
    log, own = logging.getLogger("uvicorn"), logging.getLogger("marketloop")
    log.handlers, log.propagate = own.handlers, False  # what goes wrong there belongs in logs/server.log too
    log.setLevel(logging.WARNING)
    sys.setswitchinterval(TURN_S)
    gc.collect()
    gc.freeze()  # what was imported stays: no collection has to walk it again while answers wait
    with door:
        uvicorn.Server(config_of(app)).run(sockets=[door])


def config_of(app: ASGIApp, bounds: Bounds | None = None) -> uvicorn.Config:
    """Return how the application is run; `bounds` are those of the wire."""
    wire: Any = functools.partial(Wire, bounds=bounds or Bounds())
    return uvicorn.Config(
        app,
        http=wire,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,  # whoever can speak to this machine may not choose the address that the pace counts
        ws_max_size=1_000_000,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_S,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, or say in one sentence why there is none."""
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((address[0], address[1]), family=kind, backlog=2048)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on {host}:{port} ({why}): the port is taken, perhaps by another project's server, or the "
            "address is not of this machine; give this project its own `[serve] port` in marketloop.toml, or --port or "
            "--host"
        ) from error


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
