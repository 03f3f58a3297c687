"""The public names exist, load lazily, and cost nothing before they are used."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import marketloop

PACKAGES = [f"marketloop.{module.name}" for module in pkgutil.iter_modules(marketloop.__path__) if module.ispkg]


@pytest.mark.parametrize("name", [n for n in marketloop.__all__ if n != "__version__"])
def test_public_name_exists(name: str) -> None:
    assert getattr(marketloop, name).__name__ == name


def test_public_names_are_sorted_and_listed() -> None:
    assert dir(marketloop) == sorted(marketloop.__all__)


def test_unknown_name_says_which_exist() -> None:
    with pytest.raises(AttributeError, match="it has Backtester, FeatureEngineer, Model"):
        _ = marketloop.FeatureEnginer


def test_import_of_the_package_loads_nothing_heavy() -> None:
    heavy = "('numpy', 'polars', 'typer', 'pydantic')"
    code = f"import sys; import marketloop; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_that_a_room_promises_exists(package: str) -> None:
    room = importlib.import_module(package)
    for name in getattr(room, "__all__", ()):
        assert hasattr(room, name)
