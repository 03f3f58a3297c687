from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from marketloop.cli import main
from marketloop.cli.commands import COMMANDS

COMMAND = [sys.executable, "-c", "import sys; from marketloop.cli import main; sys.exit(main())"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    assert main(["init", str(tmp_path / "mine")]) == 0
    return tmp_path / "mine"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARKETLOOP_PROJECT", raising=False)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, entry in COMMANDS.items():
        assert f"  {name} " in shown
        assert entry.summary.split()[0] in shown


def test_front_shows_help_when_called_without_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Usage: marketloop" in capsys.readouterr().out


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from marketloop.cli import main; main(['--help']);"
        "heavy = ('numpy', 'polars', 'sklearn', 'pydantic', 'rich', 'joblib', 'sqlalchemy');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_and_the_common_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: marketloop {name}" in shown
    for option in ("--project", "--json", "--verbose"):
        assert option in shown


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("marketloop 0.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["confg"], 'unknown command "confg"'),
        (["confg"], 'Did you mean "config"?'),
        (["config", "--jsn"], 'no such option: --jsn. Did you mean "--json"? See: marketloop config --help'),
        (["--projct", "x", "config"], 'Did you mean "--project"?'),
        (["config", "a", "b"], "unexpected extra argument"),
        (["config", "--project"], "requires an argument"),
        (["config"], "make a project with"),
        (["--project", "gone", "config"], 'which holds no marketloop.toml: make a project there with "marketloop init'),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


@pytest.mark.parametrize("before", [True, False])
def test_common_options_are_taken_before_and_after_the_command(
    before: bool, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    options = ["--project", str(project), "--json"]
    command = ["config", "gate.alpha_skill"]
    assert main([*options, *command] if before else [*command, *options]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "settings": {"gate.alpha_skill": {"value": 0.025, "origin": "default"}}
    }


def test_the_option_after_the_command_wins(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", "gone", "config", "--project", str(project)]) == 0


def test_json_of_a_failure_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 2
    assert document["error"].startswith("no marketloop.toml in")


def test_full_standard_output_is_one_sentence(project: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "config", "--project", str(project)], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "the disk is full" in done.stderr


def test_python_runs_the_package_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "marketloop", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("marketloop ")


def test_reader_that_goes_away_is_no_failure(project: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run([*COMMAND, "config", "--project", str(project)], stdout=theirs, stderr=-1, check=False)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


def test_front_ends_quietly_when_the_reader_goes_away(project: Path) -> None:
    line = f"{sys.executable} -c 'from marketloop.cli import main; main()' config --project {project} | head -n 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stderr == ""
