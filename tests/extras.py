"""Marks of tests that need an extra, with the reason for which they are skipped without it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

LSTM = find_spec("jax") is not None and find_spec("optax") is not None
needs_lstm = pytest.mark.skipif(not LSTM, reason="needs the extra lstm: make setup-lstm")
