"""API keys in the ledger: only hashes, names that are free again, ends that hold."""

from __future__ import annotations

import datetime as dt

import pytest

from marketloop.core.errors import UsageError
from marketloop.state import State, keys
from marketloop.state.keys import ApiKey

HOUR = dt.timedelta(hours=1)


def key(number: str, name: str, at: dt.datetime, ends: dt.datetime | None = None) -> ApiKey:
    return ApiKey(number, name, "read", "ab" * 32, at, ends)


def test_keys_are_listed_as_they_were_made(state: State, noon: dt.datetime) -> None:
    made = (key("k1", "one", noon), key("k2", "two", noon + HOUR, noon + 2 * HOUR))
    with state.write() as db:
        for one in reversed(made):
            keys.add(db, one)
    with state.read() as db:
        assert keys.listing(db) == made


def test_name_is_taken_until_its_key_is_revoked(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        keys.add(db, key("k1", "one", noon))
    with pytest.raises(UsageError, match='called "one" exists already'), state.write() as db:
        keys.add(db, key("k2", "one", noon))
    with state.write() as db:
        keys.revoke(db, "one", at=noon)
        keys.add(db, key("k2", "one", noon))
        known = keys.listing(db)
    assert [(one.id, one.is_valid(noon)) for one in known] == [("k1", False), ("k2", True)]


def test_key_is_valid_until_the_moment_it_expires(noon: dt.datetime) -> None:
    one = key("k1", "one", noon, noon + HOUR)
    assert [one.is_valid(noon + n * HOUR / 2) for n in range(4)] == [True, True, False, False]


def test_expiring_never_lengthens_a_life(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        keys.add(db, key("k1", "ended", noon, noon + HOUR))
        keys.add(db, key("k2", "endless", noon))
        keys.expire(db, "ended", at=noon + 5 * HOUR, under="ended before")
        keys.expire(db, "endless", at=noon + 5 * HOUR, under="endless before")
        known = {one.name: one.expires_at for one in keys.listing(db)}
    assert known == {"ended before": noon + HOUR, "endless before": noon + 5 * HOUR}


def test_unknown_and_revoked_keys_are_named_as_such(state: State, noon: dt.datetime) -> None:
    with state.write() as db:
        keys.add(db, key("k1", "one", noon))
        keys.revoke(db, "one", at=noon)
    for name in ("one", "never"):
        with pytest.raises(UsageError, match=f'no key called "{name}"'), state.write() as db:
            keys.revoke(db, name, at=noon)
        with pytest.raises(UsageError, match=f'no key called "{name}"'), state.write() as db:
            keys.expire(db, name, at=noon, under="x")
