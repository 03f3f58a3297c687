from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketloop.core.errors import FailedError, UsageError
from marketloop.state import Slot, State, champions, decisions
from marketloop.state.champions import Champion
from marketloop.state.decisions import Decision

SLOT = Slot("price_predictor", "rsi10_vol20_support20")
DAY = dt.timedelta(days=1)
START = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)


def entry(version: int, action: str = "promote", *, day: int = 0, session: int | None = None) -> Champion:
    at = START + day * DAY
    return Champion(SLOT, version, action, "champion", True, at, at, START, "data1", "ab" * 32, 1, session=session)


def test_champion_at_a_date_is_the_one_that_served_then(state: State) -> None:
    with state.write() as db:
        for number, day in ((1, 0), (2, 10), (3, 20)):
            champions.append(db, entry(number, day=day), expected=number - 1)
    with state.read() as db:
        days = {d: champions.at(db, SLOT, START + d * DAY) for d in (-1, 0, 9, 10, 19, 25)}
        now = champions.current(db, SLOT)
    served = {day: found.version if found else None for day, found in days.items()}
    assert served == {-1: None, 0: 1, 9: 1, 10: 2, 19: 2, 25: 3}
    assert now is not None
    assert (now.version, now.entry) == (3, 3)


def test_champion_is_not_appended_when_another_came_first(state: State) -> None:
    with state.write() as db:
        champions.append(db, entry(1), expected=0)
    with pytest.raises(FailedError, match="changed meanwhile: expected ledger entry 0, found 1"), state.write() as db:
        champions.append(db, entry(2), expected=0)
    with state.read() as db:
        assert [e.version for e in champions.history(db, SLOT)] == [1]


def test_one_of_two_processes_wins_the_champion(compete: Callable[[str], list[str]]) -> None:
    answers = compete("""
from marketloop.core.errors import FailedError
from marketloop.state import champions
with State.open(url) as state:
    won = 0
    for round in range(10):
        with state.read() as db:
            now = champions.current(db, slot)
        expected = now.entry if now else 0
        try:
            with state.write() as db:
                new = champions.Champion(slot, 1, 'refresh', 'champion', True, at, at, at, 'd', 'ab', 1)
                won += champions.append(db, new, expected=expected).entry > 0
        except FailedError:
            pass
    with state.read() as db:
        print(won, len(champions.history(db, slot)))
""")
    won = [int(answer.split()[0]) for answer in answers]
    assert sum(won) == max(int(answer.split()[1]) for answer in answers)
    assert min(won) >= 0
    assert sum(won) >= 10


def test_champion_needs_proven_skill() -> None:
    with pytest.raises(UsageError, match="has no proven skill; it can only be provisional"):
        replace(entry(1), skill_proven=False)


def test_rollback_goes_back_two_versions_when_done_twice(state: State) -> None:
    with state.write() as db:
        for number in (1, 2, 3):
            champions.append(db, entry(number), expected=number - 1)
        before = champions.previous(db, SLOT)
        assert before is not None
        assert before.version == 2
        champions.append(db, replace(before, action="rollback"), expected=3)
        again = champions.previous(db, SLOT)
        assert again is not None
        assert again.version == 1
        champions.append(db, replace(again, action="rollback"), expected=4)
        assert champions.previous(db, SLOT) is None


def test_reign_counts_superiority_promotions_of_the_year(state: State) -> None:
    with state.write() as db:
        for number, (code, session) in enumerate(
            [("first", 500), ("superior", 600), ("refresh", 700), ("superior", 800)], start=1
        ):
            made = decisions.record(db, Decision(SLOT, number, "promoted", code, "why", START))
            champions.append(db, replace(entry(number, session=session), decision_id=made.id), expected=number - 1)
        assert champions.reign(db, SLOT, since_session=500) == 2
        assert champions.reign(db, SLOT, since_session=601) == 1


def test_promotion_over_a_provisional_champion_spends_nothing_of_the_reign(state: State) -> None:
    course = [("first", "provisional"), ("superior", "champion"), ("superior", "champion"), ("harm", "provisional")]
    with state.write() as db:
        for number, (code, status) in enumerate([*course, ("superior", "champion")], start=1):
            made = decisions.record(db, Decision(SLOT, number, "promoted", code, "why", START))
            action = "harm" if code == "harm" else "promote"
            row = replace(
                entry(number, action, session=600 + number),
                status=status,
                skill_proven=status == "champion",
                decision_id=made.id,
            )
            champions.append(db, row, expected=number - 1)
        assert champions.reign(db, SLOT, since_session=600) == 1
        assert champions.reign(db, SLOT, since_session=604) == 0


@settings(max_examples=15, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["promote", "refresh", "rollback", "forced"]), st.booleans()),
        max_size=8,
    )
)
def test_ledger_only_grows_and_answers_for_every_moment(steps: list[tuple[int, str, bool]]) -> None:
    with TemporaryDirectory() as folder, State.open(f"sqlite:///{Path(folder)}/state.db") as state:
        seen: list[Champion] = []
        for day, (version, action, honest) in enumerate(steps):
            try:
                with state.write() as db:
                    expected = len(seen) if honest else len(seen) + 1
                    added = champions.append(db, entry(version, action, day=day), expected=expected)
            except FailedError:
                assert not honest
            else:
                seen.append(added)
            with state.read() as db:
                assert list(reversed(champions.history(db, SLOT))) == seen
        with state.read() as db:
            for one in seen:
                assert champions.at(db, SLOT, one.recorded_at) == one
