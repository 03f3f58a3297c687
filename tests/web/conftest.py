"""A project with champions made by hand, and the application over it, asked in process."""

from __future__ import annotations

import dataclasses
import datetime as dt
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from tests.web.asking import Asker

from marketloop.bench.shop import Shop
from marketloop.runtime.clock import FixedClock
from marketloop.runtime.project import Project
from marketloop.runtime.settings import load_settings
from marketloop.serving.keeping import create_key
from marketloop.web.app import build_app
from marketloop.web.door import Rules
from marketloop.web.meters import Meters
from marketloop.web.premises import Premises
from marketloop.web.server import config_of, premises_for, rules_for
from marketloop.web.wire import Bounds

TICKERS = ("AAPL", "BRK.B", "MSFT")
TODAY = dt.datetime.now(dt.UTC)
YESTERDAY = TODAY.date() - dt.timedelta(days=1)
Serve = Callable[..., Asker]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop.make(tmp_path / "project") as made:
        yield made


@pytest.fixture
def served(shop: Shop) -> Shop:
    shop.crown(TICKERS, as_of=YESTERDAY)
    return shop


def premises_of_shop(shop: Shop) -> Premises:
    """Return premises that open the project's databases themselves, as the server's process does."""
    project = Project(shop.helm.project.root)
    settings = load_settings(project.root, environ={}, flags={})
    opened = shop.helm
    premises = premises_for(project, settings, FixedClock(TODAY), lambda: type(opened)(project, settings).state)
    return dataclasses.replace(premises, meters=Meters(hold_s=0.0))


@pytest.fixture
def serve(shop: Shop) -> Iterator[Serve]:
    """Return a function that starts the application over `shop` and returns who may ask it."""
    open_now: list[Asker] = []

    def start(premises: Premises | None = None, rules: Rules | None = None) -> Asker:
        at = premises or premises_of_shop(shop)
        app = build_app(at, rules or rules_for(at))
        client = Asker(app)
        client.__enter__()
        open_now.append(client)
        return client

    yield start
    for client in open_now:
        client.__exit__(None, None, None)


Live = Callable[..., int]
Key = Callable[..., str]


@pytest.fixture
def live(shop: Shop) -> Iterator[Live]:
    """Return a function that serves `shop` on a socket, as ``marketloop serve`` does, and returns the port."""
    open_now: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(premises: Premises | None = None, rules: Rules | None = None, bounds: Bounds | None = None) -> int:
        at = premises or premises_of_shop(shop)
        config = config_of(build_app(at, rules or rules_for(at)), bounds)
        config.timeout_graceful_shutdown = 1
        server = uvicorn.Server(config)
        door = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        open_now.append((server, thread, door))
        thread.start()
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        port: int = door.getsockname()[1]
        return port

    yield start
    for server, thread, door in open_now:
        server.should_exit = True
        thread.join(10)
        door.close()


@pytest.fixture
def key(shop: Shop) -> Callable[..., str]:
    """Return a function that makes an API key."""

    def make(name: str, role: str = "read", lifetime: dt.timedelta | None = None, at: dt.datetime = TODAY) -> str:
        whole: str = create_key(shop.helm.state, name, role=role, at=at, lifetime=lifetime)["key"]
        return whole

    return make


def detail(answer: httpx.Response, status: int) -> str:
    """Check that an answer is a problem with this status, and return its sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert set(document) >= {"type", "title", "status", "detail"}
    assert document["status"] == status
    assert "Traceback" not in answer.text
    said: str = document["detail"]
    return said
