"""Reads the commands of the guide from its pages, and runs them as a reader would, page by page.

A command is a line of a shell block (fenced ``sh`` or ``bash``, or indented) that begins with ``marketloop`` or
``curl``; ``cd`` goes along. Comments at its end are for readers and for this module:

- ``# exit code 1: WHY``: the command ends with another code than 0, and why
- ``# not run: WHY``: it is not run here; on a line of its own at the head of a block it speaks for the whole block
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from marketloop.cli import main
from marketloop.cli.commands import COMMANDS

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PROGRAMS: Final = frozenset(
    {
        *("marketloop", "curl", "cd", "make", "source", "pip", "sqlite3", "mlflow", "docker", "systemctl", "sudo"),
        *("psql", "pg_dump", "tail", "python", "git", "uvicorn", "promtool"),
    }
)
"""First words by which an indented block is told to be one of commands."""
LASTING: Final = frozenset({"serve", "up", "loop"})
"""Commands that go on until they are stopped; ``loop --once`` and ``loop --health`` end by themselves."""
SMALLER: Final = {"tickers=100": "tickers=12", "sessions=1250": "sessions=620"}
"""What the guide simulates, and what is simulated here: nothing is to be found, only the road is the same."""
PATIENCE_S: Final = 90

_FENCE = re.compile(r"```(\S*)[^\n]*\n(.*?)```", re.DOTALL)
_INDENTED = re.compile(r"(?:\A|\n)(?:[ \t]*\n)((?: {4}[^\n]*(?:\n|\Z)|[ \t]*\n(?= {4}))+)")
_COMMENT = re.compile(r"\s+#\s*(.*)$")
_AWAY = re.compile(r"not run: (.{8,})")
_CODE = re.compile(r"exit code (\d+): (.{4,})")


@dataclass(frozen=True, slots=True)
class Line:
    """A command of the guide.

    Parameters
    ----------
    page : str
    text : str
        Without its comment.
    code : int
        With which it ends.
    away : str
        Why it is not run here; empty where it is.
    """

    page: str
    text: str
    code: int = 0
    away: str = ""

    @property
    def words(self) -> list[str]:
        """The words of the command, as a shell splits them."""
        return shlex.split(self.text)

    @property
    def name(self) -> str:
        """The command after ``marketloop``; empty for other programs."""
        words = iter(self.words[1:]) if self.words[0] == "marketloop" else iter(())
        for word in words:
            if word == "--project":
                next(words, "")
            elif not word.startswith("-"):
                return word
        return ""


def lines_of(page: str, markdown: str) -> list[Line]:
    """Return the commands of a page in order."""
    found: list[Line] = []
    for block in _blocks(markdown):
        away = ""
        for text, comment in _joined(block):
            told = _AWAY.search(comment)
            if not text:
                away = told[1] if told else away
                continue
            code = _CODE.search(comment)
            found.append(Line(page, text, int(code[1]) if code else 0, told[1] if told else away))
    return found


def _blocks(markdown: str) -> Iterator[str]:
    """Yield the shell blocks of a page, in order."""
    found = [(m.start(), m[2]) for m in _FENCE.finditer(markdown) if m[1] in {"sh", "bash", "console"}]
    rest = _FENCE.sub(lambda m: re.sub(r"[^\n]", "x", m[0]), markdown)
    for match in _INDENTED.finditer(rest):
        for n, part in enumerate(re.split(r"\n[ \t]*\n", match[1])):
            text = "\n".join(line[4:] for line in part.splitlines())
            words = [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith((" ", "#"))]
            if words and words[0] in PROGRAMS:
                found.append((match.start() + n, text))
    yield from (text for _, text in sorted(found))


def _joined(block: str) -> Iterator[tuple[str, str]]:
    """Yield each line of a block with its comment, continued lines joined; a line of comment has no text."""
    for line in re.sub(r"\\\n\s*", "", block).splitlines():
        if line.startswith("#"):
            yield "", line
        elif line.strip():
            comment = _COMMENT.search(_without_quotes(line))
            end = len(line) if comment is None else comment.start()
            yield line[:end].strip(), "" if comment is None else line[end:]


def _without_quotes(line: str) -> str:
    """Return the line with every quoted character replaced, so that a # in quotes begins no comment."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", lambda m: "x" * len(m[0]), line)


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with closing(socket.socket()) as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


@dataclass(slots=True)
class Reader:
    """Somebody who types what a page says, in a folder of their own.

    Parameters
    ----------
    folder : Path
        Where the reader stands.
    environ : dict
        Of the processes that go on.
    port : int
        On which a server listens unless the page says otherwise.
    """

    folder: Path
    environ: dict[str, str]
    port: int
    server: subprocess.Popen[bytes] | None = None
    key: str = ""
    job: str = ""
    ran: list[str] = field(default_factory=list)

    def do(self, line: Line, capsys: Any, monkeypatch: Any) -> None:
        """Do what a line says, and check how it ends."""
        program, *words = line.words
        if program == "cd":
            self.folder = (self.folder / words[0]).resolve()
            monkeypatch.chdir(self.folder)
        elif program == "curl":
            self._ask(words, line)
        elif line.name in LASTING and not {"--once", "--health"} & set(words):
            self._start(line.name, words)
        else:
            if "--once" in words:  # instead of what goes on
                self.stop()
            self._run(line, [SMALLER.get(word, word) for word in words], capsys)
        if line.name:
            self.ran.append(line.name)

    def _run(self, line: Line, words: list[str], capsys: Any) -> None:
        capsys.readouterr()
        code = main(words)
        said = capsys.readouterr()
        assert code == line.code, f"{line.page}: {line.text}: exit code {code}\n{said.out[-600:]}{said.err[-600:]}"
        if line.name == "keys" and "create" in words:
            main(["keys", "create", "guide", "--role", "admin", "--json"])
            self.key = json.loads(capsys.readouterr().out)["key"]

    def _start(self, name: str, words: list[str]) -> None:
        """Start what goes on, and wait until it works; what went on before is stopped."""
        self.stop()
        if "--port" in words:
            self.port = free_port()
            words[words.index("--port") + 1] = str(self.port)
        code = "import sys; from marketloop.cli import main; sys.exit(main())"
        environ = {**self.environ, "MARKETLOOP_SERVE__PORT": str(self.port)}
        self.server = subprocess.Popen(
            [sys.executable, "-c", code, *words], cwd=self.folder, env=environ, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + PATIENCE_S
        while not self._works(name):
            assert self.server.poll() is None, f"marketloop {name} ended with code {self.server.returncode}"
            assert time.monotonic() < until, f"marketloop {name} does not work after {PATIENCE_S} s"
            time.sleep(0.2)

    def _works(self, name: str) -> bool:
        if name in {"loop", "up"} and main(["loop", "--health", "--json"]) != 0:
            return False
        if name == "loop":
            return True
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/live", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        """Stop what goes on, as Ctrl-C or systemd would."""
        if self.server is None:
            return
        self.server.send_signal(signal.SIGTERM)
        code = self.server.wait(timeout=30)
        self.server = None
        assert code in {0, -signal.SIGTERM, 130}, f"stopped with code {code}"

    def _ask(self, words: list[str], line: Line) -> None:
        """Ask the server as curl would; a flag that is not known here is an error."""
        method, url, body, headers = "GET", "", None, {}
        rest = iter(words)
        for word in rest:
            if word == "-X":
                method = next(rest)
            elif word == "-H":
                name, _, value = next(rest).partition(":")
                headers[name] = value.strip()
            elif word == "-d":
                body, method = next(rest).encode(), "POST"
            elif word not in {"-N", "-s", "-f", "-i"}:
                assert not word.startswith("-"), f"{line.page}: curl {word} is not known here"
                url = word
        if self.key:
            headers["X-API-Key"] = self.key
        url = re.sub(r"^http://127\.0\.0\.1:\d+", f"http://127.0.0.1:{self.port}", url)
        url = re.sub(r"/jobs/retrain_\w+", f"/jobs/{self.job}", url)
        assert url.startswith(f"http://127.0.0.1:{self.port}/"), f"{line.page}: {url} is not on this machine"
        assert self.server is not None, f"{line.page}: nobody serves {url}"
        request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 -- see above
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                said = answer.readline() if "-N" in words else answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{line.page}: {line.text}: {error.code} {error.read()[:400]!r}") from error
        if "/trigger" in url:
            self.job = json.loads(said)["job_id"]


def all_lines() -> list[Line]:
    """Return the commands of every page."""
    return [line for path in PAGES for line in lines_of(path.name, path.read_text(encoding="utf-8"))]


def make_targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def uses(text: str) -> set[tuple[str, ...]]:
    """Return each ``marketloop NAME ... --flag`` of any code of a page, as a name and the flags after it."""
    found = set()
    for use in re.findall(r"(?<![\w/.-])marketloop ([^`\n]+)", text):
        bare = _COMMENT.sub("", f" {_without_quotes(use)}").split()
        name = next((word for word in bare if word in COMMANDS), "")
        if name:
            found.add((name, *sorted({word.partition("=")[0] for word in bare if word.startswith("--")})))
    return found
