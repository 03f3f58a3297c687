"""Benchmarks, honesty and fault runs: what the product claims, measured on the machine at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["BENCHES"]

BENCHES: Final[Mapping[str, str]] = {
    "features": "marketloop.bench.features",
    "retrain": "marketloop.bench.retrain",
    "skill": "marketloop.bench.skill",
    "startup": "marketloop.bench.startup",
}
"""Benchmarks by name: the module whose function ``run`` returns the document of ``marketloop bench NAME``."""
