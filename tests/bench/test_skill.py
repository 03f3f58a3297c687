from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from marketloop.bench.simulated import Finding, examine_market, kind_of
from marketloop.bench.skill import markets, run
from marketloop.core.errors import UsageError
from marketloop.data.synthetic import MarketSpec

SMALL = MarketSpec(tickers=40, sessions=700, seed=3)


@pytest.fixture(scope="module")
def noise() -> Finding:
    return examine_market(SMALL)


@pytest.fixture(scope="module")
def planted() -> Finding:
    return examine_market(replace(SMALL, planted_ic=0.25))


def test_examination_finds_a_strong_planted_signal(planted: Finding) -> None:
    assert planted.kind == "planted"
    assert planted.z > 2 * planted.z_star
    assert planted.rank_ic == pytest.approx(0.25, abs=0.1)
    assert planted.true_rank_ic == pytest.approx(0.25, abs=0.05)


def test_examination_claims_nothing_on_this_market_without_signal(noise: Finding) -> None:
    assert noise.kind == "garch"
    assert not noise.proven
    assert noise.true_rank_ic == 0
    assert abs(noise.rank_ic) < 0.05


def test_examination_holds_both_markets_against_the_same_boundary(noise: Finding, planted: Finding) -> None:
    assert noise.z_star == planted.z_star
    assert noise.sessions == planted.sessions > 60


def test_examination_is_the_same_when_repeated(noise: Finding) -> None:
    again = examine_market(SMALL)
    assert (again.z, again.rank_ic, again.log_loss_p, again.nominees) == (
        noise.z,
        noise.rank_ic,
        noise.log_loss_p,
        noise.nominees,
    )


def test_finding_counts_the_nominee_of_every_block(planted: Finding) -> None:
    assert planted.nominees.total() >= planted.sessions // 21
    assert all(name.startswith(("rank_ridge", "xgboost")) for name in planted.nominees)


def test_markets_are_half_garch_half_random_walk_and_never_share_a_seed() -> None:
    specs = markets(seeds=4, first_seed=10, signal_ic=0.05)
    assert [spec.seed for spec in specs] == list(range(10, 18))
    assert Counter(map(kind_of, specs)) == {"garch": 2, "random walk": 2, "planted": 4}
    assert {spec.tickers for spec in specs[:4]} == {50}
    assert {spec.tickers for spec in specs[4:]} == {100}
    assert {spec.sessions for spec in specs} == {1250}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"seeds": 0}, "seeds = 0: expected at least 1"), ({"signal_ic": 0.0}, "signal_ic = 0.0: expected a rank IC")],
)
def test_run_refuses_wrong_arguments(arguments: dict[str, float], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        run(**arguments)  # type: ignore[arg-type]


def test_run_counts_what_was_claimed_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketloop.bench.skill.SESSIONS", 700)
    monkeypatch.setattr("marketloop.bench.skill.TICKERS_NOISE", 40)
    monkeypatch.setattr("marketloop.bench.skill.TICKERS_SIGNAL", 40)
    told: list[tuple[int, int, str]] = []
    document = run(seeds=1, workers=1, first_seed=6, on_progress=lambda *step: told.append(step))
    assert list(document) == ["name", "rows", "seconds", "peak_rss_mb", "figures", "peer", "markets"]
    assert document["rows"] == 2 * 40 * 700
    assert [step[:2] for step in told] == [(1, 2), (2, 2)]
    assert told[0][2].startswith("seed 6, garch: z ")
    noise, planted = document["markets"]
    assert (noise["seed"], planted["seed"]) == (6, 7)
    assert document["figures"]["no_signal"]["claims_of_skill"]["hits"] == int(noise["skill"])
    assert document["figures"]["no_signal"]["garch"]["trials"] == 1
    assert document["figures"]["planted"]["skill_found"]["hits"] == int(planted["skill"])
    assert sum(document["figures"]["planted"]["nominees"].values()) == pytest.approx(1, abs=0.01)
    assert document["peer"]["no_signal"]["trials"] == 1
