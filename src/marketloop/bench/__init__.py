"""Benchmarks, honesty and fault runs: what the product claims, measured on the machine at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["BENCHES"]

BENCHES: Final[Mapping[str, str]] = {
    "accuracy": "marketloop.bench.accuracy",
    "backtest": "marketloop.bench.backtest",
    "contention": "marketloop.bench.contention",
    "drift": "marketloop.bench.drift",
    "faults": "marketloop.bench.faults",
    "features": "marketloop.bench.features",
    "gate": "marketloop.bench.gate",
    "guard": "marketloop.bench.guard",
    "honesty": "marketloop.bench.honesty",
    "prediction": "marketloop.bench.prediction",
    "retrain": "marketloop.bench.retrain",
    "serve": "marketloop.bench.serve",
    "skill": "marketloop.bench.skill",
    "startup": "marketloop.bench.startup",
    "zoo": "marketloop.bench.zoo_run",
    "tuning": "marketloop.bench.tuning",
}
"""Benchmarks by name: the module whose function ``run`` returns the document of ``marketloop bench NAME``."""
