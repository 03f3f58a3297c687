"""The pulse: the same while nothing was committed, another one with each commit, and none of a file that is gone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from marketloop.core.errors import FailedError
from marketloop.state import Slot, State, heartbeats, scoreboards, this_process
from marketloop.state.scoreboards import Prediction


def beat(state: State, at: dt.datetime) -> None:
    with state.write() as db:
        heartbeats.beat(db, "loop", process=this_process(), at=at, document={})


def test_pulse_is_the_same_while_nothing_is_committed(state: State, noon: dt.datetime) -> None:
    beat(state, noon)
    first = state.pulse()
    with state.read() as db:
        heartbeats.last(db, "loop")
    with pytest.raises(RuntimeError), state.write() as db:  # noqa: PT012
        db.exec_driver_sql("SELECT 1")
        raise RuntimeError
    assert len(first) == 2
    assert state.pulse()[1] == first[1]


def test_pulse_changes_with_each_commit_of_this_process_or_another(
    state: State, url: str, slot: Slot, noon: dt.datetime
) -> None:
    felt = [state.pulse()]
    beat(state, noon)
    felt.append(state.pulse())
    with State.open(url) as other:
        beat(other, noon + dt.timedelta(seconds=1))
        felt.append(state.pulse())
        with other.write_scores() as db:
            scoreboards.write(db, slot, 1, [Prediction("AAPL", noon.date(), "BUY", 0.1)], at=noon)
        felt.append(state.pulse())
    assert len(set(felt)) == 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def test_pulse_of_a_file_that_is_gone_is_none_and_nobody_begins_a_new_one(file: Path, noon: dt.datetime) -> None:
    with State.open(f"sqlite:///{file}") as state:
        beat(state, noon)
        state.pulse()
        state.ledger.engine.dispose()
        away = file.rename(file.with_name("away.db"))
        with pytest.raises(FailedError, match=r"state\.db is gone"):
            state.pulse()
        with pytest.raises(FailedError, match="is gone"), state.read():
            pass
        assert not file.exists()
        away.rename(file)
        state.pulse()
        with state.read() as db:
            assert heartbeats.last(db, "loop") is not None


def test_pulse_sees_that_another_file_lies_there(file: Path, noon: dt.datetime) -> None:
    other = file.with_name("other") / "state.db"
    other.parent.mkdir()
    with State.open(f"sqlite:///{other}") as made:
        beat(made, noon + dt.timedelta(days=1))
    with State.open(f"sqlite:///{file}") as state:
        beat(state, noon)
        first = state.pulse()
        other.replace(file)
        for name in ("state.db-wal", "state.db-shm"):
            file.with_name(name).unlink(missing_ok=True)
        assert state.pulse() != first
        with state.read() as db:
            last = heartbeats.last(db, "loop")
        assert last is not None
        assert last.at == noon + dt.timedelta(days=1)
