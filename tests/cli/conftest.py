"""A small simulated project that the tests of the commands share, and a way to ask a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marketloop.cli import main
from marketloop.runtime.template import record_settings

MARKET = ("tickers=12", "sessions=620", "seed=3")
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


def small_project(root: Path, *market: str) -> Path:
    """Make a project of a simulated market, without the MLflow mirror; nothing is collected."""
    assert main(["init", str(root), "--source", "synthetic"]) == 0
    options = dict(pair.split("=") for pair in market or MARKET)
    record_settings(root / "marketloop.toml", {"tracking.enabled": False, "data.options": options})
    return root


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project with bars and one provisional champion; tests read it and promote nothing in it."""
    root = small_project(tmp_path_factory.mktemp("shared") / "mine")
    assert main(["--project", str(root), "collect"]) == 0
    fast = ("--algorithm", "ridge", "--feature-set", "basic")
    assert main(["--project", str(root), "retrain", "price_predictor", *fast]) == 0
    return root


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARKETLOOP_PROJECT", raising=False)
