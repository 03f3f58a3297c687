"""A fingerprint of what features compute, for caches and for the record of a training run."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Sequence

import polars as pl

from marketloop.core.catalog import Feature
from marketloop.core.values import StrategyConfig
from marketloop.features.engine import roots

__all__ = ["fingerprint"]


def fingerprint(features: Sequence[Feature], strategy: StrategyConfig) -> str:
    """Return 16 hexadecimal digits that change whenever a feature, its order or its definition changes.

    Names, look-backs, expressions with the shared series that they read (or the source of a function), neutral values,
    the periods of `strategy` and the version of Polars enter. ``str(expr)`` would not do: it omits the
    length of a window.
    """
    lines = [f"polars {pl.__version__}", strategy.key]
    for feature in features:
        head = f"{feature.name} {feature.lookback} {feature.over} {feature.source} {feature.neutral}"
        lines += [head, *_definition(feature), *(_definition(feature.base) if feature.base else ())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _definition(feature: Feature) -> list[str]:
    if not isinstance(feature.expr, pl.Expr):
        return [_source(feature.expr)]
    shared = [f"{name} = {_text(feature.shared[name])}" for name in sorted(roots(feature)) if name in feature.shared]
    return [_text(feature.expr), *shared]


def _text(expr: pl.Expr) -> str:
    try:
        text = expr.meta.serialize(format="json")
    except pl.exceptions.PolarsError:
        text = str(expr)
    return re.sub(r'"lib":"[^"]*/', '"lib":"', text)  # where a plugin is installed is no part of what it does


def _source(function: object) -> str:
    try:
        return inspect.getsource(function)  # type: ignore[arg-type]
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return f"{code.co_code.hex()} {code.co_consts}" if code else repr(type(function))
