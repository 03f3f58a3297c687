"""The documents name every command, and only commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from marketloop.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("reference/*.md"))]
# The word after "marketloop" on a command line; `from marketloop import ...` is Python.
_USE = re.compile(
    r"(?:^|[`$ ])(?:\.venv/bin/)?(?<!from )(?<!import )marketloop(?: --project \S+| --json)* ([a-z]+)\b", re.MULTILINE
)


def text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS if path.exists())


def code(markdown: str) -> str:
    """Return the code of a document: fenced blocks and inline."""
    fenced = re.findall(r"```[^\n]*\n(.*?)```", markdown, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", markdown, flags=re.DOTALL))
    return "\n".join([*fenced, *inline])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_documents_name_every_command(name: str) -> None:
    assert name in set(_USE.findall(code(text())))


def test_documents_name_only_commands_that_exist() -> None:
    assert set(_USE.findall(code(text()))) <= set(COMMANDS)


def test_relative_links_of_documents_lead_somewhere() -> None:
    for path in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
