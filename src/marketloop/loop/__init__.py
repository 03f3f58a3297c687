"""One turn of the wheel and everything that turns it: the only room that introduces the others to each other."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marketloop.loop.api import Model, Predictor, Trainer
    from marketloop.loop.backtesting import Backtester
    from marketloop.loop.events import Event, EventType, publish
    from marketloop.loop.service import RetrainingService

__all__ = [
    "Backtester",
    "Event",
    "EventType",
    "Model",
    "Predictor",
    "RetrainingService",
    "Trainer",
    "publish",
]

_HOMES = {
    "Backtester": "backtesting",
    "Event": "events",
    "EventType": "events",
    "Model": "api",
    "Predictor": "api",
    "RetrainingService": "service",
    "Trainer": "api",
    "publish": "events",
}


def __getattr__(name: str) -> Any:
    """Load the Python API when it is first asked for: the command line often needs the house alone."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"marketloop.loop.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
