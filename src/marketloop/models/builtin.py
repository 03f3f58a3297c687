"""The recipes that come with the product, on one screen."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from marketloop.core.catalog import Learner, Recipe
from marketloop.core.errors import UsageError
from marketloop.models.defaults import DEFAULTS, RANGES, SHARED, VOTES
from marketloop.models.parameters import require_ranges
from marketloop.models.ridge import RankRidge
from marketloop.models.spaces import SPACES

__all__ = ["builtin_recipes"]

Params = Mapping[str, Any]
Parts = Mapping[str, bytes]
Make = Callable[[str, Params, int, int], Learner]
Kind = tuple[Make, Callable[[Parts], Learner]]
"""How to make a learner, and how to read one."""
CALIBRATED = "calibration.json"
"""The part that tells a calibrated learner from a plain one."""
EXTRA = ("jax", "jaxlib", "optax")
"""What the extra ``lstm`` installs."""


def builtin_recipes() -> tuple[Recipe, ...]:
    """Return the recipes; the strongly shrunk one first, since it is what noise should be answered with."""
    return (
        _recipe(
            "rank_ridge",
            _RIDGE,
            "ridge on cross-sectional ranks, strongly shrunk",
            needs_ranks=True,
            grid=({"penalty": 6.0}, {"penalty": 1.5}, {"penalty": 0.4}),
        ),
        _recipe(
            "small_trees",
            _LIGHTGBM,
            "60 trees of 4 large leaves that read and predict ranks within the session, strongly shrunk",
            needs_ranks=True,
        ),
        _recipe("lightgbm", _LIGHTGBM, "200 trees of 31 leaves on the rank within the session, stopped early"),
        _recipe("xgboost", _XGBOOST, "500 trees of depth 7, stopped early on a purged tail"),
        _recipe("xgboost_regularised", _XGBOOST, "500 trees of depth 5, each on 70 % of rows and features"),
        _recipe("random_forest", _SKLEARN, "100 shallow trees of large leaves, each on a quarter of the rows"),
        _recipe("gradient_boosting", _SKLEARN, "200 trees of 15 leaves by histogram, stopped early on a purged tail"),
        _recipe(
            "lstm",
            _LSTM,
            "a small LSTM over the last 20 rows of each ticker (extra lstm)",
            needs_past=True,
        ),
        _recipe("ensemble", _ENSEMBLE, f"weighted vote of {', '.join(VOTES)}, 2 : 1 : 1 : 1.5"),
        _recipe("stacking", _ENSEMBLE, "the same four, pooled by weights learned on folds they have not seen"),
    )


def _recipe(
    name: str,
    kind: Kind,
    description: str,
    *,
    needs_ranks: bool = False,
    needs_past: bool = False,
    grid: tuple[Params, ...] = ({},),
) -> Recipe:
    return Recipe(
        name=name,
        build=partial(_built, name, kind[0]),
        defaults=DEFAULTS[name],
        from_parts=partial(_read, kind[1]),
        needs_ranks=needs_ranks,
        needs_past=needs_past,
        grid=grid,
        description=description,
        space=SPACES.get(name, ()),
    )


def _built(name: str, make: Make, params: Params, seed: int, threads: int) -> Learner:
    """Make a learner, and lay selection and calibration over it as the options say."""
    require_ranges(name, params, {key: ends for key, ends in RANGES.items() if key in DEFAULTS[name]})
    learner = make(name, params, seed, threads)
    if params["select"] != "none":
        learner = _door("selection").selecting(learner, params, seed)
    if params["calibrate"] != "none":
        learner = _door("calibration").calibrating(learner, params)
    return learner


def _read(read: Callable[[Parts], Learner], parts: Parts) -> Learner:
    """Read a learner whose probabilities may have been calibrated."""
    if CALIBRATED not in parts:
        return read(parts)
    learner: Learner = _door("calibration").read_calibrated(parts, read)
    return learner


def _ridge(name: str, params: Params, seed: int, threads: int) -> Learner:
    del name, seed, threads  # closed form: nothing to draw, nothing to spread
    return RankRidge(penalty=float(params["penalty"]), thin_by=int(params["thin_by"]), tail=float(params["tail"]))


def _boosted(name: str, params: Params, seed: int, threads: int) -> Learner:
    del name
    learner: Learner = _door("boosted").Boosted(params=dict(params), seed=seed, threads=threads)
    return learner


def _leafwise(name: str, params: Params, seed: int, threads: int) -> Learner:
    on_ranks = name == "small_trees"
    learner: Learner = _door("leafwise").Leafwise(params=dict(params), seed=seed, threads=threads, on_ranks=on_ranks)
    return learner


def _grove(name: str, params: Params, seed: int, threads: int) -> Learner:
    learner: Learner = _door("grove").Grove(kind=name, params=dict(params), seed=seed, threads=threads)
    return learner


def _lstm(name: str, params: Params, seed: int, threads: int) -> Learner:
    del name, threads  # one thread, so that the weights never depend on how many there are
    learner: Learner = _door("lstm").Lstm(params=dict(params), seed=seed, descend=_descend)
    return learner


def _descend(*args: Any, **settings: Any) -> Any:
    """Open the door of the extra when something is learned; who only answers never comes here."""
    try:
        return _door("descent").descend(*args, **settings)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise UsageError(
            f"the recipe lstm learns with JAX and optax, and {error.name} is not installed: "
            "pip install 'marketloop[lstm]' (in a checkout: make setup-lstm), or choose another recipe"
        ) from error


def _ensemble(name: str, params: Params, seed: int, threads: int) -> Learner:
    weights = {voter: float(params.get(voter, 1.0)) for voter in VOTES}
    if not any(weights.values()):
        raise UsageError(f"no member of the recipe {name} has a vote: give {' or '.join(VOTES)} a weight above 0")
    recipes = {recipe.name: recipe for recipe in builtin_recipes()}
    members = {}
    for voter in (voter for voter, weight in weights.items() if weight > 0):
        own = recipes[voter].defaults
        shared = {key: params[key] for key in SHARED if key in own}
        trees = min(int(own["n_estimators"]), int(params["max_trees"]))
        member = recipes[voter].build({**own, **shared, "n_estimators": trees}, seed, threads)
        members[voter] = (weights[voter], member)
    learner: Learner = _door("ensemble").Ensemble(
        members, folds=int(params.get("folds", 0)), penalty=float(params.get("shrink", 0.0))
    )
    return learner


def _read_boosted(parts: Parts) -> Learner:
    learner: Learner = _door("boosted").Boosted.from_parts(parts)
    return learner


def _read_leafwise(parts: Parts) -> Learner:
    learner: Learner = _door("leafwise").Leafwise.from_parts(parts)
    return learner


def _read_grove(parts: Parts) -> Learner:
    learner: Learner = _door("grove").Grove.from_parts(parts)
    return learner


def _read_lstm(parts: Parts) -> Learner:
    learner: Learner = _door("lstm").Lstm.from_parts(parts)
    return learner


def _read_ensemble(parts: Parts) -> Learner:
    readers = {recipe.name: recipe.from_parts for recipe in builtin_recipes() if recipe.name in VOTES}
    learner: Learner = _door("ensemble").read_ensemble(parts, readers)
    return learner


_RIDGE: Kind = (_ridge, RankRidge.from_parts)
_XGBOOST: Kind = (_boosted, _read_boosted)
_LIGHTGBM: Kind = (_leafwise, _read_leafwise)
_SKLEARN: Kind = (_grove, _read_grove)
_LSTM: Kind = (_lstm, _read_lstm)
_ENSEMBLE: Kind = (_ensemble, _read_ensemble)


def _door(module: str) -> Any:
    """Import a module of learners when one is built: listing names must not cost the seconds that XGBoost takes."""
    return importlib.import_module(f"marketloop.models.{module}")
