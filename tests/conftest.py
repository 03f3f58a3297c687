"""Fixtures that every room may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketloop.runtime.threads import set_thread_budget

# Before any test imports NumPy: two workers share the cores, and idle threads of BLAS and OpenMP spin.
set_thread_budget(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real market data; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real market data not found in {folder}")
    return folder
