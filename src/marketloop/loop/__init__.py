"""One turn of the wheel and everything that turns it: the only room that introduces the others to each other."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marketloop.loop.api import Model, Predictor, Trainer
    from marketloop.loop.backtesting import Backtester

__all__ = ["Backtester", "Model", "Predictor", "Trainer"]


def __getattr__(name: str) -> Any:
    """Load the Python API when it is first asked for: the command line often needs the house alone."""
    if name in __all__:
        home = "backtesting" if name == "Backtester" else "api"
        return getattr(importlib.import_module(f"marketloop.loop.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
