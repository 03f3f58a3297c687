"""A project whose source does what a file says: its cycles begin at once, and end, hang or die as told."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from marketloop.loop.house import House, open_house
from marketloop.runtime.project import create_project
from marketloop.state import cycles, requests
from marketloop.state.cycles import Cycle
from marketloop.state.requests import Request

PLUGIN = """
import os, time
from pathlib import Path

MOOD = Path(__file__).with_name("mood")


def build(path=None, **options):
    mood = MOOD.read_text()
    if mood == "die":
        os._exit(9)
    while mood == "sleep":
        time.sleep(0.05)
    while mood == "stubborn":
        try:
            time.sleep(0.05)
        except BaseException:
            pass
    raise RuntimeError("the source is in a bad mood")


def register(catalog):
    catalog.add_source("moody", build)
"""
SETTINGS = {
    "data.source": "moody",
    "plugins": ["moody.py"],
    "tracking.enabled": False,
    "retraining.schedule": "off",
}


def moody_project(root: Path, mood: str = "fail") -> Path:
    """Make a project whose cycles ``fail``, ``die``, ``sleep``, or are ``stubborn`` and do not hear a signal."""
    project = create_project(root, settings=SETTINGS)
    (root / "moody.py").write_text(PLUGIN, encoding="utf-8")
    (root / "mood").write_text(mood, encoding="utf-8")
    return project.root


def open_moody(root: Path) -> House:
    """Open its house."""
    return open_house(root, environ={})


def eventually(holds: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait until `holds`, or fail: the bound is far beyond what is expected, and nothing is timed."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come about")
        time.sleep(0.05)


def all_requests(house: House) -> list[Request]:
    """Return every request, oldest first."""
    with house.state.read() as db:
        return list(requests.recent(db, limit=1000))[::-1]


def all_cycles(house: House) -> list[Cycle]:
    """Return every cycle, oldest first."""
    with house.state.read() as db:
        return list(cycles.recent(db, limit=1000))[::-1]
