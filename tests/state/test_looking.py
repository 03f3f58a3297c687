"""Looking at a state changes nothing, creates nothing, and says what is wrong."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from pathlib import Path

import pytest

from marketloop.core.errors import FailedError
from marketloop.state import State, outbox
from marketloop.state.looking import KNOWN, condition_of, look


def test_look_reads_what_is_there(url: str, noon: dt.datetime) -> None:
    with State.open(url) as state, state.write() as db:
        outbox.append(db, "mlflow", key="a", payload={}, at=noon)
    with look(url) as state:
        conditions = [condition_of(state.ledger), condition_of(state.scores)]
        with state.read() as db:
            assert outbox.waiting(db, ["mlflow"]) == 1
    assert {(found.version, found.damage, found.busy) for found in conditions} == {(KNOWN, "", "")}


def test_look_makes_no_tables(empty_postgres: str) -> None:
    with look(empty_postgres) as state:
        assert condition_of(state.ledger).version == 0
    with look(empty_postgres) as state:
        assert condition_of(state.ledger).version == 0


def test_look_makes_no_file(tmp_path: Path) -> None:
    with look(f"sqlite:///{tmp_path}/state.db") as state, pytest.raises(FailedError, match="cannot be opened"):
        condition_of(state.ledger)
    assert list(tmp_path.iterdir()) == []


def test_look_refuses_to_write_and_leaves_the_bytes_alone(tmp_path: Path, noon: dt.datetime) -> None:
    url, file = f"sqlite:///{tmp_path}/state.db", tmp_path / "state.db"
    State.open(url).close()
    before = file.read_bytes()
    with look(url) as state, pytest.raises(FailedError, match="cannot be written"), state.write() as db:
        outbox.append(db, "mlflow", key="a", payload={}, at=noon)
    assert file.read_bytes() == before


def test_look_says_that_somebody_is_writing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with ExitStack() as stack:
        writer = stack.enter_context(State.open(url))
        stack.enter_context(writer.write())
        seen = stack.enter_context(look(url, patience_s=0.1))
        assert "is held by another process" in condition_of(seen.ledger).busy


def test_queues_say_what_waits_since_when_and_why(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        for number, topic in enumerate(("views", "mlflow", "mlflow")):
            at = noon + dt.timedelta(hours=number)
            outbox.append(db, topic, key=str(number), payload={}, at=at)
        outbox.sent(db, outbox.pending(db, "views")[0], at=noon)
        outbox.troubled(db, outbox.pending(db, "mlflow")[0], "connection refused")
        (queue,) = outbox.queues(db)
    assert (queue.topic, queue.waiting, queue.trouble) == ("mlflow", 2, "connection refused")
    assert queue.since == noon + dt.timedelta(hours=1)
