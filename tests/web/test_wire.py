"""What a client may do to the socket itself: too slow, too much, too many, or no HTTP at all."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.web.conftest import Live, premises_of_shop
from tests.web.sockets import HEAD, heard, is_well, line, said, sentence

from marketloop.bench.shop import Shop
from marketloop.web.premises import Premises
from marketloop.web.server import rules_for
from marketloop.web.wire import Bounds

pytestmark = pytest.mark.xdist_group("server")
PATIENCE = Bounds(patience_s=0.3)


def test_head_that_does_not_end_is_given_up(served: Shop, live: Live) -> None:
    port = live(bounds=PATIENCE)
    assert "no whole request came within 0.3 s" in sentence(port, 408, HEAD)
    assert is_well(port)


def test_head_that_comes_a_byte_at_a_time_is_given_up(served: Shop, live: Live) -> None:
    port = live(bounds=PATIENCE)
    with line(port) as open_line:
        began, sent = time.monotonic(), 0
        try:
            while time.monotonic() - began < 15:
                open_line.sendall(HEAD[sent % len(HEAD) : sent % len(HEAD) + 1])
                sent += 1
                time.sleep(0.02)
                open_line.setblocking(False)
                try:
                    if b" 408 " in open_line.recv(1000):
                        break
                except BlockingIOError:
                    pass
                finally:
                    open_line.setblocking(True)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 700  # it ended long before this client would have
    assert is_well(port)


def test_connection_that_never_asks_is_closed(served: Shop, live: Live) -> None:
    with line(live(bounds=PATIENCE)) as open_line:
        assert b" 408 " in heard(open_line)


def test_answered_connection_may_wait_longer_than_patience(served: Shop, live: Live) -> None:
    with line(live(bounds=PATIENCE)) as open_line:
        for _ in range(2):
            open_line.sendall(HEAD + b"\r\n")
            assert open_line.recv(65_536).startswith(b"HTTP/1.1 200")
            time.sleep(0.7)


@pytest.mark.parametrize("length", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"])
def test_body_that_does_not_come_is_given_up(served: Shop, live: Live, length: bytes) -> None:
    premises = premises_of_shop(served)
    port = live(premises, replace(rules_for(premises), patience_s=0.3))
    given = b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\n" + length
    assert "did not arrive within 0.3 s" in sentence(port, 408, given)
    assert is_well(port)


def test_body_that_nobody_reads_ends_with_patience(served: Shop, live: Live) -> None:
    port = live(bounds=PATIENCE)
    status, _, _ = said(port, HEAD + b"Content-Length: 1000\r\n\r\n")  # answered at once; the rest never comes
    assert status == 200
    assert is_well(port)


@pytest.mark.parametrize(
    "head", [HEAD + b"X-Long: " + b"x" * 70_000, HEAD + b"X-Many: 1\r\n" * 7_000, b"GET /" + b"y" * 200_000]
)
def test_endless_head_is_refused(served: Shop, live: Live, head: bytes) -> None:
    port = live()
    assert "65,536 bytes of headers" in sentence(port, 431, *(head[n : n + 9_000] for n in range(0, len(head), 9_000)))
    assert is_well(port)


def test_noise_after_a_request_is_no_fault_of_the_server(
    served: Shop, live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    port = live()
    said(port, HEAD + b"\r\n" + b"no such thing\r\n\r\n")
    assert is_well(port)
    assert "Exception" not in caplog.text


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"HELO example\r\n\r\n", b"\x00" * 100,
                                   b"GET / HTTP/9.9\r\n\r\n", HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
                                   HEAD + b"Content-Length: -1\r\n\r\n", HEAD + b"bad header\r\n\r\n"])  # fmt: skip
def test_noise_is_a_problem(served: Shop, live: Live, noise: bytes) -> None:
    port = live()
    assert sentence(port, 400, noise)
    assert is_well(port)


def test_connections_are_bounded_and_come_back(served: Shop, live: Live) -> None:
    port = live(bounds=Bounds(connections=5))
    with ExitStack() as held:
        for _ in range(5):
            held.enter_context(line(port)).sendall(HEAD)
        time.sleep(0.2)
        with line(port) as one_more:
            answer = heard(one_more)
        assert b" 503 " in answer
        assert b"more than 5 connections" in answer
    until = time.monotonic() + 10
    while not is_well(port) and time.monotonic() < until:
        time.sleep(0.05)
    assert is_well(port)


def test_reader_that_reads_nothing_is_cut_off(served: Shop, live: Live, shop: Shop) -> None:
    (shop.helm.project.reports / "large.html").write_bytes(b"x" * 50_000_000)
    port = live(bounds=PATIENCE)
    with line(port) as open_line:
        open_line.sendall(b"GET /reports/large.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1.5)
        assert len(heard(open_line)) < 50_000_000
    assert is_well(port)


def watch(port: int, job: str) -> bytes:
    return f"GET /api/ml/retraining/jobs/{job}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def test_those_who_watch_are_few_and_their_places_come_back(served: Shop, live: Live) -> None:
    premises: Premises = premises_of_shop(served)
    premises.watchers.most = 2
    port = live(premises)
    trigger = b"POST /api/ml/retraining/trigger HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    job = json.loads(said(port, trigger)[2])["job_id"]
    with ExitStack() as held:
        for _ in range(2):
            open_line = held.enter_context(line(port))
            open_line.sendall(watch(port, job))
            assert b"200 OK" in open_line.recv(1000)
        refused = watch(port, job).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert "2 clients watch jobs already" in sentence(port, 503, refused)
        assert is_well(port)
    until = time.monotonic() + 10
    while premises.watchers.taken and time.monotonic() < until:
        time.sleep(0.05)
    assert premises.watchers.taken == 0


def test_large_file_is_read_by_a_reader_who_reads(shop: Shop, served: Shop, live: Live, tmp_path: Path) -> None:
    (shop.helm.project.reports / "large.html").write_bytes(b"x" * 5_000_000)
    request = b"GET /reports/large.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    status, headers, body = said(live(bounds=PATIENCE), request)
    assert (status, headers["content-length"], len(body)) == (200, "5000000", 5_000_000)
