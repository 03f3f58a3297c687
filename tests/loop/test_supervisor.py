"""A program that refuses to run is tried again in silence; one that dies is restarted and told of."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from marketloop.loop import supervisor
from marketloop.loop.supervisor import Supervisor
from marketloop.runtime.project import create_project

Happening = tuple[str, Mapping[str, Any]]


def watched(monkeypatch: pytest.MonkeyPatch, arguments: list[str], deaths: int) -> list[Happening]:
    """Return what is said until a program has died so often."""
    monkeypatch.setattr(supervisor, "SHORTEST_S", 0.0)
    monkeypatch.setattr(supervisor, "LONGEST_S", 0.0)
    said: list[Happening] = []
    running = Supervisor({"it": arguments}, say=lambda what, about: said.append((what, about)))

    def over() -> bool:
        programs = running._running  # what it does in silence is to be seen
        return any(program.deaths >= deaths for program in programs)

    running.run(over)
    return [(what, about) for what, about in said if what != "stopped"]


def test_program_that_refuses_is_told_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_project(tmp_path / "p")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = watched(monkeypatch, ["--project", str(tmp_path / "p"), "serve", "--port", port], deaths=3)
    assert [what for what, _ in said] == ["started", "died", "alarm"]
    assert said[2][1]["refused"]
    assert f"cannot listen on 127.0.0.1:{port}" in said[2][1]["words"]
    assert "`[serve] port`" in said[2][1]["words"]


def test_program_that_keeps_dying_is_told_of_each_time_and_alarming_at_the_fifth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_project(tmp_path / "p")
    said = watched(monkeypatch, ["--project", str(tmp_path / "p"), "loop", "--health"], deaths=5)
    assert [what for what, _ in said] == ["started", "died"] * 5 + ["alarm"]
    assert said[-1][1]["in_a_row"] == 5
    assert not said[-1][1]["refused"]
