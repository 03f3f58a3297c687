"""The harm alarm: when it rings, when it does not, and what it cannot know."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.builders import series_with_z

from marketloop.evaluation.gate import GatePolicy
from marketloop.evaluation.harm import harm, harm_terms
from marketloop.evaluation.rank_ic import SessionSeries

POLICY = GatePolicy()


def series(value: list[float] | np.ndarray[tuple[int], np.dtype[np.float64]], last: int = 1000) -> SessionSeries:
    made = np.asarray(value, dtype=np.float64)
    return SessionSeries(np.arange(last - len(made) + 1, last + 1, dtype=np.int32), made)


@pytest.mark.parametrize(("z", "rings"), [(-3.2, True), (-3.05, False), (0.0, False), (3.2, False)])
def test_alarm_rings_when_the_newest_terms_are_worse_than_bad_luck(z: float, rings: bool) -> None:
    found = harm(series_with_z(z, 64), replace(POLICY, harm_window=64))
    assert found.z == pytest.approx(z)
    assert found.alarm is rings


def test_alarm_reads_the_newest_sixty_three_terms_and_no_others() -> None:
    bad = series([-0.2, -0.1] * 32)
    glory = series([0.5] * 500, last=936)
    whole = SessionSeries(np.concatenate([glory.session, bad.session]), np.concatenate([glory.value, bad.value]))
    found = harm(whole, POLICY)
    assert (found.n, found.first, found.last) == (63, 938, 1000)
    assert found == harm(bad, POLICY)
    assert found.alarm


@pytest.mark.parametrize("n", [0, 1, 40, 62])
def test_too_short_a_life_is_not_judged_however_bad(n: int) -> None:
    found = harm(series([-0.3] * n), POLICY)
    assert (found.n, found.alarm) == (n, False)
    assert np.isnan(found.z)
    assert json.loads(json.dumps(found.document(), allow_nan=False))["z"] is None


def test_model_that_says_nothing_does_no_harm() -> None:
    assert not harm(series([0.0] * 63), POLICY).alarm


def test_overlapping_terms_need_a_longer_window() -> None:
    assert [harm_terms(POLICY, overlap) for overlap in (1, 5, 20)] == [63, 63, 240]
    steadily_bad = series(-0.1 + 0.02 * np.sin(np.arange(240)))
    assert harm(steadily_bad, POLICY, overlap=20).alarm
    assert not harm(series(steadily_bad.value[:239]), POLICY, overlap=20).alarm


def test_same_rule_judges_a_difference_to_the_model_before() -> None:
    worse = series_with_z(-3.4, 64)
    equal = series_with_z(0.2, 64)
    policy = replace(POLICY, harm_window=64)
    assert (harm(worse, policy).alarm, harm(equal, policy).alarm) == (True, False)


def test_document_says_what_was_seen_and_where_the_bar_is() -> None:
    document = harm(series_with_z(-3.5, 64), replace(POLICY, harm_window=64)).document()
    assert (document["n"], document["window"], document["z_harm"], document["alarm"]) == (64, 64, -3.1, True)
    assert (document["first_session"], document["last_session"]) == (937, 1000)
    assert document["mean"] < 0
