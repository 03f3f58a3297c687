"""A real browser on real pages: Chromium as the system has it, the server as its own process, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from marketloop.bench.chronicle import write_year
from marketloop.bench.shop import Shop
from marketloop.runtime.project import create_project

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")  # fmt: skip
PICTURES = Path(os.environ.get("MARKETLOOP_SCREENSHOTS", Path(__file__).parents[2] / ".artefacts" / "screenshots"))
EVIL_TICKER = "<img src=x onerror=alert(1)>"


@dataclass
class Visitor:
    """One browser window, and what went wrong in it."""

    page: Page
    base: str
    troubles: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a page and wait until it is there."""
        self.page.goto(self.base + path, timeout=60_000)
        self.page.wait_for_selector("main h1, main h2", timeout=60_000)
        return self.page

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser is installed: looked for {', '.join(NAMES)}")
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Return a function that opens a window; at the end nothing may have gone wrong in any of them."""
    opened: list[Visitor] = []

    def start(base: str, *, theme: str = "light", width: int = 1440, height: int = 900) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(60_000)
        visitor = Visitor(context.new_page(), base)
        page = visitor.page
        page.on("console", lambda said: visitor.troubles.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: visitor.troubles.append(str(error)))
        page.on("request", lambda asked: _outside(visitor, asked.url))
        opened.append(visitor)
        return visitor

    yield start
    for visitor in opened:
        visitor.page.context.close()
    assert [trouble for visitor in opened for trouble in visitor.troubles] == []


def _outside(visitor: Visitor, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1":
        visitor.troubles.append(f"asked another host: {url}")


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a project with some weeks of nights behind it, whose champions were made by hand."""
    root = tmp_path_factory.mktemp("year") / "year"
    with Shop.make(root) as shop:
        write_year(shop, tickers=[*(f"T{place:03d}" for place in range(120)), EVIL_TICKER], nights=40)
    with running(root, "serve") as base:
        yield base


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on a simulated market in which `retrain` made two versions; nobody runs yet."""
    root = tmp_path_factory.mktemp("market") / "market"
    settings = {
        "data.source": "synthetic",
        "features.set": "basic",
        "tracking.enabled": False,
        "retraining.schedule": "off",
        "family.price_predictor.recipes": ["rank_ridge"],
        "family.momentum_ranker.enabled": False,
        "family.regime_classifier.enabled": False,
    }
    create_project(root, settings=settings)
    options = [
        word for pair in ("tickers=12", "sessions=620", "planted_ic=0.1", "seed=3") for word in ("--option", pair)
    ]
    command(root, "collect", "--source", "synthetic", *options)
    for reason in ("the first", "one more to go back from"):
        command(root, "retrain", "price_predictor", "--force", "--reason", reason)
    return root


def command(root: Path, *words: str) -> str:
    """Run a command of the product and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "marketloop.cli", "--project", str(root), *words],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running(root: Path, *words: str) -> Iterator[str]:
    """Run `serve` or `up` on a free port until the block ends; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = subprocess.Popen(
        [sys.executable, "-m", "marketloop.cli", "--project", str(root), *words],
        env={**os.environ, "MARKETLOOP_SERVE__PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        _wait(base, started)
        yield base
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait(10)


def _wait(base: str, started: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert started.poll() is None, f"the server ended with {started.returncode}"
        try:
            if httpx.get(f"{base}/health/live", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError("the server did not begin to answer")
