"""What people and programs send that makes no sense, and what goes wrong around a server, on real sockets."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.postgres_server import PostgresServer
from tests.web.conftest import TICKERS, TODAY, YESTERDAY, Key, Live, Serve, detail, premises_of_shop
from tests.web.sockets import is_well, said, sentence

from marketloop.bench.shop import Shop
from marketloop.loop.helm import open_state
from marketloop.runtime.clock import SystemClock
from marketloop.serving.keeping import revoke_key
from marketloop.web.app import look
from marketloop.web.premises import Premises
from marketloop.web.server import premises_for, rules_for

pytestmark = pytest.mark.xdist_group("server")
CLOSE = "Host: localhost\r\nConnection: close\r\n"


def get(path: str, *headers: str) -> bytes:
    more = "".join(f"{header}\r\n" for header in headers)
    return f"GET {path} HTTP/1.1\r\n{CLOSE}{more}\r\n".encode()


def post(path: str, body: bytes, *headers: str) -> tuple[bytes, bytes]:
    length = () if any("encoding" in header.lower() for header in headers) else (f"Content-Length: {len(body)}",)
    more = "".join(f"{header}\r\n" for header in ("Content-Type: application/json", *length, *headers))
    return f"POST {path} HTTP/1.1\r\n{CLOSE}{more}\r\n".encode(), body


def document(port: int, *parts: bytes) -> Any:
    status, _, body = said(port, *parts)
    assert status == 200, body
    return json.loads(body)


@pytest.mark.parametrize(
    ("ticker", "status"),
    [
        ("NOPE", 404), ("", 404), ("AAPL%0a", 404), ("/", 404), ("a/b", 404), ("a%2fb", 404), ("../AAPL", 404),
        ("..", 404), ("%2e%2e%2f", 404), ("%2e%2e/%2e%2e/etc/passwd", 404), ("..%5c..%5cwin.ini", 404), ("AAPL/", 404),
        ("AAPL%2f", 404), ("A" * 10_000, 422), ("%00", 404), ("AAPL%00", 404),
        ("%0a", 404), ("AAPL%0d%0aX-Evil:%201", 404), ("%ff%fe", 404), ("%F0%9F%93%88", 404), ("%E2%80%AEAAPL", 404),
        ("%D8%A3%D9%BE%D9%84", 404), ("%EF%BC%A1%EF%BC%A1%EF%BC%B0%EF%BC%AC", 404), ("%c4%b1", 404), ("AAPL%20", 404),
        ("AAPL;DROP%20TABLE", 404), ("%25s%25n", 404), ("%7B%7D", 404), ("%3Cscript%3E", 404), ("__proto__", 404),
        ("%F0%9F%93%88" * 8, 404), ("%F0%9F%93%88" * 33, 422),
    ],
)  # fmt: skip
def test_ticker_that_cannot_be_is_a_problem(served: Shop, live: Live, ticker: str, status: int) -> None:
    port = live()
    assert sentence(port, status, get(f"/api/predict/{ticker}"))
    assert "X-Evil" not in said(port, get(f"/api/predict/{ticker}"))[1]


def test_ticker_in_lower_case_is_found(served: Shop, live: Live) -> None:
    port = live()
    for name in ("aapl", "%61apl", "brk.b", "Brk.B"):
        assert document(port, get(f"/api/predict/{name}"))["ticker"] in TICKERS


def test_short_way_and_long_way_give_the_same_answer(shop: Shop, serve: Serve, key: Key) -> None:
    shop.crown((*TICKERS, "BTC/USDT"), as_of=YESTERDAY)
    mine = {"Authorization": f"Bearer {key('me')}"}
    client = serve()
    for name in ("AAPL", "aapl", "BRK.B", "BTC/USDT"):
        short = client.get(f"/api/predict/{name}", headers=mine)
        long = client.get(f"/api/predict/{name}?family=price_predictor", headers=mine)
        assert (short.status_code, short.content) == (long.status_code, long.content)
        assert sorted(short.headers.items()) == sorted(long.headers.items())
    assert detail(client.get("/api/predict/AAPL"), 401)
    text = client.get("/metrics", headers=mine).text
    assert 'marketloop_http_requests_total{method="GET",route="/api/predict/{ticker}",status="2xx"} 8.0' in text


DEEP = [b"[" * 100_000, b'{"a":' * 50_000, b'{"tickers":' + b"[" * 5_000 + b"]" * 5_000 + b"}"]
NO_JSON = [b"", b"{", b"nul", b"{'a': 1}", b"\xff\xfe\x00", b'{"tickers": ["\\ud800"]}', b"1e999", b"NaN", b'"\x00"',
           b'{"tickers": ["A"], "tickers": 1}', b"[" + b"1," * 100_000 + b"1]", b"1" * 5_000]  # fmt: skip


@pytest.mark.parametrize("body", DEEP + NO_JSON)
def test_body_that_is_no_document_is_a_problem(served: Shop, live: Live, body: bytes) -> None:
    port = live()
    for path in ("/api/predict", "/api/events"):
        status, headers, answer = said(port, *post(path, body))
        assert status in {400, 422}, answer
        assert headers["content-type"] == "application/problem+json"
    assert is_well(port)


def chunks(size: int, number: int) -> bytes:
    return (b"%x\r\n" % size + b" " * size + b"\r\n") * number + b"0\r\n\r\n"


def test_body_that_is_too_large_is_refused_however_it_comes(served: Shop, live: Live) -> None:
    port = live()
    for parts in (
        post("/api/predict", b" " * 1_000_001),
        post("/api/predict", b"{}", "Content-Length: 99999999999"),
        post("/api/predict", chunks(10_000, 101), "Transfer-Encoding: chunked"),
    ):
        status, headers, _ = said(port, *parts)
        assert status in {400, 413}
        assert headers["content-type"] == "application/problem+json"
    asked = post("/api/predict", b"4\r\n{}  \r\n0\r\n\r\n", "Transfer-Encoding: chunked")
    assert len(document(port, *asked)["predictions"]) == 3
    assert is_well(port)


def test_body_on_a_question_is_not_read(served: Shop, live: Live) -> None:
    port = live()
    head = f"GET /api/predict/AAPL HTTP/1.1\r\n{CLOSE}Content-Length: 5000000\r\n\r\n".encode()
    assert sentence(port, 413, head)


def test_key_in_the_address_opens_nothing(served: Shop, live: Live, key: Key) -> None:
    mine, port = key("me", "admin"), live()
    for query in ("key", "api_key", "apikey", "token", "access_token", "Authorization", "X-API-Key"):
        assert sentence(port, 401, get(f"/api/predict/AAPL?{query}={mine}"))
        assert sentence(port, 401, get("/api/predict/AAPL", f"Cookie: {query}={mine}"))
    assert document(port, get("/api/predict/AAPL", f"Authorization: Bearer {mine}"))["ticker"] == "AAPL"


def test_missing_wrong_expired_and_revoked_keys_open_nothing(served: Shop, live: Live, key: Key) -> None:
    old = key("old", "admin", dt.timedelta(days=1), TODAY - dt.timedelta(days=2))
    gone, valid = key("gone", "admin"), key("valid")
    revoke_key(served.helm.state, "gone", at=TODAY)
    port = live()
    given = ["", f"Bearer {old}", f"Bearer {gone}", f"Bearer {valid}x", f"Bearer {valid[:-1]}", f"Basic {valid}", valid,
             "Bearer " + "x" * 20_000, f"Bearer {valid} {valid}", "Bearer ml_k_\u00ff"]  # fmt: skip
    for value in given:
        assert sentence(port, 401, get("/api/predict/AAPL", f"Authorization: {value}"))
    assert document(port, get("/api/predict/AAPL", f"authorization: bearer {valid}"))["ticker"] == "AAPL"


SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_scripts_come_out_as_text(shop: Shop, live: Live) -> None:
    ticker = '<b>"X"</b>'
    shop.crown(("AAPL", ticker), as_of=YESTERDAY)
    port = live()

    def text(*parts: bytes) -> str:
        status, headers, body = said(port, *parts)
        assert status in {200, 404, 422, 400}
        assert headers["content-type"] in {"application/json", "application/problem+json"}
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        return body.decode()

    assert json.loads(text(get("/api/predict/%3Cb%3E%22X%22%3C%2Fb%3E")))["ticker"] == ticker
    assert ticker in {row["ticker"] for row in json.loads(text(*post("/api/predict", b"{}")))["predictions"]}
    assert ticker in {row["ticker"] for row in json.loads(text(get("/api/ranking")))["ranking"]}
    quoted = "".join(f"%{byte:02x}" for byte in SCRIPT.encode())
    job = json.loads(text(*post(f"/api/ml/retraining/trigger?reason={quoted}", b"")))["job_id"]
    assert json.loads(text(get(f"/api/ml/retraining/jobs/{job}")))["reason"] == SCRIPT
    event = {"type": "DATA_ARRIVED", "data": {"note": SCRIPT, "tickers": [SCRIPT]}}
    text(*post("/api/events", json.dumps(event).encode()))
    (told,) = json.loads(text(get("/api/events")))["events"]
    assert (told["data"]["note"], told["data"]["tickers"]) == (SCRIPT, [SCRIPT])
    for wrong in (get(f"/api/predict/{quoted.replace('%2f', '')}"), get(f"/api/predict/AAPL?family={quoted}"),
                  *([b"".join(post("/api/events", json.dumps({"type": SCRIPT}).encode()))])):  # fmt: skip
        text(wrong)


def test_million_events_keep_nobody_waiting(served: Shop, live: Live) -> None:
    with served.helm.state.write() as db:
        db.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) "
            "INSERT INTO events (key, type, payload, source, published_at, attempts, trouble, result) "
            "SELECT 'k' || i, 'DATA_ARRIVED', '{}', 'test', '2026-01-01 00:00:00.000000', 0, '', '{}' FROM n"
        )
    port = live()
    assert [row["id"] for row in document(port, get("/api/events?limit=3"))["events"]] == [1_000_000, 999_999, 999_998]
    assert document(port, get("/api/ml/retraining/status"))["model_path"]
    assert document(port, *post("/api/events", b'{"type": "DATA_ARRIVED", "key": "one-more"}'))["id"] == 1_000_001
    with served.helm.state.read() as db:
        plan = db.exec_driver_sql("EXPLAIN QUERY PLAN SELECT * FROM events ORDER BY id DESC LIMIT 3").all()
    assert not any("TEMP B-TREE" in str(row) for row in plan)


def impatient(shop: Shop, **given: Any) -> Premises:
    """Return premises whose writers wait a moment only, on a clock that goes."""
    project, settings = shop.helm.project, shop.helm.settings
    return premises_for(
        project, settings, given.get("clock", SystemClock()), lambda: open_state(project, settings, busy_timeout_s=0.2)
    )


def until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)
    return holds()


def is_read(premises: Premises) -> bool:
    look(premises)
    return not premises.desk.view.trouble


def test_locked_database_refuses_changes_and_answers_all_questions(served: Shop, live: Live) -> None:
    port = live(impatient(served))
    holder = sqlite3.connect(served.helm.project.state_db, isolation_level=None)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        assert "held by another process" in sentence(port, 503, *post("/api/ml/retraining/trigger", b""))
        assert "held by another process" in sentence(port, 503, *post("/api/events", b'{"type": "DATA_ARRIVED"}'))
        assert document(port, get("/api/predict/AAPL"))["stale"] is False
        assert document(port, get("/api/ml/retraining/status"))["model_path"]
        holder.execute("ROLLBACK")
    finally:
        holder.close()
    assert document(port, *post("/api/ml/retraining/trigger", b""))["status"] == "started"


def test_database_that_is_taken_away_is_noticed_and_comes_back(served: Shop, live: Live) -> None:
    premises = impatient(served)
    port = live(premises)
    root = served.helm.project.root
    served.helm.state.close()
    files = [file for name in ("state.db", "scoreboard.db") for file in root.glob(f"{name}*")]
    away = root / "away"
    away.mkdir()
    moved = [file.rename(away / file.name) for file in files]
    assert until(lambda: document(port, get("/api/predict/AAPL"))["stale"])
    assert document(port, get("/health/ready"))["database"] == "away"
    assert "is gone" in document(port, get("/health/live"))["detail"]
    for asked in ((get("/api/ml/retraining/status"),), post("/api/ml/retraining/trigger", b""), (get("/api/events"),)):
        assert "gone" in sentence(port, 503, *asked)
    assert [file.name for file in root.glob("*.db*")] == []  # nobody began an empty one
    for file in moved:
        file.rename(root / file.name)
    assert until(lambda: not document(port, get("/api/predict/AAPL"))["stale"])
    assert document(port, *post("/api/ml/retraining/trigger", b""))["status"] == "started"


def test_database_that_is_replaced_is_read_anew(served: Shop, live: Live, tmp_path: Path) -> None:
    port = live(impatient(served))
    assert document(port, get("/api/predict/AAPL"))["model_version"] == 1
    copies = {}
    for name in ("state.db", "scoreboard.db"):
        copies[name] = tmp_path / name
        with sqlite3.connect(served.helm.project.root / name) as old, sqlite3.connect(copies[name]) as new:
            old.backup(new)
        old.close()
        new.close()
    served.crown(TICKERS, as_of=YESTERDAY)
    assert until(lambda: document(port, get("/api/predict/AAPL"))["model_version"] == 2)
    served.helm.state.close()
    for name, copy in copies.items():
        for left in served.helm.project.root.glob(f"{name}-*"):
            left.unlink()
        copy.replace(served.helm.project.root / name)
    assert until(lambda: document(port, get("/api/predict/AAPL"))["model_version"] == 1)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.remove()


@pytest.mark.xdist_group("postgresql")
def test_postgresql_that_goes_away_comes_back(tmp_path: Path, own_postgres: PostgresServer) -> None:
    with Shop.make(tmp_path / "project", state__url=own_postgres.url) as shop:
        shop.crown(TICKERS, as_of=YESTERDAY)
        premises = impatient(shop)
        look(premises)
        assert premises.desk.view.trouble == ""
        own_postgres.stop()
        look(premises)
        (board,) = premises.desk.view.boards.values()
        assert premises.desk.view.trouble
        assert json.loads(board.body("AAPL") or b"")["stale"] is True
        own_postgres.start()
        assert until(lambda: is_read(premises))
        shop.helm.state.ledger.engine.dispose()
        shop.helm.state.scores.engine.dispose()
        (board,) = premises.desk.view.boards.values()
        assert json.loads(board.body("AAPL") or b"")["stale"] is False
        version = shop.crown(TICKERS, as_of=YESTERDAY)
        look(premises)
        (board,) = premises.desk.view.boards.values()
        assert board.champion.version == version
        premises.desk.close()


def test_pace_is_kept_on_the_short_way_too(served: Shop, live: Live) -> None:
    premises = premises_of_shop(served)
    rules = rules_for(premises)
    port = live(premises, replace(rules, reading=replace(rules.reading, per_second=0.01, burst=2)))
    assert [said(port, get("/api/predict/AAPL"))[0] for _ in range(3)] == [200, 200, 429]
