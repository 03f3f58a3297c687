"""The guard's bench: nightly looks through the product's own rule, and counts that add up."""

from __future__ import annotations

import json

import numpy as np
import pytest

from marketloop.bench.guard import POLICY, run, taken_back
from marketloop.core.errors import UsageError
from marketloop.evaluation.boundary import constant_boundary


def test_series_that_turns_bad_is_found_at_its_first_bad_night() -> None:
    rng = np.random.default_rng(5)
    d = rng.standard_normal(63) - 0.5
    z = d.cumsum() / np.sqrt((d * d).cumsum())
    bad = np.flatnonzero(z[39:] <= -constant_boundary(POLICY.alpha, 63 / 40)) + 40
    assert taken_back(d) == bad[0]


@pytest.mark.parametrize("length", [0, 39, 100])
def test_series_that_is_no_worse_is_left_alone(length: int) -> None:
    assert taken_back(np.full(length, 0.01)) is None


def test_disaster_after_the_window_is_not_seen() -> None:
    assert taken_back(np.concatenate([np.full(63, 0.01), np.full(300, -1.0)])) is None


def test_document_counts_every_case() -> None:
    document = run(seeds=2)
    assert json.loads(json.dumps(document, allow_nan=False))["name"] == "guard"
    figures = document["figures"]
    assert sum(row["trials"] for rows in figures.values() for row in rows.values()) == document["rows"]
    assert len(figures["worse"]) == 18
    strongest = figures["worse"]["300 tickers, rank IC 0.1, the new one -0.1"]
    assert strongest["hits"] == strongest["trials"]


def test_no_market_is_no_bench() -> None:
    with pytest.raises(UsageError, match="seeds = 0"):
        run(seeds=0)
