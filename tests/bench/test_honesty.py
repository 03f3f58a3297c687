"""Simulated years: what is kept, what is counted, what is not played twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marketloop.bench.honesty import jobs_of, run
from marketloop.bench.kinds import KINDS, Scale
from marketloop.bench.yearbook import append_line, figures_of, read_lines
from marketloop.core.errors import UsageError

FOUND = {
    "proven_first": False,
    "proven_night": None,
    "n_first": 260,
    "z_first": 0.5,
    "z_star": 2.45,
    "z_highest": 1.0,
    "z_last": 0.1,
    "unit": "ticker",
    "ic_mean": 0.001,
    "ic_low": -0.01,
    "ic_high": 0.012,
    "x_mean": 0.001,
    "x_low": 0.0005,
    "x_high": 0.002,
    "true_ic": None,
    "plausible": True,
    "nominees": {"rank_ridge": 3, "small_trees": 1},
    "cpu_seconds": 4.0,
}


def line(kind: str, seed: int, **found: Any) -> dict[str, Any]:
    families = {"momentum_ranker": {**FOUND, **found}}
    return {"kind": kind, "seed": seed, "rows": 10, "cpu_seconds": 5.0, "peak_rss_mb": 100, "families": families}


def test_figures_count_false_claims_per_kind_and_together() -> None:
    lines = [
        line("garch", 1),
        line("garch", 2, proven_night=7),
        line("random_walk", 1, proven_night=1, proven_first=True),
        line("shuffled", 1, proven_night=3),
        line("planted_03", 1, proven_night=40, true_ic=0.028),
        line("planted_03", 2, proven_night=1, proven_first=True, true_ic=0.032),
        line("planted_03", 3, true_ic=0.03),
    ]
    figures = figures_of(lines)["momentum_ranker"]
    assert figures["no_signal"]["claimed_within_the_year"] == {"hits": 2, "trials": 3, "wilson_95": [0.2077, 0.9385]}
    assert figures["no_signal"]["claimed_at_first_look"]["hits"] == 1
    assert figures["garch"]["claimed_within_the_year"]["trials"] == 2
    assert figures["shuffled"]["claimed_within_the_year"]["hits"] == 1
    assert figures["planted_03"]["found_at_first_look"]["hits"] == 1
    assert figures["planted_03"]["found_within_the_year"]["hits"] == 2
    assert figures["planted_03"]["median_night"] == 20.5
    assert figures["planted_03"]["true_rank_ic"] == 0.03
    assert figures["garch"]["nominees"] == {"rank_ridge": 0.75, "small_trees": 0.25}


def test_figures_count_how_often_an_interval_covers_no_skill() -> None:
    figures = figures_of([line("garch", 1), line("garch", 2, ic_low=0.001), line("garch", 3, ic_low=None)])
    noise = figures["momentum_ranker"]["no_signal"]
    assert noise["interval_of_rank_ic_covers_0"]["hits"] == 1
    assert noise["interval_of_rank_ic_covers_0"]["trials"] == 2
    assert noise["interval_of_deciding_series_covers_0"]["hits"] == 0


def test_claims_about_regimes_are_false_only_where_volatility_does_not_cluster() -> None:
    lines = [line("random_walk", 1, unit="session"), line("garch", 1, unit="session", proven_night=4)]
    figures = figures_of(lines)["momentum_ranker"]
    assert figures["no_signal"]["claimed_within_the_year"]["trials"] == 1
    assert figures["garch"]["claimed_within_the_year"]["hits"] == 1
    assert [name for name, kind in KINDS.items() if kind.steady] == ["random_walk", "mirrored", "shuffled"]


def test_line_that_was_cut_off_is_played_again(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "lines.jsonl"
    append_line(file, line("garch", 1))
    with file.open("a", encoding="utf-8") as more:
        more.write('{"kind": "garch", "se')
    assert [kept["seed"] for kept in read_lines(file)] == [1]
    append_line(file, line("garch", 2))
    assert [kept["seed"] for kept in read_lines(file)] == [1, 2]


def test_file_of_something_else_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text(json.dumps(line("garch", 1)) + '\n{"kind": "volcano"}\n', encoding="utf-8")
    with pytest.raises(UsageError, match="line 2 is no market"):
        read_lines(file)


def test_jobs_take_the_kinds_in_turn_and_pass_over_real_ones_without_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs, skipped = jobs_of(["garch", "mirrored"], ["momentum_ranker:rank_ridge"], seeds=range(5, 7), real_file=None)
    assert [(job.kind, job.seed) for job in jobs] == [("garch", 5), ("garch", 6)]
    assert skipped == ["mirrored: no file of real bars (--real-file)"]
    real = tmp_path / "real.parquet"
    jobs, skipped = jobs_of(["garch", "mirrored"], ["momentum_ranker"], seeds=range(5, 7), real_file=real)
    assert [job.kind for job in jobs] == ["garch", "mirrored", "garch", "mirrored"]
    assert skipped == []


@pytest.mark.parametrize(
    ("kinds", "families", "sentence"),
    [
        (["gaarch"], ["momentum_ranker"], 'unknown kind of market "gaarch"'),
        (["garch"], ["momentum_rank"], 'unknown family "momentum_rank"'),
    ],
)
def test_jobs_refuse_what_is_unknown(kinds: list[str], families: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        jobs_of(kinds, families, seeds=range(1), real_file=None)


def test_run_keeps_a_line_per_market_and_plays_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Scale(42, 830)
    monkeypatch.setitem(KINDS, "random_walk", _scaled("random_walk", small))
    out = tmp_path / "lines.jsonl"
    told: list[str] = []
    asked = {"kinds": ["random_walk"], "workers": 1, "out": out, "first_seed": 3}
    document = run(
        seeds=1,
        families=["momentum_ranker:rank_ridge"],
        on_progress=lambda *step: told.append(step[2]),
        **asked,  # type: ignore[arg-type]
    )
    assert told == [f"random_walk 3: momentum_ranker:rank_ridge {_night(document)}"]
    assert document["rows"] == 42 * 830
    (kept,) = read_lines(out)
    assert kept["families"]["momentum_ranker:rank_ridge"]["z_star"] == pytest.approx(2.456, abs=0.01)
    again = run(seeds=1, families=["momentum_ranker:rank_ridge"], **asked)  # type: ignore[arg-type]
    assert again["figures"] == document["figures"]
    assert len(read_lines(out)) == 1


def _scaled(name: str, scale: Scale) -> object:
    return replace(KINDS[name], scale=scale)


def _night(document: dict[str, Any]) -> str:
    claims = document["figures"]["momentum_ranker:rank_ridge"]["random_walk"]["claimed_within_the_year"]["hits"]
    return "-" if claims == 0 else "night"
