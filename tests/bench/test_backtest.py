"""The benchmark of the backtest measures a whole backtest and says what it measured."""

from __future__ import annotations

import pytest

from marketloop.bench import backtest


def test_bench_prints_the_parts_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TICKERS", 50), ("SESSIONS", 1000), ("REPEATS", 2)):
        monkeypatch.setattr(backtest, name, value)
    document = backtest.run()
    assert tuple(document) == ("name", "rows", "seconds", "peak_rss_mb", "figures", "peer")
    assert (document["name"], document["rows"]) == ("backtest", 50_000)
    assert set(document["figures"]["parts_median_s"]) == {"rule", "equal", "volatility", "kelly"}
    assert 0 < document["figures"]["best_s"] <= document["seconds"]
