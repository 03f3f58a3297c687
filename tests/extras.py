"""Recipes as parameters of tests: those that need an extra are skipped without it, and say why."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import pytest

__all__ = ["LSTM", "needs_lstm", "recipes_named"]

LSTM = find_spec("jax") is not None and find_spec("optax") is not None
needs_lstm = pytest.mark.skipif(not LSTM, reason="needs the extra lstm: make setup-lstm")
EXTRAS = {"lstm": needs_lstm}


def recipes_named(names: Iterable[str]) -> list[Any]:
    """Return `names` as parameters, each with the mark of the extra that its recipe needs."""
    return [pytest.param(name, marks=EXTRAS[name]) if name in EXTRAS else name for name in names]
