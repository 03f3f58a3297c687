"""Hyperparameters given by a person, checked against the recipe that they are meant for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketloop.core.catalog import Recipe
from marketloop.core.errors import UsageError, unknown_name

__all__ = ["checked_parameters", "require_ranges"]


def checked_parameters(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe's defaults with `given` over them.

    Raises
    ------
    UsageError
        When a name is not a hyperparameter of the recipe, or a value is not of the default's kind.
    """
    params = dict(recipe.defaults)
    for name, value in given.items():
        if name not in params:
            raise unknown_name(f"hyperparameter of the recipe {recipe.name}", name, params)
        params[name] = _of_kind(recipe.name, name, value, params[name])
    return params


def _of_kind(recipe: str, name: str, value: Any, default: Any) -> Any:
    kind = type(default)
    try:
        if kind is bool:
            return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]
        if kind is int and float(value) != int(float(value)):
            raise ValueError
        return kind(float(value)) if kind in {int, float} else kind(value)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{name} = {value!r} for the recipe {recipe}: expected a value of type {kind.__name__}, e.g. {default!r}"
        ) from error


def require_ranges(recipe: str, params: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise `UsageError` naming the first of `params` that lies outside its range (both ends allowed) or is NaN."""
    for name, (low, high) in ranges.items():
        if not low <= params[name] <= high:
            raise UsageError(f"{name} = {params[name]!r} for the recipe {recipe}: expected {low:g} to {high:g}")
