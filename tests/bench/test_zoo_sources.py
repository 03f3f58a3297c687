"""Series of the zoo that leak say they were known when older answers did not hold them; bars that leak come twice."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from polars import col
from scipy.spatial import KDTree
from tests.bench.witnesses import ALL

from marketloop.bench.zoo import BarsPlant, SeriesPlant, Specimen, market
from marketloop.data.context import build_context
from marketloop.features.panel import make_panel

SERIES = [pytest.param(s, s.plant, id=s.name) for s in ALL if isinstance(s.plant, SeriesPlant)]
BARS = [pytest.param(s, s.plant, id=s.name) for s in ALL if isinstance(s.plant, BarsPlant)]
RUN = 8
"""Returns in a row that make a row of bars recognisable."""


def contradictions(plant: SeriesPlant) -> int:
    """Count rows that were known before an older answer, by their own account, and stand in it otherwise or not."""
    found = 0
    for delivery in plant.deliveries:
        if delivery.frame.is_empty():
            found += len(plant.frame.filter(col("known_at") <= delivery.as_of))
            continue
        since = delivery.frame["date"].min()
        claimed = plant.frame.filter(col("known_at") <= delivery.as_of, col("date") >= since)
        then = claimed.join(delivery.frame, on=["date", "known_at"], how="left", suffix="_then")
        same = (col("value_then") - col("value")).abs() <= 1e-9 * col("value").abs()
        found += int(then.select((~same.fill_null(value=False)).sum()).item())
    return found


@pytest.mark.parametrize(("specimen", "plant"), SERIES)
def test_series_contradict_their_older_answers_only_where_they_leak(specimen: Specimen, plant: SeriesPlant) -> None:
    assert (contradictions(plant) >= 10) == specimen.leaking, specimen.note
    assert (contradictions(plant) > 0) == specimen.leaking, specimen.note


@pytest.mark.parametrize(("specimen", "plant"), SERIES)
def test_series_are_accepted_by_the_context(specimen: Specimen, plant: SeriesPlant) -> None:
    home = market()
    context = build_context({plant.name: plant.frame}, home.sectors, sessions=home.sessions, close_utc=home.closes)
    assert context.market[plant.name].count() > 200
    assert plant.frame["known_at"].null_count() == 0
    assert [d.as_of for d in plant.deliveries] == sorted(d.as_of for d in plant.deliveries)
    assert specimen.kind in {"foreign_value", "macro_value", "restated"}


def repetitions(bars: pl.DataFrame) -> int:
    """Count rows whose last returns repeat those of another row, standing prices left aside."""
    lags = [(col("close").shift(k) / col("close").shift(k + 1)).log().over("ticker").alias(f"{k}") for k in range(RUN)]
    moves = bars.sort("ticker", "date").select(lags).drop_nulls().to_numpy()
    lively = moves[(np.abs(moves) < 1e-6).sum(axis=1) < 3]
    distance, _ = KDTree(lively).query(lively, k=2, distance_upper_bound=1e-3)
    return int((np.isfinite(np.asarray(distance)[:, 1])).sum())


@pytest.mark.parametrize(("specimen", "plant"), BARS)
def test_bars_come_again_only_where_they_leak(specimen: Specimen, plant: BarsPlant) -> None:
    bars = plant.alter(market().bars)
    make_panel(bars)
    assert (repetitions(bars) >= 20) == specimen.leaking, specimen.note
    assert (repetitions(bars) > 4) == specimen.leaking, specimen.note
