"""MarketLoop keeps market-prediction models fresh without letting a bad one through.

The names below are loaded when they are first used, so ``import marketloop`` costs next to nothing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marketloop.core.values import StrategyConfig as StrategyConfig
    from marketloop.features import FeatureEngineer as FeatureEngineer
    from marketloop.loop import Backtester as Backtester
    from marketloop.loop import Model as Model
    from marketloop.loop import Predictor as Predictor
    from marketloop.loop import RetrainingService as RetrainingService
    from marketloop.loop import Trainer as Trainer

__all__ = [
    "Backtester",
    "FeatureEngineer",
    "Model",
    "Predictor",
    "RetrainingService",
    "StrategyConfig",
    "Trainer",
    "__version__",
]

_HOMES = {
    "Backtester": "marketloop.loop",
    "FeatureEngineer": "marketloop.features",
    "Model": "marketloop.loop",
    "Predictor": "marketloop.loop",
    "RetrainingService": "marketloop.loop",
    "StrategyConfig": "marketloop.core.values",
    "Trainer": "marketloop.loop",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("marketloop")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'marketloop' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
