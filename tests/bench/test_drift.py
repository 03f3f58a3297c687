from __future__ import annotations

from pathlib import Path

import pytest

from marketloop.bench.drift import Ask, run, scan_market, slow_panel
from marketloop.core.errors import UsageError
from marketloop.monitoring import scan_features


def test_bench_counts_scans_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    out = tmp_path / "scans.jsonl"
    first = run(seeds=2, workers=1, kinds=("ar1",), out=out)
    again = run(seeds=2, workers=1, kinds=("ar1",), out=out)
    alarms = first["figures"]["ar1"]["alarms"]
    assert alarms["trials"] == 2
    assert again["figures"]["ar1"]["alarms"] == alarms
    assert len(out.read_text().splitlines()) == 2


def test_bench_refuses_markets_that_it_does_not_know() -> None:
    with pytest.raises(UsageError, match="calm"):
        run(kinds=("calm",))


def test_scan_of_a_market_whose_volatility_rises_is_heard_and_one_that_does_not_is_quiet() -> None:
    loud, quiet = scan_market(Ask("volatile", 20_000)), scan_market(Ask("random_walk", 20_000))
    assert (loud.level != "Low", quiet.level) == (True, "Low")
    assert quiet.usual  # the two-sample test takes rows for independent and calls drift


def test_slow_features_do_not_ring_more_often_than_promised() -> None:
    heard = 0
    for seed in range(12):
        matrix = slow_panel(seed, features=30, sessions=700, tickers=4)
        late = matrix.session >= 700
        heard += scan_features(matrix.take(~late), matrix.take(late)).level != "Low"
    assert heard <= 2
