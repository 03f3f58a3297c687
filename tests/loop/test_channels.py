"""Channels against real servers: told, refused, broken, silent; and no address is ever shown."""

from __future__ import annotations

import threading

import pytest
from tests.loop.receivers import free_port, http_receiver, mail_receiver, silent_receiver

from marketloop.core.errors import FailedError
from marketloop.loop.channels import Channel, open_channels


def channel(url: str, patience: float = 5.0) -> Channel:
    return open_channels([url], ["it-1"], {}, patience=patience)["it-1"]


def test_mail_arrives_at_a_real_server() -> None:
    with mail_receiver() as box:
        url = f"mailto://127.0.0.1:{box.port}/?from=loop@example.org&to=desk@example.org&mode=insecure"
        channel(url).deliver("error", "price_predictor: failed", "  error: it broke\n  samples: 12")
    (mail,) = box.mails
    text = mail.original_content.decode() if mail.original_content else ""
    assert mail.rcpt_tos == ["desk@example.org"]
    assert "price_predictor: failed" in text.replace("=\n", "")
    assert "it broke" in text


def test_document_arrives_at_a_real_http_receiver() -> None:
    with http_receiver() as desk:
        channel(f"json://127.0.0.1:{desk.port}/hook").deliver("success", "promoted", "  version: 7")
    (body,) = desk.bodies
    assert (body["title"], body["type"]) == ("promoted", "success")
    assert "version: 7" in body["message"]


def test_receiver_that_answers_500_is_a_failure_with_its_word() -> None:
    with http_receiver(status=500) as desk, pytest.raises(FailedError, match=r"it-1: .*500"):
        channel(f"json://127.0.0.1:{desk.port}/hook").deliver("error", "t", "b")


def test_mail_server_that_refuses_is_a_failure() -> None:
    with mail_receiver(status=554) as box:
        url = f"mailto://127.0.0.1:{box.port}/?from=loop@example.org&to=desk@example.org&mode=insecure"
        with pytest.raises(FailedError, match="it-1: "):
            channel(url).deliver("error", "t", "b")


def test_closed_port_is_a_failure() -> None:
    with pytest.raises(FailedError, match="it-1: "):
        channel(f"json://127.0.0.1:{free_port()}/hook").deliver("error", "t", "b")


@pytest.mark.parametrize("scheme", ["json", "form"])
def test_receiver_that_never_answers_costs_its_patience_and_no_more(scheme: str) -> None:
    with silent_receiver() as port, pytest.raises(FailedError, match="it-1"):
        channel(f"{scheme}://127.0.0.1:{port}/hook", patience=0.5).deliver("error", "t", "b")


def test_plugin_that_hangs_is_left_alone_when_its_patience_is_over() -> None:
    over = threading.Event()

    def hang(kind: str, title: str, body: str) -> None:
        over.wait(30)

    found = open_channels([], [], {"desk": hang}, patience=0.2)
    with pytest.raises(FailedError, match=r"plugin:desk did not answer within 0\.2 s"):
        found["plugin:desk"].deliver("error", "t", "b")
    over.set()


def test_plugin_is_told_kind_title_and_body() -> None:
    said: list[tuple[str, str, str]] = []
    found = open_channels([], [], {"desk": lambda *word: said.append(word)}, patience=1.0)
    found["plugin:desk"].deliver("drift", "t", "b")
    assert said == [("drift", "t", "b")]


@pytest.mark.parametrize("kind_of_error", [ZeroDivisionError, FailedError])
def test_plugin_that_breaks_is_a_failure_of_which_only_the_type_is_told(kind_of_error: type[Exception]) -> None:
    def broken(kind: str, title: str, body: str) -> None:
        raise kind_of_error("no desk at https://anna:hunter2@desk.example")

    found = open_channels([], [], {"desk": broken}, patience=1.0)
    with pytest.raises(FailedError) as caught:
        found["plugin:desk"].deliver("error", "t", "b")
    assert str(caught.value) == f"plugin:desk: {kind_of_error.__name__}"


@pytest.mark.parametrize("url", ["nonsense://s3cret-token-1/x", "s3cret-token-1", "slack://s3cret-token-1"])
def test_address_that_cannot_be_used_fails_without_being_shown(url: str) -> None:
    with pytest.raises(FailedError, match=r"urls, number 1, is not an address") as caught:
        channel(url).deliver("error", "t", "b")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("status", [500, 403])
def test_no_part_of_an_address_is_in_the_failure(status: int, capfd: pytest.CaptureFixture[str]) -> None:
    with http_receiver(status=status) as desk:
        url = f"json://anna:pa%20ssw0rd@127.0.0.1:{desk.port}/s3cret-path?X-Token=s3cret-query"
        with pytest.raises(FailedError) as caught:
            channel(url).deliver("error", "t", "b")
    said = str(caught.value) + "".join(capfd.readouterr())
    for secret in ("anna", "ssw0rd", "s3cret"):
        assert secret not in said
