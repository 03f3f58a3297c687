"""Reports are handed out as they are, from their folder alone, to those who may read, and can reach nothing."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
from tests.web.conftest import Key, Live, Serve, detail
from tests.web.sockets import said, sentence

from marketloop.bench.shop import Shop
from marketloop.serving.keys import KeyRing
from marketloop.web.reports import find_report

PAGE = "<!doctype html><title>v7</title><script>document.title='drawn'</script>"


@pytest.fixture
def reports(served: Shop) -> Path:
    folder = served.helm.project.reports
    (folder / "price_predictor_v7.html").write_text(PAGE)
    (folder / "years").mkdir()
    (folder / "years" / "2026.html").write_text(PAGE)
    (folder / "notes.txt").write_text("not for the web")
    (folder / ".hidden.html").write_text(PAGE)
    (folder.parent / "secret.html").write_text("outside")
    (folder / "out.html").symlink_to(folder.parent / "secret.html")
    (folder / "outside").symlink_to(folder.parent)
    (folder / "loop.html").symlink_to(folder / "loop.html")
    (folder / "folder.html").mkdir()
    (folder / "pipe.html").unlink(missing_ok=True)
    os.mkfifo(folder / "pipe.html")
    return folder


def test_report_is_a_page_that_may_draw_and_reach_nothing(reports: Path, serve: Serve) -> None:
    answer = serve().get("/reports/price_predictor_v7.html")
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'")
    for word in ("allow-same-origin", "http", "connect-src", "'self'", "allow-forms", "allow-popups"):
        assert word not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "private, no-cache"


def test_list_names_what_can_be_read_and_nothing_else(reports: Path, serve: Serve) -> None:
    client = serve()
    named = {row["name"] for row in client.get("/api/reports").json()["reports"]}
    assert named == {"price_predictor_v7.html", "years/2026.html"}
    assert {client.get(f"/reports/{name}").status_code for name in named} == {200}


def test_project_without_reports_has_an_empty_list(served: Shop, serve: Serve) -> None:
    assert serve().get("/api/reports").json() == {"reports": []}


@pytest.mark.parametrize(
    "name",
    ["nope.html", "notes.txt", ".hidden.html", "out.html", "outside/secret.html", "loop.html", "folder.html",
     "pipe.html", "../secret.html", "years/../../secret.html", "years//2026.html", "/etc/passwd", "", "years", "years/",
     "..\\secret.html", "a\x00.html", "x" * 290 + ".html", "./price_predictor_v7.html", "../marketloop.toml"],
)  # fmt: skip
def test_name_that_is_no_report_is_none(reports: Path, name: str) -> None:
    assert find_report(reports, name) is None


@pytest.mark.parametrize(
    "path",
    ["../secret.html", "%2e%2e/secret.html", "%2e%2e%2fsecret.html", "..%5csecret.html", "a%00.html", "%ff.html",
     "years/%2e%2e/%2e%2e/secret.html", "/etc/passwd", "%2fetc%2fpasswd", "out.html", "outside/secret.html",
     "x" * 250 + ".html", "notes.txt", "..%252fsecret.html"],
)  # fmt: skip
def test_path_that_leads_out_is_a_problem_on_the_wire(reports: Path, live: Live, path: str) -> None:
    request = f"GET /reports/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    port = live()
    assert sentence(port, 404, request)
    assert b"outside" not in said(port, request)[2]


def test_reports_are_for_readers(reports: Path, serve: Serve, key: Key) -> None:
    mine = {"Authorization": f"Bearer {key('me')}"}
    client = serve()
    for path in ("/reports/price_predictor_v7.html", "/api/reports"):
        assert detail(client.get(path), 401)
        assert detail(client.get(path, headers={"Authorization": "Bearer ml_k1_x"}), 401)
        assert client.get(path, headers=mine).status_code == 200


def test_session_of_a_page_may_read(reports: Path, serve: Serve, key: Key) -> None:
    whole = key("me")
    client = serve()
    owner = KeyRing.owner(client.premises.desk.ring or KeyRing(), whole)
    assert owner is not None
    session = client.premises.sessions.issue(owner, client.premises.clock.now())

    def look(cookie: str) -> httpx.Response:
        return client.get(
            "/reports/price_predictor_v7.html", headers={"Cookie": f"{client.premises.sessions.cookie}={cookie}"}
        )

    assert look(session).status_code == 200
    assert detail(look(session[:-1]), 401)
