"""Sessions of a browser: signed, bounded in time, and never longer than the key behind them."""

from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

import pytest

from marketloop.serving.keys import Kept, KeyRing, digest_of
from marketloop.web.sessions import LIFETIME, Sessions, cookie_of, session_secret

AT = dt.datetime(2026, 1, 30, 21, tzinfo=dt.UTC)
KEY = Kept("k1234", digest_of("secret"), "read", "reader", None)
RING = KeyRing.of([KEY])
SESSIONS = Sessions(b"s" * 32)


def test_session_names_the_key_that_began_it() -> None:
    assert SESSIONS.owner(SESSIONS.issue(KEY, AT), RING, AT + dt.timedelta(hours=1)) == KEY


def test_session_ends_with_its_time() -> None:
    cookie = SESSIONS.issue(KEY, AT)
    assert SESSIONS.owner(cookie, RING, AT + LIFETIME) == KEY
    assert SESSIONS.owner(cookie, RING, AT + LIFETIME + dt.timedelta(seconds=1)) is None


def test_session_ends_with_its_key() -> None:
    assert SESSIONS.owner(SESSIONS.issue(KEY, AT), KeyRing.of([]), AT) is None


def test_session_of_another_project_opens_nothing() -> None:
    assert SESSIONS.owner(Sessions(b"t" * 32).issue(KEY, AT), RING, AT) is None


@pytest.mark.parametrize("changed", ["k9999", "k1234.9999999999", "", "x" * 5000, "k1234.1.", "\x00", "k1234.nan.sig"])
def test_session_that_was_changed_opens_nothing(changed: str) -> None:
    signature = SESSIONS.issue(KEY, AT).rpartition(".")[2]
    assert SESSIONS.owner(changed, RING, AT) is None
    assert SESSIONS.owner(f"{changed}.{signature}", RING, AT) is None


def test_session_from_the_far_future_opens_nothing() -> None:
    assert SESSIONS.owner(SESSIONS.issue(KEY, AT + dt.timedelta(days=2)), RING, AT) is None


def test_session_does_not_hold_the_key_itself() -> None:
    assert "secret" not in SESSIONS.issue(KEY, AT)
    assert KEY.digest not in SESSIONS.issue(KEY, AT)


def test_cookie_is_found_among_others() -> None:
    assert cookie_of(b"a=1; mine=word; b=2", "mine") == "word"
    assert cookie_of(b"a=1", "mine") == ""
    assert cookie_of(b"\xff;;;=mine", "mine") == ""


def test_projects_on_one_host_do_not_overwrite_each_others_session() -> None:
    other = Sessions(b"t" * 32)
    assert {SESSIONS.cookie, SESSIONS.form_cookie}.isdisjoint({other.cookie, other.form_cookie})
    assert Sessions(b"s" * 32).cookie == SESSIONS.cookie


def test_secret_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / ".session-secret"
    first = session_secret(path)
    assert session_secret(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first) == 32


def test_secret_that_cannot_be_kept_is_another_one_each_time(tmp_path: Path) -> None:
    nowhere = tmp_path / "missing" / ".session-secret"
    assert session_secret(nowhere) != session_secret(nowhere)


def test_secret_file_that_somebody_broke_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / ".session-secret"
    path.write_text("not hexadecimal")
    assert len(session_secret(path)) == 32
    path.write_text("ab")
    assert len(session_secret(path)) == 32
