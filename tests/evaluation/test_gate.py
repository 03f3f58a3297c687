"""Each sentence of the gate's pseudo-code (GATE.md, section 4)."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.evaluation.builders import series_with_z

from marketloop.core.catalog import Check
from marketloop.evaluation.boundary import constant_boundary, robbins_siegmund_constant
from marketloop.evaluation.gate import ChampionFacts, Evidence, GatePolicy, Slot, Verdict, Year, examine
from marketloop.evaluation.intervals import sequential_z, z_of
from marketloop.evaluation.rank_ic import SessionSeries

TONIGHT = 1000
POLICY = GatePolicy()
STRONG, WEAK = 4.0, 1.0
PROVISIONAL = ChampionFacts(version=1, provisional=True, trained_through=TONIGHT - 10)
PROVEN_YOUNG = ChampionFacts(version=3, provisional=False, trained_through=TONIGHT - 50)
PROVEN_OLD = ChampionFacts(version=3, provisional=False, trained_through=TONIGHT - 63)


def tonight(z: float = STRONG, n: int = 600, *, session: int = TONIGHT, **more: Any) -> Evidence:
    return Evidence(session, series_with_z(z, n, last=session), **more)


def proven_slot(**more: Any) -> Slot:
    year = Year(start=TONIGHT - 100, n0=500, alpha=0.025, k=0, z_star=constant_boundary(0.025, 1.5))
    return Slot(year=year, proven=True, **more)


def said(verdict: Verdict) -> tuple[str, str]:
    return verdict.verdict, verdict.reason_code


def failing(name: str) -> Check:
    return Check(name, 1.0, 0.0, passed=False, hard=True, detail="f7 sees the next session")


# --- no champion, or a provisional one


def test_first_candidate_with_shown_skill_is_promoted() -> None:
    verdict = examine(Slot(), None, tonight(STRONG), POLICY)
    assert said(verdict) == ("promoted", "first")
    assert verdict.slot.proven


def test_first_candidate_without_shown_skill_is_provisional() -> None:
    verdict = examine(Slot(), None, tonight(WEAK), POLICY)
    assert said(verdict) == ("provisional", "first")
    assert not verdict.slot.proven
    assert "z 1.00 over 600 sessions" in verdict.reason


def test_challenger_without_skill_is_refused_beside_a_young_provisional_champion() -> None:
    verdict = examine(Slot(), PROVISIONAL, tonight(WEAK), POLICY)
    assert said(verdict) == ("refused", "no_skill")
    assert "10 sessions old, replaced from 63" in verdict.reason


@pytest.mark.parametrize(("age", "expected"), [(62, "refused"), (63, "provisional"), (400, "provisional")])
def test_old_provisional_champion_is_replaced_by_another_provisional_one(age: int, expected: str) -> None:
    verdict = examine(Slot(), replace(PROVISIONAL, trained_through=TONIGHT - age), tonight(WEAK), POLICY)
    assert verdict.verdict == expected
    assert verdict.reason_code == ("refresh" if expected == "provisional" else "no_skill")
    assert not verdict.slot.proven


def test_challenger_is_promoted_over_a_provisional_champion_once_skill_is_shown() -> None:
    assert said(examine(Slot(), PROVISIONAL, tonight(STRONG), POLICY)) == ("promoted", "superior")


def test_skill_once_shown_stays_shown_when_z_falls_below_the_bar() -> None:
    verdict = examine(proven_slot(), PROVISIONAL, tonight(WEAK), POLICY)
    assert said(verdict) == ("promoted", "superior")
    assert "proven earlier" in verdict.reason


# --- skill


@pytest.mark.parametrize(("n", "proven"), [(248, False), (250, True)])
def test_skill_needs_two_hundred_and_fifty_sessions(n: int, proven: bool) -> None:
    assert examine(Slot(), None, tonight(6.0, n), POLICY).slot.proven is proven


def test_skill_needs_the_bar_of_the_whole_year_and_not_that_of_one_look() -> None:
    bar = constant_boundary(0.025, 850 / 600)
    assert bar > 2.34
    assert not examine(Slot(), None, tonight(2.2), POLICY).slot.proven  # beyond 1.96
    assert not examine(Slot(), None, tonight(bar - 0.001), POLICY).slot.proven
    assert examine(Slot(), None, tonight(bar + 0.001), POLICY).slot.proven


def test_year_is_opened_at_the_first_look_with_its_range_and_bar() -> None:
    year = examine(Slot(), None, tonight(WEAK, 600), POLICY).slot.year
    assert year == Year(start=TONIGHT, n0=600, alpha=0.025, k=0, z_star=constant_boundary(0.025, 850 / 600))


def test_year_opened_with_a_short_stream_ranges_from_the_least_number_of_sessions() -> None:
    year = examine(Slot(), None, tonight(WEAK, 100), POLICY).slot.year
    assert year == Year(start=TONIGHT, n0=250, alpha=0.025, k=0, z_star=constant_boundary(0.025, 2.0))


def test_year_once_opened_keeps_its_bar_while_the_stream_grows() -> None:
    opened = examine(Slot(), None, tonight(WEAK, 600), POLICY).slot
    later = examine(opened, PROVISIONAL, tonight(WEAK, 700, session=TONIGHT + 249), POLICY).slot
    assert later.year == opened.year


def test_new_year_is_opened_after_two_hundred_and_fifty_sessions() -> None:
    opened = examine(Slot(reign=2), None, tonight(WEAK, 600), POLICY).slot
    later = examine(replace(opened, reign=2), PROVISIONAL, tonight(WEAK, 850, session=TONIGHT + 250), POLICY).slot
    assert later.year == Year(TONIGHT + 250, 850, 0.025, 0, constant_boundary(0.025, 1100 / 850))
    assert later.reign == 0


@pytest.mark.parametrize(("k", "alpha"), [(0, 0.025), (1, 0.00625), (2, 0.003125), (3, 0.0015625)])
def test_further_streams_of_a_year_spend_less_and_less(k: int, alpha: float) -> None:
    year = examine(Slot(further=k), None, tonight(WEAK, 600), POLICY).slot.year
    assert year is not None
    assert (year.k, year.alpha) == (k, alpha)
    assert year.z_star == constant_boundary(alpha, 850 / 600)


def test_all_streams_of_a_year_together_spend_at_most_three_and_three_quarters_percent() -> None:
    spent = sum(Year.opened(TONIGHT, 600, POLICY, k).alpha for k in range(30))
    assert spent <= 0.0375 + 1e-12


def test_bars_of_further_streams_never_fall() -> None:
    bars = [Year.opened(TONIGHT, 600, POLICY, k).z_star for k in range(12)]
    assert bars == sorted(bars)


def test_look_with_too_few_terms_shows_nothing_and_says_so() -> None:
    verdict = examine(Slot(), None, tonight(3.0, 20), POLICY)
    assert said(verdict) == ("provisional", "first")
    assert "z not known over 20 sessions" in verdict.reason
    nothing = Evidence(TONIGHT, SessionSeries(np.zeros(0, np.int32), np.zeros(0)))
    assert said(examine(Slot(), None, nothing, POLICY)) == ("provisional", "first")


# --- hard checks and continuity


@pytest.mark.parametrize(
    ("check", "code"),
    [
        ("leak", "leak"),
        ("plausibility", "implausible"),
        ("plausibility_regime", "implausible"),
        ("schema", "hard_check"),
        ("round_trip", "hard_check"),
    ],
)
@pytest.mark.parametrize("champion", [None, PROVISIONAL, PROVEN_OLD])
def test_failed_hard_check_refuses_whatever_else_was_found(
    check: str, code: str, champion: ChampionFacts | None
) -> None:
    passing = Check("smoke", 1.0, 1.0, passed=True, hard=True)
    verdict = examine(proven_slot(), champion, tonight(STRONG, hard=(passing, failing(check))), POLICY)
    assert said(verdict) == ("refused", code)
    assert "f7 sees the next session" in verdict.reason


def test_night_of_a_failed_hard_check_is_no_look_and_proves_nothing() -> None:
    before = Slot()
    verdict = examine(before, None, tonight(12.0, hard=(failing("leak"),)), POLICY)
    assert verdict.slot == before
    assert verdict.record["skill_proven"] is False
    assert [(c.name, c.passed) for c in verdict.checks] == [("leak", False), ("skill", False)]
    json.dumps(verdict.record, allow_nan=False)


def test_soft_check_that_fails_does_not_refuse() -> None:
    soft = replace(failing("floor"), hard=False)
    assert examine(Slot(), None, tonight(STRONG, hard=(soft,)), POLICY).verdict == "promoted"


@pytest.mark.parametrize("champion", [None, PROVISIONAL, PROVEN_OLD])
def test_candidate_that_orders_the_tickers_unlike_its_stream_is_refused(champion: ChampionFacts | None) -> None:
    verdict = examine(proven_slot(), champion, tonight(STRONG, continuity=0.29), POLICY)
    assert said(verdict) == ("refused", "discontinuity")
    assert examine(Slot(), None, tonight(STRONG, continuity=0.3), POLICY).verdict == "promoted"


def test_look_of_a_discontinuous_candidate_counts_since_skill_is_the_recipes() -> None:
    verdict = examine(Slot(), None, tonight(STRONG, continuity=0.1), POLICY)
    assert verdict.slot.proven
    assert verdict.slot.year is not None


# --- against a proven champion


def pair(z: float, n: int = 100) -> SessionSeries:
    return series_with_z(z, n, last=TONIGHT, scale=0.05)


def bar_of(d: SessionSeries, reign: int = 0) -> float:
    a = robbins_siegmund_constant(0.025 / 2 ** (reign + 1))
    variance = np.cumsum(d.value**2)
    return math.sqrt(a * a + math.log(variance[-1] / variance[39]))


def test_challenger_that_is_better_beyond_the_bar_in_variance_time_is_promoted() -> None:
    bar = bar_of(pair(3.5))
    assert 3.0 < bar < 3.5
    better = examine(proven_slot(), PROVEN_YOUNG, tonight(WEAK, d=pair(bar + 0.1)), POLICY)
    assert said(better) == ("promoted", "superior")
    almost = examine(proven_slot(), PROVEN_YOUNG, tonight(WEAK, d=pair(bar - 0.1)), POLICY)
    assert said(almost) == ("refused", "not_better")


def test_bar_rises_when_the_difference_grows_after_the_first_forty_sessions() -> None:
    calm, growing = pair(2.0), pair(2.0)
    growing = replace(growing, value=growing.value * np.linspace(1, 6, 100))
    bars = [
        examine(proven_slot(), PROVEN_YOUNG, tonight(WEAK, d=d), POLICY).record["pair"]["boundary"]
        for d in (calm, growing)
    ]
    assert bars == [pytest.approx(bar_of(calm)), pytest.approx(bar_of(growing))]
    assert bars[1] > bars[0] + 0.1


def test_comparison_waits_for_forty_sessions() -> None:
    assert said(examine(proven_slot(), PROVEN_YOUNG, tonight(d=pair(5.0, 38)), POLICY)) == ("refused", "not_better")
    assert said(examine(proven_slot(), PROVEN_YOUNG, tonight(d=pair(5.0, 40)), POLICY)) == ("promoted", "superior")
    assert said(examine(proven_slot(), PROVEN_YOUNG, tonight(d=None), POLICY)) == ("refused", "not_better")


def test_each_promotion_for_being_better_halves_the_alpha_of_the_next() -> None:
    d = pair(3.3)
    alphas = []
    for reign in range(3):
        verdict = examine(proven_slot(reign=reign), PROVEN_YOUNG, tonight(WEAK, d=d), POLICY)
        alphas.append(verdict.record["pair"]["alpha"])
        assert verdict.record["pair"]["boundary"] == pytest.approx(bar_of(d, reign))
    assert alphas == [0.0125, 0.00625, 0.003125]


def test_better_challenger_of_an_unproven_recipe_is_refused() -> None:
    verdict = examine(Slot(), PROVEN_YOUNG, tonight(WEAK, d=pair(6.0)), POLICY)
    assert said(verdict) == ("refused", "no_skill")


@pytest.mark.parametrize("z", [-1.2, 0.0, 1.5])
def test_old_champion_is_refreshed_by_an_equal(z: float) -> None:
    assert said(examine(proven_slot(), PROVEN_OLD, tonight(WEAK, d=pair(z, 58)), POLICY)) == ("promoted", "refresh")


def test_old_champion_is_not_refreshed_by_a_worse_one() -> None:
    verdict = examine(proven_slot(), PROVEN_OLD, tonight(WEAK, d=pair(-1.3, 58)), POLICY)
    assert said(verdict) == ("refused", "not_better")


def test_refusal_beside_an_old_champion_says_why_it_is_not_refreshed_either() -> None:
    worse = examine(proven_slot(), PROVEN_OLD, tonight(WEAK, d=pair(-1.3, 58)), POLICY)
    assert "the challenger is worse: a refresh needs a z above -1.28" in worse.reason
    short = examine(proven_slot(), PROVEN_OLD, tonight(WEAK, d=pair(0.0, 30)), POLICY)
    assert "it takes 40 sessions that neither had seen" in short.reason


def test_comparison_on_too_few_sessions_says_how_many_it_takes() -> None:
    verdict = examine(proven_slot(), PROVEN_YOUNG, tonight(WEAK, d=pair(0.0, 15)), POLICY)
    assert "on 15 sessions neither had seen (too few to compare, it takes 40)" in verdict.reason


def test_young_champion_is_not_refreshed() -> None:
    champion = replace(PROVEN_OLD, trained_through=TONIGHT - 62)
    verdict = examine(proven_slot(), champion, tonight(WEAK, d=pair(0.5, 56)), POLICY)
    assert said(verdict) == ("refused", "not_better")
    assert "refresh is due from 63 sessions, it is 62 old" in verdict.reason


@pytest.mark.parametrize(("ago", "expected"), [(0, "refused"), (62, "refused"), (63, "promoted")])
def test_old_champion_that_came_back_is_refreshed_no_earlier_than_a_young_one(ago: int, expected: str) -> None:
    back = replace(PROVEN_OLD, trained_through=TONIGHT - 200, returned=TONIGHT - ago)
    assert examine(proven_slot(), back, tonight(d=pair(0.0)), POLICY).verdict == expected
    alone = replace(PROVISIONAL, trained_through=TONIGHT - 200, returned=TONIGHT - ago)
    assert examine(Slot(), alone, tonight(WEAK), POLICY).verdict == expected.replace("promoted", "provisional")


@pytest.mark.parametrize(("ago", "expected"), [(0, "refused"), (39, "refused"), (40, "promoted")])
def test_provisional_champion_that_came_back_is_not_replaced_the_next_night(ago: int, expected: str) -> None:
    back = replace(PROVISIONAL, trained_through=TONIGHT - 200, returned=TONIGHT - ago)
    verdict = examine(proven_slot(), back, tonight(STRONG), POLICY)
    assert verdict.verdict == expected
    if expected == "refused":
        assert f"version 1 came back by a rollback {ago} sessions ago" in verdict.reason


def test_refresh_never_promotes_a_recipe_whose_skill_was_not_shown() -> None:
    verdict = examine(Slot(), PROVEN_OLD, tonight(WEAK, d=pair(0.5, 58)), POLICY)
    assert said(verdict) == ("refused", "no_skill")
    assert not verdict.slot.proven


def test_same_model_again_is_a_refresh_when_the_champion_is_old() -> None:
    same = replace(pair(0.0, 58), value=np.zeros(58))
    assert said(examine(proven_slot(), PROVEN_OLD, tonight(WEAK, d=same), POLICY)) == ("promoted", "refresh")


def test_champion_that_cannot_be_asked_any_more_is_kept_and_the_way_out_is_named() -> None:
    verdict = examine(proven_slot(), PROVEN_OLD, tonight(WEAK, d=None), POLICY)
    assert said(verdict) == ("refused", "not_better")
    assert "cannot be asked any more" in verdict.reason
    assert "--force" in verdict.reason


def test_comparison_says_what_would_have_passed() -> None:
    record = examine(proven_slot(), PROVEN_YOUNG, tonight(WEAK, d=pair(2.0)), POLICY).record["pair"]
    assert (record["n"], record["reign"], record["first_look"]) == (100, 0, 40)
    assert record["variance_share_first_look"] == pytest.approx(0.4)
    raised = pair(2.0)
    value = raised.value + record["mean_to_pass"] - record["mean"]
    assert sequential_z(value) == pytest.approx(record["boundary"], rel=0.1)
    assert record["interval"][0] < record["mean"] < record["interval"][1]


# --- series whose values overlap


def overlapping(mean: float, n: int, *, horizon: int = 20, seed: int = 0) -> SessionSeries:
    noise = np.random.default_rng(seed).normal(size=n + horizon)
    value = mean + np.convolve(noise, np.ones(horizon) / horizon, mode="valid")[:n]
    return SessionSeries(np.arange(TONIGHT - n + 1, TONIGHT + 1, dtype=np.int32), value)


def test_overlapping_series_is_judged_by_its_long_run_variance() -> None:
    x = overlapping(0.08, 600)
    plain = examine(Slot(), None, Evidence(TONIGHT, x), POLICY)
    honest = examine(Slot(), None, Evidence(TONIGHT, x, overlap=20, statistic="gain"), POLICY)
    assert plain.slot.proven
    assert not honest.slot.proven
    assert honest.record["z"] == pytest.approx(z_of(x.value, 20))
    assert honest.record["z"] < plain.record["z"] / 2
    assert (honest.record["overlap"], honest.record["statistic"]) == (20, "gain")
    assert honest.record["mean_gain_interval"][0] < honest.record["mean_gain"]
    assert "mean gain" in honest.record["to_pass"]


def test_overlapping_series_moved_to_the_mean_that_would_pass_passes() -> None:
    x = overlapping(0.02, 600)
    verdict = examine(Slot(), None, Evidence(TONIGHT, x, overlap=20, statistic="gain"), POLICY)
    bar = verdict.record["year"]["z_star"]
    needed = float(verdict.record["to_pass"].split()[4])
    assert z_of(x.value - x.value.mean() + needed, 20) == pytest.approx(bar, abs=0.01)


def test_overlapping_comparison_moved_to_the_mean_that_would_pass_passes() -> None:
    d = overlapping(0.05, 400)
    evidence = Evidence(TONIGHT, overlapping(0.1, 600), d=d, overlap=20)
    record = examine(proven_slot(), PROVEN_YOUNG, evidence, POLICY).record["pair"]
    assert z_of(d.value - d.value.mean() + record["mean_to_pass"], 20) == pytest.approx(record["boundary"], abs=1e-6)


def test_skill_that_was_proven_earlier_asks_for_nothing_more() -> None:
    record = examine(proven_slot(), PROVEN_YOUNG, tonight(WEAK, d=pair(0.0)), POLICY).record
    assert (record["skill_proven"], record["to_pass"]) == (True, "passed")


def test_overlapping_series_waits_for_twenty_five_spans_of_its_overlap() -> None:
    x = overlapping(0.8, 300)
    verdict = examine(Slot(), None, Evidence(TONIGHT, x, overlap=20), POLICY)
    assert verdict.slot.year is not None
    assert (verdict.slot.year.n0, verdict.slot.proven) == (500, False)
    assert Year.opened(TONIGHT, 300, POLICY, 0, overlap=5).n0 == 300


def test_strong_overlapping_series_is_proven() -> None:
    assert examine(Slot(), None, Evidence(TONIGHT, overlapping(0.8, 600), overlap=20), POLICY).slot.proven


def test_overlapping_comparison_waits_until_its_variance_is_known() -> None:
    for n, word in ((239, "not_better"), (240, "superior")):
        evidence = Evidence(TONIGHT, overlapping(0.1, 600), d=overlapping(1.5, n), overlap=20)
        assert examine(proven_slot(), PROVEN_YOUNG, evidence, POLICY).reason_code == word


def test_old_champion_of_overlapping_outcomes_is_refreshed_before_a_comparison_can_speak() -> None:
    evidence = Evidence(TONIGHT, overlapping(0.1, 600), d=overlapping(-0.1, 58), overlap=20)
    verdict = examine(proven_slot(), PROVEN_OLD, evidence, POLICY)
    assert said(verdict) == ("promoted", "refresh")
    assert "z not known" in verdict.reason


# --- the slot's year


def test_further_stream_forgets_no_promotion_of_the_slots_year() -> None:
    """Declaring another recipe opens an entry of its own; what a reign has spent stays spent."""
    before = Slot(further=1, reign=2, proven=True)
    verdict = examine(before, PROVEN_YOUNG, tonight(WEAK, d=pair(3.3)), POLICY)
    assert verdict.slot.reign == 2
    assert verdict.record["pair"]["alpha"] == 0.025 / 8
    assert verdict.record["year"]["k"] == 1


# --- the record, and the order of nights


def test_record_says_what_was_seen_what_was_needed_and_what_would_pass() -> None:
    record = examine(Slot(), None, tonight(WEAK, 600), POLICY).record
    assert (record["session"], record["n"], record["skill_proven"]) == (TONIGHT, 600, False)
    assert record["z"] == pytest.approx(1.0)
    assert record["year"]["n0"] == 600
    assert record["mean_ic1_interval"][0] < record["mean_ic1"] < record["mean_ic1_interval"][1]
    x = series_with_z(WEAK, 600).value
    needed = float(record["to_pass"].split()[4])
    assert needed == pytest.approx(record["year"]["z_star"] * math.sqrt(np.mean(x**2) / 600), abs=1e-4)


@pytest.mark.parametrize("champion", [None, PROVISIONAL, PROVEN_YOUNG, PROVEN_OLD])
@pytest.mark.parametrize("n", [0, 20, 400])
def test_record_is_a_json_document(champion: ChampionFacts | None, n: int) -> None:
    evidence = tonight(1.0, n, d=pair(1.0), continuity=0.9) if n else tonight(0.0, 0)
    verdict = examine(Slot(), champion, evidence, POLICY)
    assert json.loads(json.dumps(verdict.record, allow_nan=False)) == verdict.record


def nights(x: SessionSeries, through: int) -> list[tuple[str, str, Slot, dict[str, Any]]]:
    """Examine every fifth night from session 300 on; a provisional champion is 20 sessions old for ever."""
    slot = Slot()
    course: list[tuple[str, str, Slot, dict[str, Any]]] = []
    for session in range(300, through + 1, 5):
        champion = ChampionFacts(1, provisional=True, trained_through=session - 20)
        verdict = examine(slot, champion, Evidence(session, x.between(0, session)), POLICY)
        slot = verdict.slot
        course.append((verdict.verdict, verdict.reason_code, slot, verdict.record))
    return course


def test_more_data_change_no_earlier_verdict_and_no_earlier_bar() -> None:
    x = SessionSeries(np.arange(800, dtype=np.int32), np.random.default_rng(3).normal(0.012, 0.2, 800))
    whole = nights(x, 799)
    assert nights(x.between(0, 500), 500) == whole[: len(nights(x, 500))]
    assert {course[2].year.start for course in whole if course[2].year is not None} == {300, 550}


def test_same_night_twice_is_one_look() -> None:
    once = examine(Slot(), PROVISIONAL, tonight(WEAK), POLICY)
    twice = examine(once.slot, PROVISIONAL, tonight(WEAK), POLICY)
    assert (twice.slot, said(twice)) == (once.slot, said(once))


def test_worthless_streams_are_rarely_called_skilled_in_a_year_of_nights() -> None:
    rng = np.random.default_rng(12)
    claims = 0
    for _ in range(400):
        x = rng.normal(0, 0.2, 750)
        year = Year.opened(TONIGHT, 500, POLICY, 0)
        z = [sequential_z(x[:n]) for n in range(500, 750, 10)]
        claims += max(z) >= year.z_star
    assert claims <= 20  # 2.5 % of 400 are 10; 20 is beyond its 99.8 % point
