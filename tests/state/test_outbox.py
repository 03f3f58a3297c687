from __future__ import annotations

import datetime as dt

import pytest

from marketloop.state import State, outbox
from marketloop.state.outbox import Message


def fill(state: State, at: dt.datetime, *keys: str, topic: str = "mlflow") -> None:
    with state.write() as db:
        for key in keys:
            outbox.append(db, topic, key=key, payload={"key": key}, at=at)


def test_outbox_delivers_in_order_and_once(state: State, noon: dt.datetime) -> None:
    fill(state, noon, "a", "b", "a", "c")
    heard: list[str] = []
    drained = outbox.drain(state, {"mlflow": lambda message: heard.append(message.payload["key"])}, at=noon)
    again = outbox.drain(state, {"mlflow": lambda message: heard.append(message.payload["key"])}, at=noon)
    assert heard == ["a", "b", "c"]
    assert (drained.sent, drained.failed, again.sent) == (3, 0, 0)


def test_outbox_forgets_a_message_when_the_transaction_fails(state: State, noon: dt.datetime) -> None:
    with pytest.raises(RuntimeError), state.write() as db:  # noqa: PT012
        outbox.append(db, "mlflow", key="a", payload={}, at=noon)
        raise RuntimeError
    with state.read() as db:
        assert outbox.waiting(db, ["mlflow"]) == 0


def test_outbox_keeps_the_rest_of_a_topic_when_one_fails_and_other_topics_go_on(
    state: State, noon: dt.datetime
) -> None:
    fill(state, noon, "a", "b", "c")
    fill(state, noon, "d", topic="views")
    heard: list[str] = []

    def away(message: Message) -> None:
        if message.key == "b":
            raise ConnectionError("the server is away")
        heard.append(message.key)

    drained = outbox.drain(state, {"mlflow": away, "views": lambda m: heard.append(m.key)}, at=noon)
    assert heard == ["a", "d"]
    assert (drained.sent, drained.failed) == (2, 1)
    assert drained.reason == "mlflow: ConnectionError: the server is away"
    with state.read() as db:
        assert [(m.key, m.attempts) for m in outbox.pending(db, "mlflow")] == [("b", 1), ("c", 0)]


def test_outbox_keeps_no_password_of_a_server_that_failed(state: State, noon: dt.datetime) -> None:
    fill(state, noon, "a")

    def away(_: Message) -> None:
        raise ConnectionError("no answer of https://anna:hunter2@mlflow.example/api?token=SECRET123")

    drained = outbox.drain(state, {"mlflow": away}, at=noon)
    assert drained.reason == "mlflow: ConnectionError: no answer of https://***@mlflow.example/api?token=***"


def test_only_messages_whose_next_attempt_is_due_are_given_when_asked_for_these(
    state: State, noon: dt.datetime
) -> None:
    fill(state, noon, "a", "b")
    hour = dt.timedelta(hours=1)
    with state.write() as db:
        assert outbox.claim(db, outbox.pending(db, "mlflow")[0])
        delays = (dt.timedelta(0), hour)
        assert [m.key for m in outbox.pending(db, "mlflow", limit=1, at=noon, delays=delays)] == ["b"]
        assert [m.key for m in outbox.pending(db, "mlflow", at=noon + hour, delays=delays)] == ["a", "b"]
