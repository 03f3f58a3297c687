"""The JSON reference describes what the commands print, key by key."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Ask

from marketloop.cli.commands import COMMANDS

pytestmark = pytest.mark.xdist_group("commands")

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
EXAMPLES: dict[str, Any] = {
    name: json.loads(body) for name, body in re.findall(r"```json ([^\n]+)\n(.*?)```", TEXT, re.DOTALL)
}


def differences(example: Any, actual: Any, where: str = "") -> list[str]:
    """Return where `actual` differs in its keys from `example`."""
    if example == "..." or actual is None:
        return []
    if isinstance(example, dict):
        if not isinstance(actual, dict):
            return [f"{where}: {type(actual).__name__} instead of an object"]
        if any(key.startswith("<") for key in example):
            (inner,) = example.values()
            return [d for key, value in actual.items() for d in differences(inner, value, f"{where}.{key}")]
        found = [f"{where}: {key}" for key in sorted(set(example) ^ set(actual))]
        return found + [
            d for k in set(example) & set(actual) for d in differences(example[k], actual[k], f"{where}.{k}")
        ]
    if isinstance(example, list):
        if not isinstance(actual, list):
            return [f"{where}: {type(actual).__name__} instead of a list"]
        return [d for value in actual for d in differences(example[0] if example else None, value, f"{where}[]")]
    return [f"{where}: {type(actual).__name__} instead of a value"] if isinstance(actual, dict | list) else []


@pytest.fixture(scope="module")
def project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the shared project: commands that train leave versions behind."""
    return Path(shutil.copytree(project, tmp_path_factory.mktemp("reference") / "mine"))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("config", ("config",)),
        ("doctor", ("doctor",)),
        ("collect", ("collect",)),
        ("quality", ("quality",)),
        ("quality --quarantine", ("quality", "--quarantine")),
        ("features", ("features",)),
        ("features --list", ("features", "--list")),
        ("features --check", ("features", "--check", "--feature-set", "legacy")),
        ("train", ("train", "price_predictor", "--algorithm", "ridge", "--feature-set", "basic")),
        ("tune", ("tune", "price_predictor", "--algorithm", "ridge", "--feature-set", "basic", "--n-trials", "2")),
        ("validate", ("validate", "--version", "1")),
        ("importance", ("importance", "--version", "1")),
        ("retrain", ("retrain", "price_predictor", "--algorithm", "ridge", "--feature-set", "basic")),
        ("models", ("models",)),
        ("rollout", ("rollout",)),
        ("export --views", ("export", "--views")),
        ("champion", ("champion",)),
        ("predict", ("predict", "SYN001")),
        ("rank", ("rank", "--family", "price_predictor")),
        ("accuracy", ("accuracy",)),
        ("drift", ("drift", "--history", "--request")),
        ("status", ("status",)),
        ("keys", ("keys",)),
    ],
)
def test_reference_has_the_keys_that_are_printed(
    name: str, arguments: tuple[str, ...], project: Path, ask: Ask
) -> None:
    assert differences(EXAMPLES[name], ask("--project", project, *arguments)) == []


def test_reference_has_the_keys_of_a_new_project_and_of_an_error(ask: Ask) -> None:
    assert differences(EXAMPLES["init"], ask("init", "new")) == []
    assert differences(EXAMPLES["error"], ask("predict", "--project", "gone", code=2)) == []


def test_reference_describes_every_command() -> None:
    assert {name.split()[0] for name in EXAMPLES} - {"error"} == set(COMMANDS) - {"serve"}  # it prints no document


@pytest.mark.parametrize(
    ("example", "actual"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"c": 1}]}),
        ({"a": {"<x>": 1}}, {"a": {"y": {"z": 1}}}),
        ({"a": 1}, {"a": [1]}),
    ],
)
def test_differences_are_found(example: Any, actual: Any) -> None:
    assert differences(example, actual)
