"""The benchmark of tuning on a market so small that it takes a moment."""

from __future__ import annotations

from marketloop.bench import BENCHES
from marketloop.bench.tuning import run


def test_document_has_the_keys_of_a_benchmark_and_adds_up() -> None:
    assert BENCHES["tuning"] == "marketloop.bench.tuning"
    told: list[tuple[int, int]] = []
    found = run(trials=2, tickers=12, sessions=520, on_progress=lambda done, total, _: told.append((done, total)))
    assert tuple(found) == ("name", "rows", "seconds", "peak_rss_mb", "figures", "peer")
    figures = found["figures"]
    assert figures["complete"] + figures["pruned"] + figures["failed"] == 2
    assert figures["failed"] == 0
    assert figures["folds"] >= 1
    assert min(figures["shared_cpu_s"], figures["own_cpu_s"]) > 0
    assert told[-1] == (2, 2)
