"""One turn of the wheel and everything that turns it: the only room that introduces the others to each other."""

from __future__ import annotations

from marketloop.loop.api import Model, Predictor, Trainer

__all__ = ["Model", "Predictor", "Trainer"]
