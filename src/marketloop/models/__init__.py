"""Named recipes that make learners of a matrix, and bytes of learners and back; knows no markets, touches no disk."""

from __future__ import annotations

from marketloop.models.builtin import builtin_recipes
from marketloop.models.families import builtin_families
from marketloop.models.parameters import checked_parameters
from marketloop.models.ridge import RankRidge

__all__ = ["RankRidge", "builtin_families", "builtin_recipes", "checked_parameters"]
