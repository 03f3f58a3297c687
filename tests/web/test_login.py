"""Logging in by a form without scripts: a valid key, a token of the form, a cookie that only this server reads."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.web.asking import Asker
from tests.web.conftest import Serve

from marketloop.bench.shop import Shop

COOKIE = "marketloop_session_"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def asker(served: Shop, serve: Serve, key: Callable[..., str]) -> tuple[Asker, str]:
    """The application of a project with a key, and that key."""
    whole = key("reader", "operate")
    return serve(), whole


def _form(client: Asker) -> tuple[str, dict[str, str]]:
    page = client.get("/login", params={"next": "/drift"})
    assert page.status_code == 200
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1], {**FORM, "Cookie": page.headers["set-cookie"].split(";")[0]}


def test_valid_key_begins_a_session_and_leads_back(asker: tuple[Asker, str]) -> None:
    client, whole = asker
    token, headers = _form(client)
    answer = client.post("/login", content=f"key={whole}&token={token}&next=/drift", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/drift")
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert whole not in cookie
    session = cookie.split(";")[0]
    again = client.get("/login", params={"next": "/quality"}, headers={"Cookie": session})
    assert (again.status_code, again.headers["location"]) == (303, "/quality")


def test_session_opens_no_door_of_the_api(asker: tuple[Asker, str]) -> None:
    client, whole = asker
    token, headers = _form(client)
    answer = client.post("/login", content=f"key={whole}&token={token}", headers=headers)
    session = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(COOKIE)).split(";")[0]
    assert client.get("/api/predict/AAPL", headers={"Cookie": session}).status_code == 401
    assert client.post("/api/ml/retraining/trigger", headers={"Cookie": session}).status_code == 401


@pytest.mark.parametrize("given", ["", "ml_wrong", "<script>", "x" * 5000])
def test_wrong_key_begins_nothing(asker: tuple[Asker, str], given: str) -> None:
    client, _ = asker
    token, headers = _form(client)
    answer = client.post("/login", content=f"key={given}&token={token}", headers=headers)
    assert answer.status_code == 401
    assert COOKIE not in answer.headers.get("set-cookie", "")
    assert "<script>" not in answer.text


def test_form_without_its_token_begins_nothing(asker: tuple[Asker, str]) -> None:
    client, whole = asker
    _, headers = _form(client)
    assert client.post("/login", content=f"key={whole}&token=other", headers=headers).status_code == 403
    assert client.post("/login", content=f"key={whole}", headers=FORM).status_code == 403


def test_form_of_another_page_begins_nothing(asker: tuple[Asker, str]) -> None:
    client, whole = asker
    token, headers = _form(client)
    stranger = {**headers, "Origin": "http://evil.example"}
    assert client.post("/login", content=f"key={whole}&token={token}", headers=stranger).status_code == 403


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
def test_log_in_leads_to_no_other_place(asker: tuple[Asker, str], target: str) -> None:
    client, _ = asker
    page = client.get("/login", params={"next": target})
    assert 'name="next" value="/"' in page.text


def test_logging_out_ends_the_session(asker: tuple[Asker, str]) -> None:
    client, _ = asker
    answer = client.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert f'{client.premises.sessions.cookie}=""' in answer.headers["set-cookie"]


def test_who_needs_no_key_needs_no_session(served: Shop, serve: Serve) -> None:
    answer = serve().get("/login", params={"next": "/drift"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/drift")


def test_session_that_was_ended_opens_nothing_wherever_its_cookie_is(asker: tuple[Asker, str]) -> None:
    client, whole = asker
    token, headers = _form(client)
    answer = client.post("/login", content=f"key={whole}&token={token}", headers=headers)
    session = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(COOKIE)).split(";")[0]
    assert client.get("/login", headers={"Cookie": session}).status_code == 303
    client.post("/logout", headers={"Cookie": session})
    assert client.get("/login", headers={"Cookie": session}).status_code == 200


def test_odd_cookies_of_other_programs_on_this_host_keep_nobody_out(asker: tuple[Asker, str]) -> None:
    client, whole = asker
    token, headers = _form(client)
    odd = {**headers, "Cookie": f'a={{"x":1}}; x[y]=1; foo=a b; bare; {headers["Cookie"]}'}
    assert client.post("/login", content=f"key={whole}&token={token}", headers=odd).status_code == 303


@pytest.mark.parametrize("target", ["//[", "http://[", "/%5B//["])
def test_address_that_is_none_leads_to_the_first_page_or_stays_inside(asker: tuple[Asker, str], target: str) -> None:
    client, _ = asker
    page = client.get("/login", params={"next": target})
    assert page.status_code == 200
    assert 'name="next" value="/' in page.text


def test_form_with_too_many_fields_is_refused(asker: tuple[Asker, str]) -> None:
    client, _ = asker
    content = "&".join(f"field{number}=x" for number in range(50))
    assert client.post("/login", content=content, headers=FORM).status_code == 400
