from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from marketloop.cli import commands, main
from marketloop.cli.commands import Entry

MODULE = '''
"""A command that ends as its argument says."""

import errno, os, time
from marketloop.cli.call import Answer, Call
from marketloop.core.errors import FailedError, RefusedError, UsageError


def command(call: Call, how: str) -> Answer:
    """End."""
    errors = {
        "usage": UsageError("the name is wrong"),
        "refused": RefusedError("no skill"),
        "failed": FailedError("the source is away"),
        "full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "models/x"),
        "wrapped": RuntimeError("Delta: No space left on device (os error 28)"),
        "read-only": OSError(errno.EROFS, os.strerror(errno.EROFS), "state.db"),
        "network": ConnectionError("refused"),
        "bug": KeyError("secret password=hunter2"),
        "memory": MemoryError(),
        "interrupt": KeyboardInterrupt(),
    }
    if how == "sleep":
        print("ready", flush=True)
        time.sleep(60)
    if how in errors:
        raise errors[how]
    return Answer({"how": how}, lambda screen: screen.line(how), exit_code=1 if how == "answer-refused" else 0)
'''


@pytest.fixture
def ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Add a command ``end HOW`` and a project in the working directory."""
    (tmp_path / "ending_command.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("marketloop.cli.front.COMMANDS", {**commands.COMMANDS, "end": Entry("ending_command", "End.")})
    monkeypatch.delenv("MARKETLOOP_PROJECT", raising=False)
    assert main(["init", str(tmp_path / "mine")]) == 0
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("usage", 2, "the name is wrong"),
        ("refused", 1, "no skill"),
        ("failed", 3, "the source is away"),
        ("full", 3, 'the disk is full: "models/x" was not written'),
        ("wrapped", 3, "the disk is full"),
        ("read-only", 3, 'no permission for "state.db" (read-only file system)'),
        ("memory", 3, "out of memory"),
        ("interrupt", 130, "interrupted: what was finished is kept"),
    ],
)
def test_failure_is_one_sentence_and_its_exit_code(
    how: str, code: int, words: str, ending: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["end", how]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("marketloop: ")
    assert words in shown.err
    assert shown.err.count("\n") == 1
    assert list((ending / "logs").iterdir()) == []


@pytest.mark.parametrize("how", ["bug", "network"])
def test_unforeseen_failure_leaves_its_traceback_in_a_file_without_secrets(
    how: str, ending: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["end", how]) == 3
    shown = capsys.readouterr().err
    (log,) = (ending / "logs").iterdir()
    assert f'the details are in "{log}"' in shown
    assert "Traceback" not in shown
    text = log.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "hunter2" not in text


def test_unforeseen_failure_without_project_leaves_its_traceback_in_the_temporary_folder(
    ending: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["end", "bug"]) == 3
    assert len(list(tmp_path.glob("error_*.log"))) == 1


def test_answer_decides_the_exit_code_and_keeps_its_document(ending: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["end", "answer-refused", "--json"]) == 1
    assert capsys.readouterr().out == '{\n  "how": "answer-refused"\n}\n'


def test_interrupt_from_the_keyboard_is_one_sentence_and_130(ending: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from marketloop.cli import commands, front\n"
        "front.COMMANDS = {'end': commands.Entry('ending_command', 'End.')}\n"
        "sys.exit(front.main())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "end", "sleep"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGINT)
        _, shown = running.communicate(timeout=30)
    assert running.returncode == 130
    assert shown == (
        "marketloop: interrupted: what was finished is kept, nothing is half-written; run the command again\n"
    )
