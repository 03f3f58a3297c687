"""From stored bars to a training matrix: read, compute, check, assemble."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from marketloop.core.catalog import Family, Feature
from marketloop.core.errors import MarketLoopError, UsageError, unknown_name
from marketloop.core.values import Context, Matrix, Sessions
from marketloop.data.framecache import FrameCache
from marketloop.dataset import LabelSpec, assemble
from marketloop.evaluation.gate import GatePolicy
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.stream import StreamSpec
from marketloop.features import compute, fill, fingerprint, resolve
from marketloop.labels import Panel, build_panel
from marketloop.loop.context import Market, market_of
from marketloop.loop.house import House
from marketloop.models import checked_parameters
from marketloop.runtime.logging import get_logger
from marketloop.runtime.settings import Settings

__all__ = [
    "Choices",
    "Prepared",
    "choose",
    "features_key",
    "gate_policy",
    "named_features",
    "prepare",
    "prepare_features",
    "stored_bars",
]

ALIASES: Mapping[str, str] = {"ridge": "rank_ridge"}
"""Short names of recipes."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a caller may ask for beyond the settings.

    Parameters
    ----------
    recipes : names of recipes, the family's own when empty
    params : mapping, optional
        Hyperparameters of the one recipe that is named.
    sample_size : float
        Share of the sessions to learn from.
    target_days, threshold : optional
        Horizon of the label in sessions, and the move, as a fraction, beyond which it is BUY or SELL.
    """

    recipes: tuple[str, ...] = ()
    params: Mapping[str, Any] | None = None
    sample_size: float = 1.0
    target_days: int | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that training and examination read, as of one data version.

    `unfed` are the features that nothing feeds: null throughout, not in the matrix, and said so. `short` are the
    tickers with too few bars for a single row.
    """

    data_version: str
    bars: pl.DataFrame
    market: Market
    features: tuple[Feature, ...]
    raw: pl.DataFrame
    matrix: Matrix
    panel: Panel
    unfed: tuple[str, ...]
    short: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of any figure must know of its rows."""
        found = []
        if self.unfed:
            found.append(f"nothing feeds {', '.join(self.unfed)}: null throughout and dropped")
        if self.short:
            most = max(feature.lookback for feature in self.features)
            names = ", ".join(self.short[:10]) + (" ..." if len(self.short) > 10 else "")
            found.append(f"no rows for {names}: fewer than the {most + 1} bars that the longest look-back needs")
        return tuple(found)

    @property
    def sessions(self) -> Sessions:
        """Sessions of the project's calendar."""
        return self.market.sessions

    @property
    def context(self) -> Context:
        """Market series as known at each close."""
        return self.market.context


def prepare(house: House, spec: StreamSpec, *, sample_size: float = 1.0) -> Prepared:
    """Read the stored bars and make the matrix of `spec`.

    Raises
    ------
    UsageError
        There are no bars, too few of them, or `sample_size` is no fraction.
    """
    bars = stored_bars(house)
    market = market_of(house, bars)
    features = named_features(house, spec.feature_set)
    key = features_key(house, features, market)
    raw, filled = prepare_features(house, bars, features, market.context, key=key)
    panel = build_panel(bars, market.sessions, market.context)
    matrix = assemble(
        raw,
        filled,
        panel,
        market.sessions,
        label=spec.label,
        warmup=max(feature.lookback for feature in features),
        fingerprint=key,
    )
    unfed = tuple(name for name in matrix.names if raw[name].null_count() == len(raw))
    matrix = matrix.select([name for name in matrix.names if name not in unfed])
    return Prepared(
        data_version=str(house.store.version),
        bars=bars,
        market=market,
        features=features,
        raw=raw,
        matrix=_sampled(matrix, sample_size),
        panel=panel,
        unfed=unfed,
        short=tuple(np.delete(np.array(panel.tickers), np.unique(matrix.ticker)).tolist()),
    )


def stored_bars(house: House) -> pl.DataFrame:
    """Return all stored bars; raise `UsageError` when there are none."""
    bars = house.store.read()
    if bars.is_empty():
        raise UsageError("the project has no bars yet: run `marketloop collect` first")
    return bars


def prepare_features(
    house: House, bars: pl.DataFrame, features: Sequence[Feature], context: Context, *, key: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the features of `bars` before and after fill, from the cache when data and catalog are the same."""
    cache = FrameCache(house.project.data / "cache", keep=4)
    raw = cache.get(key)
    if raw is None:
        raw = compute(bars, features, context)
        try:
            cache.put(key, raw)
        except MarketLoopError as error:  # slower next time, and no worse
            get_logger("loop").warning("features were not cached", reason=str(error))
    return raw, fill(raw, features, house.settings.features.fill)


def choose(house: House, family: str, choices: Choices | None = None) -> StreamSpec:
    """Return the complete recipe of `family` under the project's settings and the caller's choices.

    Raises
    ------
    UsageError
        A recipe, hyperparameter or feature set is unknown, or hyperparameters are given without naming one recipe.
    """
    choices = choices or Choices()
    kind = house.catalog.family(family)
    section = house.settings.family_section(family)
    names = choices.recipes or section.recipes or kind.recipes
    threshold = next(t for t in (choices.threshold, section.threshold, kind.threshold) if t is not None)
    horizon = choices.target_days or section.target_days or kind.horizon
    named_features(house, house.settings.features.set)
    return StreamSpec(
        family=kind,
        contenders=_contenders(house, kind, names, choices.params or {}),
        label=LabelSpec(horizon, threshold if kind.classes else None),
        feature_set=_feature_key(house),
        config_key=house.strategy.key,
        block=house.settings.gate_for(family).block_sessions,
        threads=house.threads,
    )


def gate_policy(settings: Settings, family: str) -> GatePolicy:
    """Return the gate's numbers for `family`."""
    gate = settings.gate_for(family)
    return GatePolicy(
        alpha_skill=gate.alpha_skill,
        alpha_better=gate.alpha_better,
        min_skill_sessions=gate.min_skill_sessions,
        min_pair_sessions=gate.min_pair_sessions,
        refresh_age=gate.refresh_age,
        z_refresh=gate.z_refresh,
    )


def _contenders(house: House, family: Family, names: Sequence[str], params: Mapping[str, Any]) -> tuple[Contender, ...]:
    if params and len(names) != 1:
        raise UsageError(
            f"hyperparameters ({', '.join(params)}) belong to one recipe, and {family.name} chooses among "
            f"{', '.join(names)}: name one with --algorithm"
        )
    contenders = []
    for name in (ALIASES.get(name, name) for name in names):
        if name not in house.catalog.recipes:
            raise unknown_name(f"recipe of {family.name}", name, {*house.catalog.recipes, *ALIASES})
        recipe = house.catalog.recipe(name)
        grid = ({},) if params else recipe.grid
        contenders += [Contender(recipe, {**checked_parameters(recipe, params), **point}) for point in grid]
    return tuple(contenders)


def _feature_key(house: House) -> str:
    extra = house.catalog.plugin_features
    return house.settings.features.set + (f"+{house.catalog.fingerprint}" if extra else "")


def named_features(house: House, feature_set: str) -> tuple[Feature, ...]:
    """Return the features of a set and then those of the plugins; an unknown set raises `UsageError`."""
    return resolve(house.catalog.features, feature_set.split("+", maxsplit=1)[0], house.catalog.plugin_features)


def features_key(house: House, features: Sequence[Feature], market: Market) -> str:
    """Return the name of what `features` give on the stored bars: it changes with data, catalog and context."""
    document = {
        "data": house.store.version,
        "features": fingerprint(features, house.strategy),
        "plugins": house.catalog.fingerprint,
        "context": market.fingerprint,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def _sampled(matrix: Matrix, share: float) -> Matrix:
    """Keep every so many-th session of the labelled part, whole sessions only; the newest sessions always stay."""
    if not 0 < share <= 1:
        raise UsageError(f"sample size {share}: expected a fraction above 0 and at most 1")
    if share == 1:
        return matrix
    sessions = np.unique(matrix.session)
    back = np.arange(len(sessions))[::-1]
    keep = sessions[np.floor(back * share) != np.floor((back + 1) * share)]
    return matrix.take(np.isin(matrix.session, keep) | ~np.isfinite(matrix.label))
