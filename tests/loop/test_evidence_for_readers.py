"""What is said about a version beside the gate's word: features, class shares, order of a listing."""

from __future__ import annotations

import pytest

from marketloop.loop.importance import feature_warnings
from marketloop.loop.shares import left_out, one_sided


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
