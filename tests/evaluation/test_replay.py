"""A replayed policy: what serves, who takes it back, and that what comes later changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tests.evaluation.builders import SmallMarket, small_market
from tests.evaluation.learners import buy_minus_sell, teller

from marketloop.core.catalog import Family
from marketloop.dataset import LabelSpec
from marketloop.evaluation.backtest import Plan
from marketloop.evaluation.facts import GatePolicy
from marketloop.evaluation.guard import GuardPolicy
from marketloop.evaluation.hindsight import Past, Voice
from marketloop.evaluation.intervals import Interval
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.performance import Bounds
from marketloop.evaluation.replay import Course, Policy, replay
from marketloop.evaluation.replayed import Gain, Replayed
from marketloop.evaluation.stream import Fitted, Stream, StreamSpec, advance, fit_at
from marketloop.models import builtin_recipes

RIDGE = next(recipe for recipe in builtin_recipes() if recipe.name == "rank_ridge")
FAMILY = Family("price_predictor", ("SELL", "HOLD", "BUY"), 5, 0.02, ("rank_ridge",), buy_minus_sell, minimum_rows=1000)
SPEC = StreamSpec(FAMILY, (Contender(RIDGE, dict(RIDGE.defaults)),), LabelSpec(5, 0.02), "basic", "rsi10")
GATE = GatePolicy(min_skill_sessions=60, refresh_age=50)
GUARD = GuardPolicy()
START, END = 850, 1010


def past_of(market: SmallMarket, until: int | None = None, spec: StreamSpec = SPEC) -> Past:
    matrix, panel = market.matrix(until), market.panel(until)
    return Past(matrix, panel, spec, advance(Stream(spec.fingerprint), matrix, panel, spec))


def every(step: int) -> Callable[[int, Course], bool]:
    return lambda session, _course: session % step == 0


def never(_session: int, _course: Course) -> bool:
    return False


def live(
    past: Past, *policies: Policy, nights: range = range(START, END), gate: GatePolicy = GATE
) -> tuple[Course, ...]:
    def candidate(session: int) -> Fitted:
        return fit_at(past.labelled, past.spec, past.stream.folds, session)

    return replay(past, policies, nights, candidate=candidate, gate=gate, guarding=GUARD)


@pytest.fixture(scope="module")
def market() -> SmallMarket:
    return small_market(sessions=520, tickers=42, planted=0.12, first=500)


@pytest.fixture(scope="module")
def past(market: SmallMarket) -> Past:
    return past_of(market)


def test_policy_that_never_retrains_serves_its_first_model_for_good(past: Past) -> None:
    (course,) = live(past, Policy("never", never, gated=False))
    assert course.trained == [START]
    assert {by.version for _, by in course.served} == {1}
    assert [session for session, _ in course.served] == list(range(START, END))


def test_policy_without_a_gate_always_serves_its_newest_model(past: Past) -> None:
    (course,) = live(past, Policy("every:10", every(10), gated=False))
    assert course.trained == list(range(START, END, 10))
    assert all(by.through == session // 10 * 10 for session, by in course.served)
    assert not any(by.provisional for _, by in course.served)


def test_planted_signal_is_promoted_and_refreshed_by_the_gate(past: Past) -> None:
    (course,) = live(past, Policy("every:10", every(10)))
    told = [(event.session, event.kind, event.code) for event in course.events if event.kind != "refused"]
    assert told[0] == (START, "promoted", "first")
    assert {(kind, code) for _, kind, code in told[1:]} == {("promoted", "refresh")}
    assert (np.diff([session for session, _, _ in told]) >= GATE.refresh_age).all()


def test_worthless_model_serves_as_provisional_and_signals_nothing() -> None:
    past = past_of(small_market(sessions=520, tickers=42, planted=0.0, seed=3, first=500))
    (course,) = live(past, Policy("every:10", every(10)))
    assert [event.code for event in course.events if event.kind == "provisional"][:2] == ["first", "refresh"]
    replayed = Replayed(past, course, (START, END - 1), Plan())
    assert replayed.with_signals == 0
    assert replayed.account is not None
    assert replayed.account.figures()["exposure"] == 0


def test_what_was_served_was_said_by_a_model_that_had_not_seen_the_session(past: Past) -> None:
    for course in live(past, Policy("every:10", every(10)), Policy("every:7", every(7), gated=False)):
        for session, by in course.served:
            assert by.through <= session
            trained = by.voice.fitted.block
            assert trained.rows == int(((past.matrix.known_on <= by.through) & np.isfinite(past.matrix.label)).sum())


def test_extending_the_history_changes_no_earlier_night(market: SmallMarket, past: Past) -> None:
    policies = (Policy("every:10", every(10)), Policy("every:7", every(7), gated=False))
    short = live(past_of(market, 430), *policies, nights=range(START, 930))
    long = live(past, *policies)
    for before, after in zip(short, long, strict=True):
        assert before.events == after.events[: len(before.events)]
        assert [by.version for _, by in before.served] == [by.version for _, by in after.served][: len(before.served)]
        assert before.scores.equals(after.scores.head(len(before.scores)))


def test_policies_share_a_candidate_and_none_is_made_twice(past: Past) -> None:
    made: list[int] = []

    def candidate(session: int) -> Fitted:
        made.append(session)
        return fit_at(past.labelled, past.spec, past.stream.folds, session)

    policies = [Policy("every:10", every(10), gated) for gated in (True, False)]
    replay(past, [*policies, Policy("never", never)], range(START, END), candidate=candidate, gate=GATE)
    assert made == list(range(START, END, 10))


def spoilt(past: Past, since: int) -> Callable[[int], Fitted]:
    """Make candidates that say the contrary from session `since` on."""
    backwards = Contender(teller(-1.0), {})

    def candidate(session: int) -> Fitted:
        if session < since:
            return fit_at(past.labelled, past.spec, past.stream.folds, session)
        spec = replace(past.spec, contenders=(backwards,))
        return fit_at(past.labelled, spec, (), session)

    return candidate


def test_candidate_that_says_the_contrary_of_its_stream_is_refused(past: Past) -> None:
    (course,) = replay(past, [Policy("every:10", every(10))], range(START, END), candidate=spoilt(past, 900), gate=GATE)
    late = [event for event in course.events if event.session >= 900]
    assert {(event.kind, event.code) for event in late} == {("refused", "discontinuity")}
    assert {by.version for _, by in course.served} == {1}


def turned(market: SmallMarket, at: int) -> SmallMarket:
    """Let the planted feature mean the contrary from session `at` on."""
    values = market.features.copy()
    values[at - market.first :, :, 0] *= -1
    return replace(market, features=values)


def test_champion_that_turned_bad_is_taken_out_of_service_and_its_evidence_begins_anew(market: SmallMarket) -> None:
    strong = small_market(sessions=520, tickers=42, planted=0.3, first=500)
    past = past_of(turned(strong, 860))
    calm = replace(GATE, refresh_age=250)
    (course,) = live(past, Policy("every:10", every(10)), gate=replace(calm, min_skill_sessions=60))
    harm = next(event for event in course.events if event.kind == "harm")
    assert 860 + 20 < harm.session < 960
    after = [event for event in course.events if event.session >= harm.session and event.kind != "harm"]
    assert all(event.kind != "promoted" for event in after if event.session < harm.session + 60)
    assert after[0].record["n"] == 0
    silent = [by.provisional for session, by in course.served if harm.session <= session < harm.session + 60]
    assert all(silent)


def test_promotion_that_does_worse_than_what_it_replaced_goes_back(past: Past) -> None:
    spec = replace(past.spec, contenders=(Contender(teller(-1.0), {}),))
    course = Course(past, Policy("by hand", never), GATE, GUARD)
    good = fit_at(past.labelled, past.spec, past.stream.folds, START)
    course.night(START, lambda: good)
    bad = fit_at(past.labelled, spec, (), START + 5)
    course.serve(START + 5, bad, 2, action="superior", provisional=False)
    course.policy = Policy("watch", every(1))
    for session in range(START + 6, START + 75):
        course.night(session, lambda: good)
    back = next(event for event in course.events if event.kind == "rollback")
    assert back.version == 1
    assert back.session > START + 5 + 40
    now = course.now
    assert now is not None
    assert now.version == 1


def test_figures_of_a_course_are_those_of_its_scores(past: Past) -> None:
    (course,) = live(past, Policy("every:10", every(10), gated=False))
    replayed = Replayed(past, course, (START, END - 1), Plan())
    truth = pl.DataFrame({"session": past.matrix.session, "ticker": past.matrix.ticker, "label": past.matrix.label})
    names = {name: at for at, name in enumerate(past.matrix.tickers)}
    rows = course.scores.with_columns(pl.col("ticker").replace_strict(names, return_dtype=pl.Int32)).join(
        truth.filter(pl.col("label").is_not_nan()), on=["session", "ticker"]
    )
    said = np.array(rows["probabilities"].to_list())
    happened = np.eye(3)[rows["label"].to_numpy().astype(int)]
    assert replayed.brier_mean.mean == pytest.approx(((said - happened) ** 2).sum(axis=1).mean(), rel=1e-6)
    assert replayed.rank_ic.mean > 0.02
    assert replayed.age == pytest.approx(4.5)


def test_difference_of_a_policy_with_itself_is_nothing(past: Past) -> None:
    one, other = (Replayed(past, c, (START, END - 1), Plan()) for c in live(past, *[Policy("n", every(10))] * 2))
    gain = one.less(other)
    assert gain.rank_ic.mean == gain.brier.mean == gain.annual_return.value == 0


class Echo(Voice):
    """Says after its training what the stream says."""

    def unseen(self, session: int) -> pl.DataFrame:
        said = self.past.stream_of(session, None).scores
        return said.filter(pl.col("session") > self.fitted.block.train_through)


def test_model_of_a_small_universe_that_says_what_the_stream_says_is_no_worse_than_it() -> None:
    market = small_market(sessions=800, tickers=5, planted=0.1, first=500)
    past = past_of(market, spec=replace(SPEC, small=True))
    through = past.panel.last - 120
    echo = Echo(past, fit_at(past.labelled, past.spec, past.stream.folds, through))
    lead = past.lead(echo, past.panel.last, None)
    assert len(lead) > 100
    assert not lead.value.any()


def test_gain_says_what_its_intervals_tell_and_nothing_else() -> None:
    def interval(low: float, high: float) -> Interval:
        return Interval((low + high) / 2, low, high, low, 0.0, 0.5, 100)

    none = Bounds(np.nan, np.nan, np.nan)
    assert Gain(interval(-0.01, 0.02), interval(-0.01, 0.01), none).told == {}
    worse = Gain(interval(-0.002, 0.003), interval(0.0002, 0.004), Bounds(0.1, 0.05, 0.2))
    assert worse.told == {"Brier score": "worse", "return": "better"}
    unknown = interval(np.nan, np.nan)
    assert Gain(unknown, unknown, none).told == {}
