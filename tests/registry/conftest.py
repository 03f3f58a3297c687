"""A registry with a state of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from marketloop.registry import Candidate, Registry, Ruling
from marketloop.state import Slot, State, lease, this_process
from marketloop.state.champions import Champion
from marketloop.state.lease import Lease

PARTS = {"model.ubj": b"trees", "learner.json": b"{}"}
MANIFEST: dict[str, Any] = {
    "data_version": "17",
    "features": ["rsi", "roc_10"],
    "recipe": "ridge",
    "seed": 7,
    "threads": 2,
    "params": {"penalty": 1.5},
    "trained_through": 1200,
    "stream_id": "stream_1",
}


@pytest.fixture
def noon() -> dt.datetime:
    return dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def slot() -> Slot:
    return Slot("price_predictor", "rsi10_vol20_support20")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State.open(f"sqlite:///{tmp_path}/state.db") as opened:
        yield opened


@pytest.fixture
def registry(tmp_path: Path, state: State) -> Registry:
    return Registry(tmp_path / "registry", state)


@pytest.fixture
def held(state: State, noon: dt.datetime) -> Lease:
    with state.write() as db:
        mine = lease.acquire(db, "cycle", process=this_process(), at=noon)
    assert mine is not None
    return mine


@pytest.fixture
def make(registry: Registry, slot: Slot, noon: dt.datetime) -> Callable[[], Candidate]:
    """Write a candidate."""
    return lambda: registry.write_candidate(slot, parts=PARTS, manifest=MANIFEST, at=noon)


@pytest.fixture
def crown(
    registry: Registry, slot: Slot, held: Lease, noon: dt.datetime, make: Callable[[], Candidate]
) -> Callable[[], Champion]:
    """Write a candidate and promote it as proven; each a day after the one before."""

    def promote() -> Champion:
        now = registry.champion(slot)
        entry = now.entry if now else 0
        ruling = Ruling("promoted", "superior" if now else "first", "z 2.5 >= 2.34", {"z": 2.5}, True, 1250, "c1")
        at = noon + entry * dt.timedelta(days=1)
        return registry.promote(slot, make().version, ruling, expected=entry, held=held, at=at)

    return promote


@pytest.fixture
def examined(registry: Registry, slot: Slot, noon: dt.datetime) -> Callable[[int, float], None]:
    """Record figures of a version."""

    def go(version: int, accuracy: float) -> None:
        figures = {"accuracy": accuracy, "f1_score": 0.5, "precision": 0.4, "recall": 0.3, "roc_auc": 0.6}
        registry.examined(
            slot, version, metrics=figures, baseline={"accuracy": 0.4}, scorecard={"stability": 0.02}, at=noon
        )

    return go
