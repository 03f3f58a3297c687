"""A journal that processes share and die in."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from marketloop.core.errors import FailedError, RefusedError
from marketloop.runtime.journal import FileJournal, alone

HEADER = {"study": "a", "format": 1}


def test_journal_reads_back_what_was_appended(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "deep" / "a.journal", HEADER).open()
    assert journal.read() == []
    journal.append([{"n": 0}, {"n": 1}])
    journal.append([{"n": 2, "text": "line\nend"}])
    assert journal.read() == [{"n": 0}, {"n": 1}, {"n": 2, "text": "line\nend"}]
    assert journal.read(2) == [{"n": 2, "text": "line\nend"}]
    assert journal.read(3) == []


def test_journal_sees_what_others_append(tmp_path: Path) -> None:
    mine = FileJournal(tmp_path / "a.journal", HEADER).open()
    other = pickle.loads(pickle.dumps(mine))  # noqa: S301 -- as it travels to a worker
    mine.append([{"n": 0}])
    assert other.read() == [{"n": 0}]
    other.append([{"n": 1}])
    assert mine.read(1) == [{"n": 1}]
    assert mine.read(0) == [{"n": 0}, {"n": 1}]


def test_half_a_record_is_not_read_and_is_cut_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = FileJournal(path, HEADER).open()
    journal.append([{"n": 0}])
    with path.open("ab") as file:
        file.write(b'{"n": 1, "half')
    assert journal.read() == [{"n": 0}]
    journal.append([{"n": 2}])
    assert journal.read() == [{"n": 0}, {"n": 2}]
    assert FileJournal(path, HEADER).open().read() == [{"n": 0}, {"n": 2}]


def test_long_half_record_is_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = FileJournal(path, HEADER).open()
    with path.open("ab") as file:
        file.write(b"x" * 200_000)
    journal.append([{"n": 0}])
    assert journal.read() == [{"n": 0}]


@pytest.mark.parametrize("content", [b"", b"date,open\n", b'{"study":"b","format":1}\n', b"\x00\xff\n", b"[1]\n"])
def test_journal_about_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(content)
    with pytest.raises(FailedError, match=r"a\.journal\" is not the journal that belongs here.*move it away"):
        FileJournal(path, HEADER).open()
    assert path.read_bytes() == content


def test_journal_damaged_in_the_middle_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = FileJournal(path, HEADER).open()
    journal.append([{"n": 0}, {"n": 1}])
    path.write_bytes(path.read_bytes().replace(b'{"n":0}', b'{"n":0!'))
    with pytest.raises(FailedError, match="damaged in line 2: move it away"):
        journal.read()


def test_journal_keeps_every_record_when_processes_append_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = FileJournal(path, HEADER).open()
    script = (
        "import sys; from pathlib import Path; from marketloop.runtime.journal import FileJournal\n"
        f"journal = FileJournal(Path({str(path)!r}), {HEADER!r}).open()\n"
        "for n in range(200): journal.append([{'who': sys.argv[1], 'n': n}, {'who': sys.argv[1], 'n': n}])\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", script, str(who)]) for who in range(2)]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    records = journal.read()
    assert len(records) == 800
    for who in "01":
        assert [r["n"] for r in records if r["who"] == who] == [n for n in range(200) for _ in range(2)]


def test_lock_is_refused_while_another_process_holds_it_and_free_when_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    script = (
        "import sys, time; from pathlib import Path; from marketloop.runtime.journal import alone\n"
        f"with alone(Path({str(path)!r}), 'x'):\n    print('held', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "held\n"
    with (
        pytest.raises(RefusedError, match="price_predictor is tuned in another process"),
        alone(path, "price_predictor is tuned"),
    ):
        pass
    child.kill()
    child.wait()
    child.stdout.close()
    with alone(path, "x"):
        assert os.path.exists(path)  # noqa: PTH110
