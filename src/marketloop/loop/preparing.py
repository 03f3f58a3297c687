"""From stored bars to a training matrix: read, compute, check, assemble."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from marketloop.core.catalog import Family, Feature
from marketloop.core.errors import MarketLoopError, UsageError, unknown_name
from marketloop.core.values import Context, Matrix, Sessions
from marketloop.data.framecache import FrameCache
from marketloop.dataset import LabelSpec, assemble, with_past
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.stream import StreamSpec
from marketloop.features import (
    REGIME_LOOKBACK,
    compute,
    fill,
    fingerprint,
    regime_features,
    regime_lookback,
    regime_set,
    resolve,
)
from marketloop.labels import Panel, build_panel
from marketloop.loop.context import Market, market_of, stored_bars
from marketloop.loop.house import House
from marketloop.loop.market_rows import market_rows
from marketloop.loop.plugins import ALIASES
from marketloop.models import checked_parameters
from marketloop.runtime.logging import get_logger

__all__ = [
    "Choices",
    "Prepared",
    "choose",
    "complete_sessions",
    "features_key",
    "floor_names",
    "named_features",
    "prepare",
    "prepare_features",
]

USUAL_SESSIONS = 20
"""Sessions whose number of tickers says how many are usual."""

PROFILES: Mapping[str, Mapping[str, float]] = {
    "none": {},
    "guide": {"accuracy": 0.60},
    "strict": {"accuracy": 0.70, "f1_score": 0.65, "points_lost": 10.0},
}
"""Floors by profile; inclusive. `points_lost` is the most accuracy, in points, that a candidate may have less than the
champion had when it was examined."""

FLOOR_FIGURES = ("accuracy", "precision", "recall", "f1_score", "roc_auc", "mcc", "points_lost")


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
    lookback : int, optional
        Sessions of the S&P 500 that a family with one row per session looks back on.
    tuned : bool
        Whether tuned settings compete although `recipes` are named; without names they always do.
    """

    recipes: tuple[str, ...] = ()
    params: Mapping[str, Any] | None = None
    sample_size: float = 1.0
    target_days: int | None = None
    threshold: float | None = None
    lookback: int | None = None
    tuned: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that training and examination read, as of one data version.

    `unfed` are the features that nothing feeds: null throughout, not in the matrix, and said so. `short` are the
    tickers with too few bars for a single row, `notes` what else was found about the rows.
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
    late: tuple[dt.date, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of any figure must know of its rows."""
        found = [*self.notes]
        if self.late:
            days = ", ".join(map(str, self.late))
            found.append(f"left out {days}: fewer than half of the tickers have their bar yet; collect the rest")
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
    """Read the stored bars, or the market series where a session is one row, and make the matrix of `spec`.

    Raises
    ------
    MissingContextError
        The family says one thing of a whole session, and there is no S&P 500 series.
    UsageError
        There are no bars, too few of them, or `sample_size` is no fraction.
    """
    version = house.store.version
    stored = stored_bars(house, version)
    features = _features_of(house, spec)
    warmup = max(feature.lookback for feature in features)
    late: tuple[dt.date, ...] = ()
    notes: tuple[str, ...] = ()
    if spec.family.unit == "session":
        rows = market_rows(house, stored, least=warmup + 1)
        market, bars, notes = rows.market, rows.bars, rows.notes
    else:
        market = market_of(house, stored)
        bars, late = complete_sessions(stored.filter(~pl.col("ticker").is_in(list(market.tickers))))
    key = features_key(house, features, market, version=version, bars=bars)
    raw, filled = prepare_features(house, bars, features, market.context, key=key)
    panel = build_panel(bars, market.sessions, market.context)
    matrix = assemble(
        raw,
        filled,
        panel,
        market.sessions,
        label=spec.label,
        warmup=warmup,
        fingerprint=key,
    )
    unfed = tuple(name for name in matrix.names if raw[name].null_count() == len(raw))
    matrix = with_past(replace(matrix.select([name for name in matrix.names if name not in unfed]), empty=unfed))
    return Prepared(
        data_version=str(version),
        bars=bars,
        market=market,
        features=features,
        raw=raw,
        matrix=_sampled(matrix, sample_size),
        panel=panel,
        unfed=unfed,
        late=late,
        notes=notes,
        short=tuple(np.delete(np.array(panel.tickers), np.unique(matrix.ticker)).tolist()),
    )


def complete_sessions(bars: pl.DataFrame) -> tuple[pl.DataFrame, tuple[dt.date, ...]]:
    """Cut the newest sessions in which less than half of the usual number of tickers has a bar, and return them too.

    What a session is said of once is never said again; a session that is still arriving must not be spoken of.
    """
    count = bars.group_by("date").agg(n=pl.len()).sort("date")
    recent = count.tail(USUAL_SESSIONS + 1).head(USUAL_SESSIONS)["n"].median()
    usual = float(recent) if isinstance(recent, int | float) else 0.0
    full = count.filter(pl.col("n") * 2 >= usual)["date"].max()
    late = tuple(count.filter(pl.col("date") > full)["date"].to_list())
    return (bars.filter(pl.col("date") <= full) if late else bars), late


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
        A recipe, hyperparameter or feature set is unknown, hyperparameters are given without naming one recipe, or one
        is out of its range.
    """
    choices = choices or Choices()
    kind = house.catalog.family(family)
    label = house.catalog.label(kind.label)
    if kind.classes != label.classes:
        raise UsageError(
            f"the family {kind.name} names the classes {kind.classes} and its label {label.name} {label.classes}: "
            "they must be the same, in the same order"
        )
    section = house.settings.family_section(family)
    names = choices.recipes or section.recipes or kind.recipes
    threshold = _threshold(kind, choices.threshold, section.threshold)
    horizon = choices.target_days or section.target_days or kind.horizon
    named_features(house, house.settings.features.set)
    floor_names(house, family)
    contenders = _contenders(house, kind, names, choices.params or {})
    return StreamSpec(
        family=kind,
        contenders=contenders,
        label=LabelSpec(horizon, threshold, label),
        feature_set=_feature_set(house, kind, choices.lookback),
        config_key=house.strategy.key,
        block=house.settings.gate_for(family).block_sessions or kind.block,
        threads=house.threads,
        origin=_origin(house, kind, contenders),
    )


def _threshold(family: Family, asked: float | None, setting: float | None) -> float | None:
    if family.threshold is None:
        if asked is not None:
            raise UsageError(f"--threshold {asked:g}: the label of {family.name} has no threshold; leave it out")
        return None
    return next(t for t in (asked, setting, family.threshold) if t is not None)


def _feature_set(house: House, family: Family, asked: int | None) -> str:
    """Return the name of the features: the project's set, or the market series with their look-back."""
    setting = house.settings.family_section(family.name).lookback
    lookback = setting if asked is None else asked
    if family.unit == "session":
        return regime_set(REGIME_LOOKBACK if lookback is None else lookback)
    if lookback is not None:
        raise UsageError(
            f"look-back {lookback}: {family.name} reads the bars of tickers, and only a family with one row per "
            "session has a look-back; leave it out"
        )
    return house.settings.features.set


def _features_of(house: House, spec: StreamSpec) -> tuple[Feature, ...]:
    if spec.family.unit == "ticker":
        return named_features(house, spec.feature_set)
    added = (house.catalog.feature(name) for name in _plugin_features(house, spec.family))
    return (*regime_features(regime_lookback(spec.feature_set)), *added)


def _plugin_features(house: House, family: Family) -> tuple[str, ...]:
    """Return the plugins' features that `family` reads: of a session, only those that see sessions."""
    names = house.catalog.plugin_features
    return names if family.unit == "ticker" else tuple(n for n in names if house.catalog.feature(n).over == "market")


def _origin(house: House, family: Family, contenders: Sequence[Contender]) -> str:
    """Return what stands behind the names of a recipe: sources of plugins, and the way of filling."""
    things = [f"family:{family.name}", f"label:{family.label}", *(f"recipe:{c.recipe.name}" for c in contenders)]
    things += [f"feature:{name}" for name in _plugin_features(house, family)]
    return f"{house.settings.features.fill} {house.catalog.origin(*things)}".strip()


def floor_names(house: House, family: str) -> Mapping[str, float]:
    """Return the floors that the settings put under `family`; one for an unknown figure raises `UsageError`."""
    gate = house.settings.gate_for(family)
    floors = {**PROFILES[gate.profile], **gate.floors}
    for name in floors:
        if name not in FLOOR_FIGURES:
            raise unknown_name("figure in [gate] floors", name, FLOOR_FIGURES)
    return floors


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
    if params:  # what the recipe itself refuses is wrong use now, and not a failed cycle later
        for contender in contenders:
            contender.build(seed=0, threads=1)
    return tuple(contenders)


def named_features(house: House, feature_set: str) -> tuple[Feature, ...]:
    """Return the features of a set and then those of the plugins; an unknown set raises `UsageError`."""
    return resolve(house.catalog.features, feature_set, house.catalog.plugin_features)


def features_key(
    house: House, features: Sequence[Feature], market: Market, *, version: int | None, bars: pl.DataFrame
) -> str:
    """Return the name of what `features` give on `bars`: it changes with data, catalog and context."""
    document = {
        "data": version,
        "rows": len(bars),
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
