"""The guard: when it takes a new champion back, when it does not, and what it never looks at."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.builders import series_with_z

from marketloop.core.errors import UsageError
from marketloop.evaluation.boundary import constant_boundary
from marketloop.evaluation.guard import GuardPolicy, guard, guard_terms
from marketloop.evaluation.rank_ic import SessionSeries

POLICY = GuardPolicy()


def series(value: list[float] | np.ndarray[tuple[int], np.dtype[np.float64]], first: int = 700) -> SessionSeries:
    made = np.asarray(value, dtype=np.float64)
    return SessionSeries(np.arange(first, first + len(made), dtype=np.int32), made)


@pytest.mark.parametrize(("z", "worse"), [(-2.6, True), (-2.4, False), (0.0, False), (2.6, False)])
def test_new_champion_that_is_worse_than_bad_luck_is_found(z: float, worse: bool) -> None:
    found = guard(series_with_z(z, 60), POLICY)
    assert found.z == pytest.approx(z)
    assert found.worse is worse


def test_bar_pays_for_every_night_of_the_window() -> None:
    assert guard(series([0.1] * 50), POLICY).bar == -constant_boundary(0.02, 63 / 40)
    assert guard(series([0.1] * 50), POLICY).bar < -2.054  # one look alone would have to clear this


def test_bar_is_the_same_from_the_first_night_to_the_last() -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal(200)
    assert len({guard(series(values[:n]), POLICY).bar for n in range(1, 200)}) == 1


@pytest.mark.parametrize("n", [0, 1, 20, 39])
def test_nothing_is_said_before_forty_sessions_however_bad(n: int) -> None:
    found = guard(series([-0.3] * n), POLICY)
    assert (found.n, found.worse, found.over) == (n, False, False)
    assert np.isnan(found.z)
    assert json.loads(json.dumps(found.document(), allow_nan=False))["z"] is None


def test_first_possible_night_is_enough_for_a_disaster() -> None:
    assert guard(series([-0.2, -0.1] * 20), POLICY).worse


def test_what_comes_after_the_window_changes_nothing() -> None:
    fair = [0.1, -0.1] * 31 + [0.1]
    full = guard(series(fair), POLICY)
    later = guard(series([*fair, *[-0.5] * 100]), POLICY)
    assert full.over
    assert later == full
    assert not later.worse


def test_models_that_say_the_same_are_equals() -> None:
    assert not guard(series([0.0] * 60), POLICY).worse


def test_overlapping_values_are_watched_longer_and_spend_half() -> None:
    assert [guard_terms(POLICY, overlap) for overlap in (1, 5, 20)] == [(40, 63), (60, 95), (240, 378)]
    steadily_bad = series(-0.1 + 0.02 * np.sin(np.arange(240)))
    found = guard(steadily_bad, POLICY, overlap=20)
    assert (found.worse, found.alpha) == (True, 0.01)
    assert not guard(series(steadily_bad.value[:239]), POLICY, overlap=20).worse


def test_longer_window_asks_for_more() -> None:
    short, long = (guard(series([0.1] * 45), replace(POLICY, window=w)).bar for w in (45, 250))
    assert long < short


def test_window_too_short_for_a_z_is_refused() -> None:
    with pytest.raises(UsageError, match=r"window = 20: expected at least 40"):
        GuardPolicy(window=20)


def test_document_says_what_was_seen_and_where_the_bar_is() -> None:
    document = guard(series_with_z(-3.0, 60), POLICY).document()
    assert (document["n"], document["first_look"], document["last_look"]) == (60, 40, 63)
    assert document["z"] < document["z_guard"] < 0
    assert document["interval"][0] < document["mean"] < document["interval"][1]
    assert document["worse"] is True
