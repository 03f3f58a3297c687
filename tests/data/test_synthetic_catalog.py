"""What carries the planted signal is what the feature catalog computes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.data.simulation.facts import signal_components
from marketloop.data.simulation.measures import rank_ic
from marketloop.data.simulation.signal import LOOKBACK, QUANTITIES
from marketloop.data.synthetic import Market, MarketSpec, simulate
from marketloop.features.catalog import builtin_features
from marketloop.features.engine import compute


def catalog_ranks(market: Market) -> NDArray[np.float64]:
    """Return (T - 59, 4, N) the ranks within the session of the catalog's features, which are float32."""
    catalog = {feature.name: feature for feature in builtin_features()}
    assert all(catalog[name].lookback <= LOOKBACK for name in QUANTITIES)
    values = compute(market.bars, [catalog[name] for name in QUANTITIES])
    shape = (len(market.tickers), len(market.dates))
    wide = np.stack([values[name].to_numpy().reshape(shape).T for name in QUANTITIES], axis=1)[LOOKBACK:]
    assert np.isfinite(wide).all()
    return wide.argsort(axis=-1).argsort(axis=-1) / (shape[0] - 1) - 0.5


def test_signal_is_made_of_ranks_of_catalog_features() -> None:
    market = simulate(MarketSpec(tickers=25, sessions=150, planted_ic=0.1))
    same = np.abs(catalog_ranks(market) - signal_components(market)[:, :4]) < 1e-9
    assert same.mean() > 0.999  # float32 may swap two neighbours


def test_catalog_features_alone_reproduce_the_expectation() -> None:
    market = simulate(MarketSpec(tickers=25, sessions=150, planted_ic=0.1))
    ranks = catalog_ranks(market)[:-1]
    score = -ranks[:, 0] - 0.5 * ranks[:, 1] - 0.5 * ranks[:, 2] + 0.5 * ranks[:, 3] - 3.2 * ranks[:, 0] * ranks[:, 3]
    in_sigma = market.expected[LOOKBACK:-1] / market.sigma[LOOKBACK + 1 :]
    assert rank_ic(score, in_sigma).min() > 0.99
