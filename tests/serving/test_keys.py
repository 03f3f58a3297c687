"""Keys are shown once, kept as hashes, and open what their role allows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketloop.core.errors import UsageError
from marketloop.serving.keeping import create_key, list_keys, read_ring, revoke_key, rotate_key
from marketloop.serving.keys import ROLES, Kept, KeyRing, allows, digest_of, new_secret, split
from marketloop.state import State, requests, this_process
from marketloop.state.requests import Wish

NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State.open(f"sqlite:///{tmp_path}/state.db") as opened:
        yield opened


def test_created_key_opens_and_its_secret_is_nowhere(state: State, tmp_path: Path) -> None:
    whole = create_key(state, "dashboard", role="operate", at=NOON)["key"]
    owner = read_ring(state, at=NOON).owner(whole)
    assert owner is not None
    assert (owner.name, owner.role) == ("dashboard", "operate")
    secret = split(whole)[1]
    assert len(secret) >= 43
    state.close()
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.glob("state.db*"))


def test_no_key_is_demanded_before_one_was_ever_made(state: State) -> None:
    assert not read_ring(state, at=NOON).demanded
    create_key(state, "one", role="read", at=NOON)
    revoke_key(state, "one", at=NOON)
    ring = read_ring(state, at=NOON)
    assert ring.demanded
    assert not ring.keys


def test_listing_tells_states_and_no_hash(state: State) -> None:
    create_key(state, "valid", role="admin", at=NOON)
    create_key(state, "ended", role="read", at=NOON, lifetime=HOUR)
    create_key(state, "gone", role="read", at=NOON)
    document = revoke_key(state, "gone", at=NOON)
    assert document == list_keys(state, at=NOON)
    rows = list_keys(state, at=NOON + HOUR)["keys"]
    assert sorted(row["state"] for row in rows) == ["expired", "revoked", "valid"]
    assert {tuple(row) for row in rows} == {("name", "id", "role", "state", "created_at", "expires_at")}


def test_rotating_an_expired_key_does_not_revive_it(state: State) -> None:
    old = create_key(state, "one", role="read", at=NOON, lifetime=HOUR)["key"]
    late = NOON + 2 * HOUR
    new = rotate_key(state, "one", grace=24 * HOUR, at=late)["key"]
    ring = read_ring(state, at=late)
    assert ring.owner(old) is None
    assert ring.owner(new) is not None


def test_rotating_twice_keeps_every_name_apart(state: State) -> None:
    name = "n" * 64
    create_key(state, name, role="read", at=NOON)
    for minute in range(3):
        document = rotate_key(state, name, grace=HOUR, at=NOON + dt.timedelta(minutes=minute))
    names = [row["name"] for row in document["keys"]]
    assert len(set(names)) == 4
    assert max(map(len, names)) <= 128


def test_ring_ends_keys_on_time_without_the_database() -> None:
    number, secret, whole = new_secret()
    ring = KeyRing.of([Kept(number, digest_of(secret), "read", "one", NOON + HOUR)])
    assert ring.without_expired(NOON).owner(whole) is not None
    ended = ring.without_expired(NOON + HOUR)
    assert ended.owner(whole) is None
    assert ended.demanded


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a" * 65, "a\n", "ä", "../x"])
def test_name_that_cannot_be_one_is_refused(state: State, name: str) -> None:
    with pytest.raises(UsageError, match="expected 1 to 64"):
        create_key(state, name, role="read", at=NOON)


def test_role_that_is_none_is_refused(state: State) -> None:
    with pytest.raises(UsageError, match='unknown role "root"'):
        create_key(state, "one", role="root", at=NOON)


def test_roles_hold_all_those_before_them() -> None:
    assert [[allows(role, needed) for needed in ROLES] for role in ROLES] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


@given(st.text(max_size=300))
def test_no_text_opens_anything(text: str) -> None:
    number, secret, _ = new_secret()
    ring = KeyRing.of([Kept(number, digest_of(secret), "read", "one"), Kept("", digest_of(""), "admin", "none")])
    for given_text in (text, f"ml_{number}_{text}", f"ml_{text}_{secret}", f"ml__{text}"):
        assert ring.owner(given_text) is None


def test_what_a_revoked_key_asked_for_and_nobody_began_is_not_done(state: State) -> None:
    create_key(state, "gone", role="admin", at=NOON)
    with state.write() as db:
        wish = Wish("manual", "mine", ("price_predictor",), choices={"promote": 2}, requested_by="gone")
        asked, _ = requests.ask(db, wish, process=this_process(), at=NOON)
        other, _ = requests.ask(db, Wish("manual", "theirs", requested_by="else"), process=this_process(), at=NOON)
    revoke_key(state, "gone", at=NOON + HOUR)
    with state.read() as db:
        mine, theirs = requests.get(db, asked.id), requests.get(db, other.id)
    assert mine is not None
    assert theirs is not None
    assert (mine.state, theirs.state) == ("skipped", "waiting")
    assert "was revoked" in mine.why_not
