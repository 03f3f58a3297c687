"""Who gets in, how fast, with how much, and what every answer carries."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.web.conftest import TODAY, Serve, detail, premises_of_shop

from marketloop.bench.shop import Shop
from marketloop.serving.keeping import read_ring, revoke_key, rotate_key
from marketloop.serving.keys import KeyRing
from marketloop.web.door import Door, Rules
from marketloop.web.limits import Allowance, Limiter
from marketloop.web.meters import Meters
from marketloop.web.server import rules_for

Key = Callable[..., str]
PREDICT, TRIGGER, ROLLBACK = "/api/predict/AAPL", "/api/ml/retraining/trigger", "/api/ml/retraining/rollback"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "LocalHost", "[::1]:8000", "127.0.0.1:1"])
def test_names_of_this_machine_are_answered(served: Shop, serve: Serve, host: str) -> None:
    assert serve().get(PREDICT, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:8000", "", "[::2]"])
def test_other_host_is_refused(served: Shop, serve: Serve, host: str) -> None:
    assert "[serve] hosts" in detail(serve().get(PREDICT, headers={"Host": host}), 421)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9000", "file://"])
def test_request_that_another_page_sends_is_not_carried_out(served: Shop, serve: Serve, origin: str) -> None:
    client = serve()
    assert "another origin" in detail(client.post(TRIGGER, headers={"Origin": origin}), 403)
    own = client.post(TRIGGER, headers={"Origin": "http://127.0.0.1:8000"})
    assert own.status_code == 200


def test_no_key_is_needed_on_loopback_while_none_was_made(served: Shop, serve: Serve) -> None:
    client = serve()
    assert [client.get(PREDICT).status_code, client.post(TRIGGER).status_code] == [200, 200]


def test_key_is_needed_once_there_is_one(served: Shop, serve: Serve, key: Key) -> None:
    mine = key("me")
    client = serve()
    assert client.get(PREDICT, headers=bearer(mine)).status_code == 200
    assert client.get(PREDICT, headers={"X-API-Key": mine}).status_code == 200
    answer = client.get(PREDICT)
    assert "marketloop keys create" in detail(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/metrics", "/api/ranking", "/api/ml/retraining/status"):
        assert detail(client.get(path), 401)
    for path in ("/health/live", "/health/ready", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "given", ["", " ", "x", "ml_", "ml__", "ml_k1_", "ml_k00000000_abc", "ml_" + "x" * 10_000, "ä" * 3],
)  # fmt: skip
def test_wrong_key_opens_nothing(served: Shop, serve: Serve, key: Key, given: str) -> None:
    key("me", "admin")
    client = serve()
    for headers in ({"Authorization": f"Bearer {given}".encode()}, {"X-API-Key": given.encode()}):
        assert detail(client.get(PREDICT, headers=headers), 401)


def test_one_wrong_letter_opens_nothing(served: Shop, serve: Serve, key: Key) -> None:
    mine = key("me")
    changed = mine[:-1] + ("A" if mine[-1] != "A" else "B")
    client = serve()
    assert detail(client.get(PREDICT, headers=bearer(changed)), 401)
    assert detail(client.get(PREDICT, headers=bearer(mine.upper())), 401)
    assert detail(client.get("/health/live", headers=bearer(changed)), 401)  # a wrong key is never taken for none


def test_roles_bound_what_a_key_may_do(served: Shop, serve: Serve, key: Key) -> None:
    keys = {role: bearer(key(role, role)) for role in ("read", "operate", "admin")}
    client = serve()
    event = {"json": {"type": "DATA_ARRIVED"}}
    asked = {
        role: [
            client.get(PREDICT, headers=headers).status_code,
            client.post("/api/predict", json={}, headers=headers).status_code,
            client.post(TRIGGER, headers=headers).status_code,
            client.post("/api/events", headers=headers, **event).status_code,
            client.post(f"{TRIGGER}?force=true&reason=x", headers=headers).status_code,
            client.post(ROLLBACK, headers=headers).status_code,
        ]
        for role, headers in keys.items()
    }
    assert asked == {
        "read": [200, 200, 403, 403, 403, 403],
        "operate": [200, 200, 200, 200, 403, 403],
        "admin": [200, 200, 200, 200, 200, 409],
    }


def test_expired_and_revoked_keys_open_nothing_and_a_key_stays_needed(served: Shop, serve: Serve, key: Key) -> None:
    old = key("old", lifetime=dt.timedelta(days=1), at=TODAY - dt.timedelta(days=2))
    gone = key("gone", "admin")
    revoke_key(served.helm.state, "gone", at=TODAY)
    client = serve()
    for headers in (bearer(old), bearer(gone), {}):
        assert detail(client.get(PREDICT, headers=headers), 401)


def test_revoked_key_is_seen_at_the_next_look(served: Shop, serve: Serve, key: Key) -> None:
    mine = key("me")
    premises = premises_of_shop(served)
    client = serve(premises)
    assert client.get(PREDICT, headers=bearer(mine)).status_code == 200
    revoke_key(served.helm.state, "me", at=TODAY)
    premises.desk.refresh(TODAY)
    assert detail(client.get(PREDICT, headers=bearer(mine)), 401)


def test_rotated_key_opens_doors_until_its_grace_is_over(served: Shop, key: Key) -> None:
    old = key("me", "operate")
    new = rotate_key(served.helm.state, "me", grace=dt.timedelta(hours=1), at=TODAY)["key"]
    during, after = (read_ring(served.helm.state, at=TODAY + dt.timedelta(minutes=m)) for m in (59, 60))
    assert [ring.owner(old) is not None for ring in (during, after)] == [True, False]
    assert [owner.role for ring in (during, after) if (owner := ring.owner(new))] == ["operate", "operate"]


def test_nobody_gets_in_before_the_keys_could_be_read(served: Shop, serve: Serve) -> None:
    client = serve(rules=Rules(keys=lambda: None))
    assert "cannot be read yet" in detail(client.get(PREDICT), 503)
    assert detail(client.post(TRIGGER), 503)
    assert client.get("/health/live").status_code == 200


def test_off_this_machine_a_key_is_needed_whatever_there_is(served: Shop, serve: Serve) -> None:
    client = serve(rules=Rules(hosts=frozenset(), keys=KeyRing, loopback=False))
    assert detail(client.get(PREDICT, headers={"Host": "anything"}), 401)


def test_pace_is_bounded_and_says_when_to_ask_again(served: Shop, serve: Serve) -> None:
    premises = premises_of_shop(served)
    slow = replace(rules_for(premises), reading=Allowance(0.1, 3), asking=Allowance(0.01, 1))
    client = serve(premises, slow)
    assert [client.get(PREDICT).status_code for _ in range(3)] == [200] * 3
    answer = client.get(PREDICT)
    assert detail(answer, 429)
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert client.post(TRIGGER).status_code == 200
    answer = client.post(TRIGGER)
    assert detail(answer, 429)
    assert int(answer.headers["retry-after"]) > 10


def test_limiter_forgets_whom_it_has_not_seen_for_longest() -> None:
    limiter = Limiter(Allowance(1, 1), most=2)
    assert [limiter.take(name, 0) for name in ("a", "b", "a", "c", "a", "b")] == [0, 0, 1, 0, 1, 0]
    assert len(limiter.buckets) == 2


def test_body_that_is_too_large_is_refused_before_and_while_it_comes(served: Shop, serve: Serve) -> None:
    premises = premises_of_shop(served)
    client = serve(premises, replace(rules_for(premises), body_limit=1000))

    async def pieces() -> Any:
        for _ in range(20):
            yield b" " * 100

    assert "at most 1,000" in detail(client.post("/api/predict", content=b" " * 1001), 413)
    assert "at most 1,000" in detail(client.post("/api/predict", content=pieces()), 413)
    for length in ("x", "-1", "1e3", "9" * 5000):
        answer = client.request("POST", "/api/predict", headers={"Content-Length": length}, content=b"{}")
        assert answer.status_code in {400, 413}
        assert detail(answer, answer.status_code)


def asked(messages: Iterator[Any], **rules: Any) -> list[dict[str, Any]]:
    """Send a POST of these messages to a door with nothing behind it and return what it answers."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/predict",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 5),
    }

    async def receive() -> Any:
        message = next(messages, None)
        if message is None:
            await asyncio.Event().wait()
        return message

    async def send(message: Any) -> None:
        sent.append(message)

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("nobody gets here")

    asyncio.run(Door(inside, Rules(**rules), Meters())(scope, receive, send))
    return sent


def test_body_that_does_not_arrive_is_given_up() -> None:
    first = {"type": "http.request", "body": b"{", "more_body": True}
    assert asked(iter([first]), patience_s=0.01)[0]["status"] == 408


def test_client_that_goes_away_costs_nothing() -> None:
    assert asked(iter([{"type": "http.disconnect"}]))[0]["status"] == 400


def test_every_answer_carries_the_headers_that_protect(served: Shop, serve: Serve) -> None:
    client = serve()
    for path in (PREDICT, "/api/predict/NOPE", "/nowhere", "/docs", "/health/live", "/metrics", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
    assert client.get(PREDICT).headers["cache-control"] == "no-store"
    assert "default-src 'none'" in client.get(PREDICT).headers["content-security-policy"]
    refused = client.get(PREDICT, headers={"Host": "evil"}).headers
    assert refused["x-content-type-options"] == "nosniff"


def test_labels_of_the_meters_are_bounded(served: Shop, serve: Serve) -> None:
    premises = premises_of_shop(served)
    client = serve(premises)
    before = len(client.get("/metrics").text.splitlines())
    for number in range(50):
        client.get(f"/api/predict/T{number}")
        client.get(f"/made/up/{number}")
        client.request(f"VERB{number}", PREDICT)
        client.get(PREDICT, headers={"Host": f"evil{number}"})
    text = client.get("/metrics").text
    assert 'route="/api/predict/{ticker}",status="4xx"' in text
    assert 'marketloop_http_refused_total{reason="host"} 50.0' in text
    assert "made" not in text
    assert "VERB" not in text
    assert len(text.splitlines()) < before + 120
    for line in (
        "marketloop_champion_version{",
        "marketloop_scoreboard_age_seconds{",
        "marketloop_database_read_age_s",
    ):
        assert line in text
