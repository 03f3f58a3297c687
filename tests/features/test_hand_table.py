"""Thirty bars and what every short feature is on the last of them, worked out in plain Python apart from it."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from marketloop.features import builtin_features, compute

BARS = [
    # open, high, low, close, volume
    (49.97, 50.8, 49.84, 50.38, 820),
    (50.88, 51.28, 50.56, 50.86, 3010),
    (50.96, 51.54, 50.83, 51.13, 1920),
    (51.0, 51.17, 50.26, 50.63, 1310),
    (50.2, 50.92, 49.93, 50.68, 2950),
    (50.27, 51.82, 49.86, 51.32, 1370),
    (50.91, 52.7, 50.8, 52.13, 1880),
    (52.6, 53.26, 52.24, 52.72, 2580),
    (53.11, 53.6, 53.01, 53.27, 2350),
    (53.19, 53.76, 52.93, 53.45, 870),
    (53.59, 53.75, 52.11, 52.59, 1460),
    (52.45, 52.88, 51.72, 52.14, 1090),
    (51.89, 52.14, 51.14, 51.51, 2750),
    (51.51, 52.01, 50.09, 50.38, 2120),
    (49.91, 50.44, 49.75, 50.37, 2350),
    (49.97, 50.27, 49.54, 50.12, 890),
    (50.05, 50.45, 49.6, 50.07, 2110),
    (50.03, 50.24, 49.03, 49.34, 2990),
    (49.32, 50.6, 48.76, 50.46, 1730),
    (50.14, 50.99, 49.76, 50.82, 1480),
    (51.24, 52.15, 50.75, 52.0, 2080),
    (51.54, 52.45, 50.94, 51.86, 2080),
    (51.51, 53.12, 51.09, 52.58, 1510),
    (52.72, 53.06, 51.77, 52.08, 2400),
    (51.93, 52.7, 51.47, 52.41, 1940),
    (52.2, 53.34, 51.63, 53.14, 2110),
    (53.28, 53.77, 52.72, 53.17, 2130),
    (52.92, 53.82, 52.8, 53.39, 3060),
    (53.16, 53.32, 51.99, 52.3, 950),
    (52.36, 53.25, 51.78, 52.69, 2740),
]

EXPECTED = {
    "sma_20_slope": 0.00174482852,
    "ichimoku_conversion": 0.00591828942,
    "roc_10": 0.0367965368,
    "williams_r_14": -22.3320158,
    "stoch_k": 79.7101449,
    "stoch_d": 84.8639948,
    "cci_20": 62.6164781,
    "aroon_osc_25": 36,
    "ultimate_osc": 57.7512059,
    "bb_upper_distance": 0.0251865008,
    "bb_lower_distance": 0.063865567,
    "bb_width": 0.0908082571,
    "parkinson_20": 0.252336274,
    "obv_slope_20": -0.0602952214,
    "volume_spike": 0,
    "vwap_distance_20": 0.0206232995,
    "mfi_14": 80.2760583,
    "cmf_20": 0.127883155,
    "support_distance": 0.0745872082,
    "resistance_distance": 0.0214461947,
    "ret_1": 0.00745697897,
    "ret_5": 0.00534249189,
    "ret_20": -0.0142188962,
    "ret_tstat_20": -0.214539195,
    "ret_std_20": 0.0131974979,
    "ret_skew_20": 0.184757433,
    "ret_kurt_20": -0.67687039,
    "zscore_20": 0.846688715,
    "autocorr_20": 0.00981290625,
    "downside_dev_20": 0.00925219604,
    "price_vs_sma20": 0.0197209266,
    "volume_vs_average": 0.371028271,
    "overnight_gap": 0.00114722753,
    "bb_upper_level": 54.0170767,
}


@pytest.fixture(scope="module")
def last_row() -> dict[str, float | None]:
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=k) for k in range(len(BARS))]
    prices = pl.DataFrame(BARS, schema=["open", "high", "low", "close", "volume"], orient="row")
    bars = prices.select(pl.Series("date", days), pl.lit("HAND").alias("ticker"), pl.all())
    return compute(bars, builtin_features()).row(-1, named=True)


@pytest.mark.parametrize("name", EXPECTED)
def test_feature_equals_the_value_worked_out_by_hand(name: str, last_row: dict[str, float | None]) -> None:
    assert last_row[name] == pytest.approx(EXPECTED[name], rel=2e-6, abs=1e-7)


def test_features_that_need_more_than_thirty_bars_are_null(last_row: dict[str, float | None]) -> None:
    late = [f.name for f in builtin_features() if f.lookback > 29 and f.source == "bars"]
    assert len(late) >= 30
    assert [name for name in late if last_row[name] is not None] == []
