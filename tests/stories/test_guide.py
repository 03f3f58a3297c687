"""The guide is true: its commands run as they stand, every command is on some page, and every page is in the index."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stories.guide import PAGES, PROGRAMS, ROOT, Line, Reader, all_lines, free_port, lines_of, make_targets, uses
from tests.stories.stage import ENVIRON, make_project, write_bars

from marketloop.cli import main
from marketloop.cli.commands import COMMANDS

LINES = all_lines()
RUN = [line for line in LINES if not line.away]
BY_PAGE = {page: [line for line in LINES if line.page == page] for page in dict.fromkeys(line.page for line in LINES)}
BEGINNING = frozenset({"README.md", "quickstart.md"})
"""Pages that begin without a project."""
LEAST_COMMANDS, MOST_AWAY = 80, 20
EXAMINATIONS = ROOT / "src" / "marketloop" / "cli" / "examinations"


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Let every cycle of the guide be a small one, here and in the processes that are started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MARKETLOOP_PROJECT", raising=False)
        for name, value in ENVIRON.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, _small: None) -> Path:
    folder = tmp_path_factory.mktemp("stage")
    make_project(folder)
    return folder


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bars")
    write_bars(folder)
    return folder


@pytest.mark.parametrize("page", [page for page, lines in BY_PAGE.items() if any(not line.away for line in lines)])
def test_commands_of_the_page_run_as_they_stand(
    page: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(request.getfixturevalue("bars" if page in BEGINNING else "stage"), folder)
    start = folder if page in BEGINNING else folder / "mine"
    monkeypatch.chdir(start)
    reader = Reader(start, dict(os.environ), free_port())
    monkeypatch.setenv("MARKETLOOP_SERVE__PORT", str(reader.port))
    try:
        for line in BY_PAGE[page]:
            if line.away or line.words[0] in {"make", "source"}:
                continue
            reader.do(line, capsys, monkeypatch)
    finally:
        reader.stop()


def test_guide_has_commands_and_few_that_are_not_run() -> None:
    away = [line for line in LINES if line.away]
    assert len(RUN) >= LEAST_COMMANDS
    assert len(away) <= MOST_AWAY, [line.text for line in away]
    assert {line.words[0] for line in RUN} <= {"marketloop", "curl", "cd", "make", "source"}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_run_on_some_page(name: str) -> None:
    assert name in {line.name for line in RUN}, f"write `marketloop {name}` into a shell block of a page of docs/"


def test_targets_of_make_that_the_guide_names_exist() -> None:
    named = {line.words[1] for line in LINES if line.words[0] == "make"}
    assert named
    assert named <= make_targets()


def test_options_that_any_page_names_exist(capsys: pytest.CaptureFixture[str]) -> None:
    wrong: list[str] = []
    pages = {use: path.name for path in PAGES for use in uses(path.read_text(encoding="utf-8"))}
    known: dict[str, str] = {}
    for (name, *options), page in sorted(pages.items()):
        if name not in known:
            capsys.readouterr()
            assert main([name, "--help"]) == 0
            known[name] = capsys.readouterr().out
        wrong += [f"{page}: {name} {option}" for option in options if option not in known[name]]
    assert wrong == []


def test_index_leads_to_every_page_once_in_reading_order() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\d+\. .*?\]\(([\w/]+\.md)\)", index, re.MULTILINE)
    assert len(named) == len(set(named))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= set(
        re.findall(r"\]\(([\w]+\.md)\)", index)
    )


def test_troubleshooting_has_a_section_for_each_trouble_with_the_words_of_the_doctor() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    found = re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    sections = {title.lower(): body for title, body in found}
    troubles = (
        *("model not found", "poor performance", "feature mismatch", "training slow", "accuracy near chance"),
        *("overfitting", "prediction errors", "scheduler not starting", "retraining not triggered"),
        *("retraining too frequent", "retraining failing", "degradation after a promotion"),
    )
    said = "\n".join(path.read_text(encoding="utf-8") for path in EXAMINATIONS.glob("*.py"))
    for trouble in troubles:
        body = sections[trouble]
        assert "*Symptom.*" in body
        assert "```sh\nmarketloop " in body or "\nmarketloop " in body
        (lines,) = re.findall(r"^Doctor says: (.*?)(?=\n\n|\Z)", body, re.MULTILINE | re.DOTALL)
        for quoted in re.findall(r"`([^`]+)`", lines):
            name, _, words = quoted.replace("\n", " ").partition(": ")
            assert f'"{name.split()[0]}' in said or f'f"{name.split()[0]} ' in said, quoted
            for part in re.split(r"\.\.\.|\d+|, from rows", words):
                assert part.strip() in re.sub(r"\s+", " ", said), quoted


def test_commands_are_read_from_blocks_with_their_marks() -> None:
    page = """
```sh
marketloop collect          # what is missing
marketloop train x \\
    --tune                  # not run: takes minutes
marketloop retrain x        # exit code 1: refused, too young
```
Text.

    marketloop events publish A --data '{"a": "# no"}'

    not a command

```sh
# not run: needs Docker here
docker compose up
```
"""
    assert lines_of("p.md", page) == [
        Line("p.md", "marketloop collect"),
        Line("p.md", "marketloop train x --tune", away="takes minutes"),
        Line("p.md", "marketloop retrain x", code=1),
        Line("p.md", 'marketloop events publish A --data \'{"a": "# no"}\''),
        Line("p.md", "docker compose up", away="needs Docker here"),
    ]
    assert lines_of("p.md", page)[0].name == "collect"
    assert "docker" in PROGRAMS


def test_reader_stumbles_over_a_command_that_ends_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(tmp_path, dict(os.environ), free_port())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="exit code 2"):
        reader.do(Line("p.md", "marketloop predict AAPL"), capsys, monkeypatch)
    with pytest.raises(AssertionError, match="is not known here"):
        reader.do(Line("p.md", "curl --insecure http://127.0.0.1:8000/"), capsys, monkeypatch)
