"""What is said about a version beside the gate's word: features, class shares, order of a listing, abstention."""

from __future__ import annotations

import datetime as dt

import pytest

from marketloop.loop.importance import feature_warnings
from marketloop.loop.listing import in_order
from marketloop.loop.predicting import Answers
from marketloop.loop.shares import left_out, no_cross_section, one_sided
from marketloop.state import Slot
from marketloop.state.champions import Champion
from marketloop.state.scoreboards import Prediction


def test_features_that_share_importance_evenly_are_weak() -> None:
    (warning,) = feature_warnings({f"f{i}": 0.05 for i in range(20)})
    assert warning.startswith("weak: the top five features hold 25%")


def test_feature_that_holds_more_than_thirty_percent_is_dominant() -> None:
    (warning,) = feature_warnings({"big": 0.31, "a": 0.2, "b": 0.2, "c": 0.1, "d": 0.1, "e": 0.09})
    assert warning.startswith("dominant: big holds 31%")


def test_features_with_ordinary_shares_give_no_warning() -> None:
    assert feature_warnings({"a": 0.3, "b": 0.2, "c": 0.1, "d": 0.1, "e": 0.1, "f": 0.2}) == ()
    assert feature_warnings({}) == ()


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"SELL": 0.05, "HOLD": 0.92, "BUY": 0.03}, "one class holds 92% of the training window (HOLD)"),
        ({"SELL": 0.1, "HOLD": 0.9, "BUY": 0.0}, ""),
        ({"SELL": 3, "HOLD": 97, "BUY": 0}, "one class holds 97%"),
        ({}, ""),
    ],
)
def test_one_class_with_more_than_ninety_percent_is_warned_of(shares: dict[str, float], said: str) -> None:
    found = one_sided("class", shares)
    assert len(found) == bool(said)
    assert "".join(found).startswith(said)


def test_universe_that_was_too_small_for_most_of_its_past_is_told_so() -> None:
    (said,) = left_out(3716, 541)
    assert said.startswith("3,716 of 4,257 scored sessions have fewer than 10 tickers and do not count for skill")
    assert left_out(0, 541) == left_out(60, 541) == left_out(0, 0) == ()


def test_universe_without_a_cross_section_is_told_what_was_tested() -> None:
    (said,) = no_cross_section(5)
    assert "5 ticker(s) are no cross-section" in said
    assert no_cross_section(10) == ()


def test_bar_of_confidence_that_was_set_later_silences_the_signal_that_was_written_before() -> None:
    noon = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)
    slot = Slot("price_predictor", "rsi10_vol20_support20")
    champion = Champion(slot, 7, "promote", "champion", True, noon, noon, noon, "data1", "ab" * 32, 1)
    said = tuple(
        Prediction(ticker, noon.date(), "BUY", 0.1, share, "BUY", {"SELL": 1 - share, "BUY": share})
        for ticker, share in (("SURE", 0.8), ("UNSURE", 0.4))
    )
    answers = Answers(noon.date(), champion, fallback=False, stale=False, predictions=said, confidence=0.55)
    rows = {row["ticker"]: (row["signal"], row["abstained"]) for row in answers.document()["predictions"]}
    assert rows == {"SURE": ("BUY", False), "UNSURE": ("HOLD", True)}
    without = Answers(noon.date(), champion, fallback=False, stale=False, predictions=said)
    assert [row["signal"] for row in without.document()["predictions"]] == ["BUY", "BUY"]


def test_listing_puts_the_smallest_error_first() -> None:
    rows = [{"metrics": {"rmse": value}} for value in (0.03, 0.01, 0.02)]
    assert [row["metrics"]["rmse"] for row in in_order(rows, "rmse")] == [0.01, 0.02, 0.03]
