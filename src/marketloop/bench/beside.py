"""What goes on beside a server that is measured: people who have the dashboard open, and a training run."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from marketloop.core.errors import FailedError
from marketloop.runtime.project import create_project

__all__ = ["Onlookers", "looked_at", "trained_beside"]

PAGE: Final = "/"
SOCKET: Final = "/_nicegui_ws/socket.io/"
TRAINING: Final = "from marketloop.cli import main; from marketloop.loop.claiming import give_way; give_way(); main()"
"""A command of the product that gives way, as the loop's own cycles do."""


@dataclass(slots=True)
class Onlookers:
    """Pages that are open: how many, and how many messages came to them (`pushed` bytes)."""

    pages: int = 0
    messages: int = 0
    pushed: int = 0
    troubles: list[str] = field(default_factory=list)


def log_in(visitor: OpenerDirector, base: str, key: str) -> None:
    """Log in by the dashboard's form: the key becomes a session cookie. Where no key is needed there is no form."""
    with visitor.open(f"{base}/login", timeout=20) as page:
        token = re.search(r'name="token" value="([^"]+)"', page.read().decode())
    if token is not None:
        form = urlencode({"key": key, "token": token[1], "next": "/"}).encode()
        visitor.open(f"{base}/login", form, timeout=20).close()


@contextlib.contextmanager
def looked_at(port: int, key: str, pages: int) -> Iterator[Onlookers]:
    """Have so many pages of the dashboard open: each loaded once, then listening on its socket as a browser does."""
    told, over = Onlookers(), threading.Event()
    threads = [threading.Thread(target=_look, args=(port, key, told, over), daemon=True) for _ in range(pages)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 20
    while told.pages + len(told.troubles) < pages and time.monotonic() < until:
        time.sleep(0.05)
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join(5)


def _look(port: int, key: str, told: Onlookers, over: threading.Event) -> None:
    base = f"http://127.0.0.1:{port}"
    jar = CookieJar()
    visitor = build_opener(HTTPCookieProcessor(jar))
    visitor.addheaders = [("Origin", base)]
    try:
        log_in(visitor, base, key)
        with visitor.open(f"{base}{PAGE}", timeout=20) as page:
            number = re.search(r"[\"']client_id[\"']\s*:\s*[\"']([\w-]+)[\"']", page.read().decode())
        if number is None:
            raise FailedError(f"{PAGE} is no live page")
        asked = {
            "EIO": "4",
            "transport": "websocket",
            "client_id": number[1],
            "tab_id": str(uuid.uuid4()),
            "document_id": str(uuid.uuid4()),
            "next_message_id": "0",
            "implicit_handshake": "true",
        }
        address = f"ws://127.0.0.1:{port}{SOCKET}?{urlencode(asked)}"
        headers = {"Origin": base, "Cookie": "; ".join(f"{one.name}={one.value}" for one in jar)}
        with connect(address, additional_headers=headers, max_size=None) as line:
            line.recv(timeout=10)  # engine.io: open
            line.send("40")  # socket.io: connect
            told.pages += 1
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    message = line.recv(timeout=0.5)
                    told.messages, told.pushed = told.messages + 1, told.pushed + len(message)
                    if message == "2":  # engine.io: ping
                        line.send("3")
    except (OSError, ValueError, WebSocketException, FailedError) as error:
        told.troubles.append(f"{type(error).__name__}: {error}"[:200])


@contextlib.contextmanager
def trained_beside(root: Path, *, on: bool = True) -> Iterator[dict[str, Any]]:
    """Train again and again in a project of its own in `root`, on a simulated market, niced as the loop does.

    Yields a mapping whose ``runs`` counts the retrainings that ended while the block ran; with `on` false, nothing.
    """
    if not on:
        yield {}
        return
    create_project(root, settings={"data.source": "synthetic", "tracking.enabled": False})
    _command(root, "collect").wait()
    told: dict[str, Any] = {"runs": 0}
    over = threading.Event()
    under_way: list[subprocess.Popen[bytes]] = []

    def train() -> None:
        while not over.is_set():
            run = _command(root, "retrain", "--force", "--reason", "beside a measurement")
            under_way[:] = [run]
            run.wait()
            told["runs"] += not over.is_set()
            if run.returncode not in {0, 1} and not over.is_set():
                told["trouble"] = f"retrain ended with {run.returncode}"
                return

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        over.set()
        for run in under_way:
            _end(run)
        thread.join(30)


def _command(root: Path, *arguments: str) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    given = [sys.executable, "-c", TRAINING, "--project", str(root), *arguments]
    return subprocess.Popen(given, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)


def _end(run: subprocess.Popen[bytes]) -> None:
    """End a command and the processes that it started."""
    if not hasattr(os, "killpg"):
        run.terminate()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGTERM)
