"""The study of the gate: its short cuts change nothing, its markets have no signal, and it runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from marketloop.bench.gate import cases, run
from marketloop.bench.study.cases import STUDIES, Case, ic_per_strength
from marketloop.bench.study.looks import alarm_at, nights_of_proof, superior_at
from marketloop.bench.study.panels import SCORES, WARMUP, Arena, plant, real_arena, simulated_arena
from marketloop.bench.study.refits import refit
from marketloop.bench.study.series import forward_ic, one_session_ic
from marketloop.evaluation.gate import GatePolicy, Slot
from marketloop.evaluation.rank_ic import sequential_ic, spearman_rows

POLICY = GatePolicy()


@pytest.fixture(scope="module")
def arena() -> Arena:
    return simulated_arena(sessions=420, tickers=24, seed=8)


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_quick_series_equals_the_one_that_decides(arena: Arena, kind: str, horizon: int) -> None:
    scores = SCORES[kind](arena, np.random.default_rng(1))
    said = np.where(np.arange(len(scores))[:, None] >= WARMUP, scores, np.nan)
    slow = sequential_ic(said, arena.panel, arena.neutral, horizon)
    np.testing.assert_allclose(one_session_ic(arena, scores, horizon), slow.value, atol=1e-12)


def test_quick_forward_correlation_is_that_of_the_rows(arena: Arena) -> None:
    scores = SCORES["momentum"](arena, np.random.default_rng(1))
    ahead = np.full_like(scores, np.nan)
    for t in range(WARMUP, len(scores) - 5):
        ahead[t] = arena.neutral[t + 1 : t + 6].sum(axis=0)
    np.testing.assert_allclose(forward_ic(arena, scores, 5), spearman_rows(scores, ahead, 0).value, atol=1e-12)


def drifting(drift: float, n: int = 560, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return drift + 0.15 * np.random.default_rng(seed).standard_normal(n)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("drift", [0.0, 0.012, 0.03])
def test_nights_that_are_passed_over_would_have_changed_nothing(drift: float, seed: int) -> None:
    x = drifting(drift, seed=seed)
    quick = nights_of_proof(x, first=200, policy=POLICY, slot=Slot(further=1))
    assert quick == nights_of_proof(x, first=200, policy=POLICY, slot=Slot(further=1), every=True)


def test_alarm_is_found_on_its_first_night() -> None:
    x = np.concatenate([drifting(0.02, 100), drifting(-0.12, 100)])
    at = alarm_at(x, POLICY)
    assert at is not None
    assert 100 < at < 200
    assert alarm_at(x[: at - 1], POLICY) is None
    assert alarm_at(drifting(0.0, 300), POLICY) is None


def test_challenger_that_is_better_is_called_so_and_an_equal_one_is_not() -> None:
    x = drifting(0.02, 700)
    better, equal = 0.05 + 0.05 * drifting(0.0, 120, 1) / 0.15, 0.05 * drifting(0.0, 120, 2) / 0.15
    assert superior_at(x, better, champion=570, policy=POLICY) == 40
    assert superior_at(x, equal, champion=570, policy=POLICY) is None
    assert superior_at(x, equal, champion=570, policy=POLICY, refresh=True) is None


@pytest.mark.parametrize("mirrored", [True, False])
def test_shuffled_real_returns_keep_the_company_of_tickers(shared_data: Path, mirrored: bool) -> None:
    path = shared_data / "sp500_daily_2013_2018.parquet"
    made = real_arena(path, sessions=400, tickers=30, seed=2, mirrored=mirrored)
    again = real_arena(path, sessions=400, tickers=30, seed=2, mirrored=mirrored)
    np.testing.assert_array_equal(made.panel.returns, again.panel.returns)
    between = np.asarray(np.corrcoef(made.panel.returns.T))[np.triu_indices(30, 1)].mean()
    assert 0.15 < between < 0.6


def test_planted_rank_ic_is_what_was_asked() -> None:
    per_strength = ic_per_strength(3)
    case = Case("harm", 77, ic=0.1, strength=0.1 / per_strength)
    rng = np.random.default_rng(3)
    base = case.arena(800)
    signal = rng.standard_normal(base.panel.returns.shape)
    assert abs(forward_ic(base, signal, 5).mean()) < 0.02
    assert forward_ic(plant(base, signal, case.strength), signal, 1).mean() > 0.03


def test_stream_of_refits_never_uses_a_label_of_its_own_block(arena: Arena) -> None:
    fitted = refit(arena, np.random.default_rng(5))
    later = refit(replace(arena, neutral=_changed_after(arena.neutral, 380)), np.random.default_rng(5))
    block = 380 // 21 * 21
    np.testing.assert_array_equal(fitted.stream()[:block], later.stream()[:block])
    assert 0.3 < fitted.continuity(375) <= 1


def _changed_after(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], session: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    changed = values.copy()
    changed[session:] = changed[session:][::-1]
    return changed


def test_every_study_is_asked_and_answers(shared_data: Path) -> None:
    path = shared_data / "sp500_daily_2013_2018.parquet"
    asked = cases(seeds=1, path=path, per_strength=0.5)
    assert {case.study for case in asked} == set(STUDIES)
    assert {case.returns for case in asked} == {"simulated", "drifting", "mirrored", "blocks"}


def test_run_counts_what_was_found() -> None:
    document = run(seeds=2)
    assert document["name"] == "gate"
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    proofs = document["figures"]["false proofs a year"]
    assert {row["trials"] for row in proofs.values()} == {2, 8}
    assert sum(row["hits"] for row in proofs.values()) <= 0.15 * sum(row["trials"] for row in proofs.values())
    assert document["figures"]["continuity"]["value"]["median"] > 0.8
