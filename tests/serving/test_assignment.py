"""Who answers for a ticker: a share of them, the same ones in every process, and none that comes and goes."""

from __future__ import annotations

import datetime as dt
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketloop.serving import assign, place
from marketloop.state import Slot
from marketloop.state.rollouts import Rollout

NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)
SLOT = Slot("price_predictor", "rsi10_vol20_support20")
TICKERS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
SHARES = st.floats(0, 1)


def rollout(mode: str, share: float, salt: str = "salt") -> Rollout:
    return Rollout(SLOT, mode, 2, share, salt, "a test", NOON)


@given(ticker=TICKERS, salt=st.text(st.characters(codec="utf-8"), max_size=8))
def test_place_lies_from_zero_to_below_one(ticker: str, salt: str) -> None:
    assert 0 <= place(ticker, salt) < 1


@given(ticker=TICKERS, low=SHARES, high=SHARES, salt=st.text(st.characters(codec="utf-8"), max_size=8))
def test_ticker_in_the_canary_stays_in_it_when_the_share_grows(ticker: str, low: float, high: float, salt: str) -> None:
    low, high = sorted((low, high))
    if assign(ticker, 1, rollout("canary", low, salt)) == 2:
        assert assign(ticker, 1, rollout("canary", high, salt)) == 2


@given(ticker=TICKERS, share=SHARES)
def test_canary_and_ab_draw_the_same_tickers(ticker: str, share: float) -> None:
    assert assign(ticker, 1, rollout("canary", share)) == assign(ticker, 1, rollout("ab", share))


@given(ticker=TICKERS)
def test_share_zero_is_nobody_and_share_one_is_everybody(ticker: str) -> None:
    assert assign(ticker, 1, rollout("canary", 0.0)) == 1
    assert assign(ticker, 1, rollout("canary", 1.0)) == 2


@given(ticker=TICKERS)
def test_champion_answers_without_a_rollout_and_beside_a_shadow(ticker: str) -> None:
    off = Rollout(SLOT, "off", None, 0.0, "", "a test", NOON)
    assert assign(ticker, 1, None) == assign(ticker, 1, off) == assign(ticker, 1, rollout("shadow", 0.0)) == 1


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("salt", ["", "a", "price_predictor:7"])
def test_share_of_tickers_lies_within_binomial_bounds(share: float, salt: str) -> None:
    n = 20_000
    drawn = sum(assign(f"T{i}", 1, rollout("ab", share, salt)) == 2 for i in range(n))
    assert abs(drawn - n * share) < 4.5 * math.sqrt(n * share * (1 - share))


def test_two_salts_draw_independently() -> None:
    n = 20_000
    both = sum(
        assign(f"T{i}", 1, rollout("ab", 0.5, "a")) == assign(f"T{i}", 1, rollout("ab", 0.5, "b")) for i in range(n)
    )
    assert abs(both - n / 2) < 4.5 * math.sqrt(n / 4)


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_other_processes_with_other_hash_seeds_say_the_same(seed: str) -> None:
    script = "from marketloop.serving import place; print([place(t, 's') for t in ('AAPL', 'MSFT', 'BRK.B', '7203.T')])"
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.strip() == str([place(t, "s") for t in ("AAPL", "MSFT", "BRK.B", "7203.T")])


def test_places_are_those_of_the_first_release() -> None:
    """Another rule would move tickers between versions at an upgrade."""
    assert [round(place(ticker, "price_predictor:2"), 6) for ticker in ("AAPL", "MSFT", "SYN001")] == PLACES


PLACES = [0.863005, 0.620263, 0.44868]
