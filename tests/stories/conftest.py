"""Ways to ask a command in a story: in this process, and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marketloop.cli import main

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Return a function that runs a command with ``--json``, checks its exit code and returns the document."""

    def ask_json(*arguments: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        given = main([*map(str, arguments), "--json"])
        said = capsys.readouterr()
        assert given == code, said.err
        document: dict[str, Any] = json.loads(said.out)
        return document

    return ask_json


def start(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    code = "import sys; from marketloop.cli import main; sys.exit(main())"
    given = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MARKETLOOP_")}
    return subprocess.Popen(given, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARKETLOOP_PROJECT", raising=False)
