"""Settings that a search chose serve later blocks only, and leave a stream's name and past as they were."""

from __future__ import annotations

from dataclasses import replace

from polars.testing import assert_frame_equal
from tests.evaluation.builders import small_market
from tests.evaluation.learners import buy_minus_sell, teller

from marketloop.core.catalog import Family
from marketloop.dataset import LabelSpec
from marketloop.evaluation.nomination import Contender, FoldRecord, missing_folds, nominate, settled_folds
from marketloop.evaluation.stream import Stream, StreamSpec, advance

FAMILY = Family("price_predictor", ("SELL", "HOLD", "BUY"), 5, 0.02, ("teller-1",), buy_minus_sell, minimum_rows=1000)
POOR, GOOD = Contender(teller(-1.0), {}), Contender(teller(1.0), {}, since=800)
SPEC = StreamSpec(FAMILY, (POOR,), LabelSpec(5, 0.02), "basic", "rsi10", block=21, validation=63)
TUNED = replace(SPEC, contenders=(POOR, GOOD))


def folds(*means: float) -> list[FoldRecord]:
    return [
        FoldRecord(number, contender.key, number * 60 + 65, mean * 60, 60)
        for number in (9, 10, 11)
        for contender, mean in zip((POOR, GOOD), means, strict=True)
    ]


def test_contender_is_nominated_only_for_blocks_behind_what_its_choice_saw() -> None:
    assert nominate(folds(0.0, 0.1), (POOR, GOOD), before=799) is POOR
    assert nominate(folds(0.0, 0.1), (POOR, GOOD), before=800) is GOOD
    assert nominate(folds(0.1, 0.0), (POOR, GOOD), before=800) is POOR


def test_contender_is_given_folds_when_it_may_speak_and_not_before() -> None:
    matrix = small_market(sessions=320, tickers=3, first=600).matrix()
    assert missing_folds((), matrix, (POOR, replace(GOOD, since=906)), length=50, before=905) == []
    jobs = missing_folds((), matrix, (POOR, replace(GOOD, since=905)), length=50, before=905)
    assert [(number, c.key) for number, c in jobs] == [(n, c.key) for n in (15, 16, 17) for c in (POOR, GOOD)]
    assert settled_folds(matrix, 50, before=905) == [15, 16, 17]


def test_stream_keeps_its_name_when_settings_are_tuned() -> None:
    assert TUNED.fingerprint == SPEC.fingerprint
    assert replace(SPEC, contenders=(POOR, replace(GOOD, since=None))).fingerprint != SPEC.fingerprint


def test_stream_says_the_same_of_everything_before_and_may_change_its_nominee_afterwards() -> None:
    market = small_market(sessions=420, tickers=42, planted=0.4, first=500)
    matrix, panel = market.matrix(), market.panel()
    plain = advance(Stream(SPEC.fingerprint), matrix, panel, SPEC)
    tuned = advance(Stream(SPEC.fingerprint), matrix, panel, TUNED)
    nominees = {block.number * 21: block.nominee for block in tuned.blocks}
    assert {nominee for start, nominee in nominees.items() if start < 800} == {POOR.key}
    assert nominees[max(nominees)] == GOOD.key
    earlier = [start for start, nominee in nominees.items() if nominee == POOR.key]
    end = max(earlier) + 21
    assert_frame_equal(
        plain.scores.filter(plain.scores["session"] < end), tuned.scores.filter(tuned.scores["session"] < end)
    )
