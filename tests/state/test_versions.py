from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

import pytest

from marketloop.core.errors import UsageError
from marketloop.state import Slot, State, this_process, versions


def test_version_numbers_count_per_slot(state: State, noon: dt.datetime) -> None:
    one, other = Slot("price_predictor", "rsi10"), Slot("price_predictor", "rsi14")
    with state.write() as db:
        numbers = [versions.allocate(db, s, process=this_process(), at=noon).version for s in (one, one, other)]
    assert numbers == [1, 2, 1]


def test_version_keeps_what_is_known_of_it(state: State, slot: Slot, noon: dt.datetime) -> None:
    with state.write() as db:
        version = versions.allocate(db, slot, process=this_process(), at=noon)
        filled = dataclasses.replace(version, recipe="ridge", data_version="17", sha256="ab", path="p/v1")
        versions.complete(db, filled)
        versions.examined(db, slot, 1, metrics={"rank_ic": 0.02}, baseline={"rank_ic": 0.0}, scorecard={"n": 500})
        versions.ruled(db, slot, 1, "provisional")
    with state.read() as db:
        found = versions.require(db, slot, 1)
    assert (found.state, found.verdict, found.recipe, found.trained_at) == ("complete", "provisional", "ridge", noon)
    assert (found.metrics, found.scorecard, found.process) == ({"rank_ic": 0.02}, {"n": 500}, this_process())


def test_version_number_is_not_used_again_when_abandoned(state: State, slot: Slot, noon: dt.datetime) -> None:
    with state.write() as db:
        versions.allocate(db, slot, process=this_process(), at=noon)
        versions.mark(db, slot, 1, "abandoned")
        assert versions.allocate(db, slot, process=this_process(), at=noon).version == 2


def test_version_that_is_not_complete_takes_no_verdict(state: State, slot: Slot, noon: dt.datetime) -> None:
    with state.write() as db:
        versions.allocate(db, slot, process=this_process(), at=noon)
        with pytest.raises(UsageError, match=r"version 1 of .* is writing; expected complete"):
            versions.ruled(db, slot, 1, "promoted")
        with pytest.raises(UsageError, match="has no version 7: known are 1"):
            versions.require(db, slot, 7)


def test_two_processes_never_get_the_same_number(compete: Callable[[str], list[str]]) -> None:
    answers = compete("""
from marketloop.state import versions
with State.open(url) as state:
    for _ in range(20):
        with state.write() as db:
            print(versions.allocate(db, slot, process=this_process(), at=at).version)
""")
    assert sorted(int(n) for answer in answers for n in answer.split()) == list(range(1, 41))


def test_best_version_is_an_examined_one_where_there_is_any(state: State, slot: Slot, noon: dt.datetime) -> None:
    with state.write() as db:
        for number, figure in ((1, 0.01), (2, 0.09)):
            made = versions.allocate(db, slot, process=this_process(), at=noon)
            versions.complete(db, made)
            versions.examined(db, slot, number, metrics={"rank_ic": figure}, baseline={}, scorecard={})
        versions.ruled(db, slot, 1, "refused")
        rows = [versions.require(db, slot, number) for number in (1, 2)]
    best = versions.best(rows)
    assert best is not None
    assert best.version == 1
    lucky = versions.best(rows[1:])
    assert lucky is not None
    assert lucky.version == 2
