from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketloop.core.errors import FailedError, UsageError
from marketloop.runtime.faults import POINTS, STEPS, VARIABLE, arm, is_armed, point, step
from marketloop.runtime.files import write_atomic


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm("")


def test_nothing_happens_at_a_point_unless_asked_for() -> None:
    assert not is_armed()
    for name in POINTS:
        point(name)


def test_every_step_has_a_point_before_and_one_after() -> None:
    for name in STEPS:
        assert {f"{name}.before", f"{name}.after"} <= set(POINTS)


@pytest.mark.parametrize("name", ["nowhere", "file.write", "file.write.afterwards"])
def test_unknown_point_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match=f'unknown fault point "{name}"'):
        point(name)
    with pytest.raises(UsageError, match=f'unknown fault point "{name}"'):
        arm(name)


@pytest.mark.parametrize("count", ["0", "x", "-1"])
def test_wrong_count_is_an_error(count: str) -> None:
    with pytest.raises(UsageError, match="expected a count from 1"):
        arm(f"file.write.after:{count}")


def test_error_is_raised_at_the_passage_that_was_asked_for_and_leaves_the_old_file(tmp_path: Path) -> None:
    arm("error:file.fsync.before:2")
    write_atomic(tmp_path / "a", b"first")
    with pytest.raises(FailedError, match="the disk is full"):
        write_atomic(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_record_names_the_points_in_order(tmp_path: Path) -> None:
    record = tmp_path / "points"
    arm(f"record:{record}")
    with step("file.delete"):
        point("table.commit.before")
    assert record.read_text(encoding="utf-8").splitlines() == [
        "file.delete.before@outside",
        "table.commit.before@outside",
        "file.delete.after@outside",
    ]


def test_step_that_fails_has_no_point_after_it(tmp_path: Path) -> None:
    record = tmp_path / "points"
    arm(f"record:{record}")
    with pytest.raises(OSError, match="no"), step("file.rename"):
        raise OSError(errno.EIO, "no")
    assert record.read_text(encoding="utf-8").splitlines() == ["file.rename.before@outside"]


def test_process_armed_by_its_environment_dies_half_way_and_the_next_writer_sweeps(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    code = "import sys; from pathlib import Path; from marketloop.runtime.files import write_atomic\n"
    code += "write_atomic(Path(sys.argv[1]), b'new and longer')"
    killed = subprocess.run([sys.executable, "-c", code, str(path)], env={VARIABLE: "file.write.half"}, check=False)
    assert killed.returncode == -9
    assert path.read_bytes() == b"old"
    (left,) = (other for other in tmp_path.iterdir() if other != path)
    assert left.read_bytes() == b"new and"
    write_atomic(tmp_path / "b", b"other")
    assert sorted(other.name for other in tmp_path.iterdir()) == ["a", "b"]


def test_file_that_a_living_writer_holds_is_not_swept(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from marketloop.runtime.files import write_atomic\n"
    code += "write_atomic(Path(sys.argv[1]), b'whole')"
    place = [sys.executable, "-c", code, str(tmp_path / "a")]
    with subprocess.Popen(place, env={VARIABLE: "stop:file.write.half"}) as writer:
        while not is_stopped(writer.pid):
            pass
        write_atomic(tmp_path / "b", b"other")
        writer.send_signal(signal.SIGCONT)
        assert writer.wait() == 0
    assert (tmp_path / "a").read_bytes() == b"whole"


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped, as the kernel tells it."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"
