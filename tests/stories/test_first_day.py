"""A new user's first day, and the night after it."""

from __future__ import annotations

from pathlib import Path

from tests.stories.conftest import Ask

from marketloop.data.synthetic import MarketSpec, simulate
from marketloop.runtime.template import record_settings

FAST = ("--algorithm", "ridge", "--feature-set", "basic")


def test_first_day_from_a_file_to_predictions_and_the_night_after(tmp_path: Path, ask: Ask) -> None:
    bars = simulate(MarketSpec(tickers=12, sessions=640, seed=11)).bars.sort("ticker", "date")
    days = bars["date"].unique().sort()
    bars.filter(bars["date"] <= days[600]).write_parquet("bars.parquet")

    ask("init", "mine", "--path", "bars.parquet")
    record_settings(tmp_path / "mine" / "marketloop.toml", {"tracking.enabled": False})
    here = ("--project", "mine")
    collected = ask(*here, "collect")
    assert (collected["source"], collected["new_rows"]) == ("folder", 12 * 601)
    assert ask(*here, "quality")["quarantined"] == 0
    assert len(ask(*here, "features", "--feature-set", "basic")["features"]) == 20

    first = ask(*here, "retrain", "price_predictor", *FAST)
    assert (first["outcome"], first["families"][0]["reason_code"]) == ("provisional", "first")
    (champion,) = ask(*here, "champion")["champions"]
    assert (champion["version"], champion["status"]) == (1, "provisional")
    said = ask(*here, "predict", "SYN003", "--feature-set", "basic")
    assert said["as_of"] == days[600].isoformat()
    assert said["predictions"][0]["signal"] == "HOLD"

    second = ask(*here, "retrain", "price_predictor", *FAST)
    assert (second["outcome"], second["families"][0]["reason_code"]) == ("skipped", "not_due")
    assert "collect newer bars" in second["families"][0]["reason"]

    bars.write_parquet("bars.parquet")
    third = ask(*here, "retrain", "price_predictor", *FAST, code=1)  # a provisional champion this young is not replaced
    assert (third["outcome"], third["families"][0]["reason_code"]) == ("refused", "no_skill")
    assert third["families"][0]["version"] == 2
    (kept,) = ask(*here, "champion")["champions"]
    assert kept["version"] == 1
    fresh = ask(*here, "predict", "SYN003", "--feature-set", "basic")
    assert (fresh["as_of"], fresh["predictions"][0]["model_version"]) == (days[639].isoformat(), 1)
    assert ask(*here, "validate", "--version", "2", code=1)["verdict"] == "refused"
    cycle = ask(*here, "status")["last_cycle"]
    assert (cycle["cycle_id"], cycle["outcome"]) == (third["cycle_id"], "refused")
