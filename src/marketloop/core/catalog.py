"""What can be chosen by name: features, recipes, families, sources; a value, never a global registry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.errors import UsageError, unknown_name
from marketloop.core.values import Matrix

__all__ = [
    "Catalog",
    "Check",
    "Dimension",
    "Explaining",
    "Family",
    "Feature",
    "Label",
    "LabelValues",
    "Learner",
    "Preparing",
    "Recipe",
]

Params = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Feature:
    """One past-only quantity per (ticker, session).

    Parameters
    ----------
    name : str
        Column name, unique in the catalog.
    family : str
        ``trend``, ``momentum``, ... or ``plugin``.
    lookback : int
        How many bars *before* t the value depends on; with fewer the value is null. A function may also read what other
        tickers did in the sessions of these bars.
    expr : polars expression, or a function of the whole panel
        An expression sees one ticker's bars in order of time (``.over("ticker")`` is added for it) with the columns
        ``open, high, low, close, volume`` and, where the context feeds them, ``vix, spx, us10y, usd``.
        A function receives the whole frame, sorted by (ticker, date), and returns one series aligned with it.
    neutral : float, optional
        Fill for 0/0 and gaps; None leaves them null.
    source : str
        What feeds it: ``bars``, ``market``, ``sector``, ``universe``.
    low, high : float, optional
        Declared range, inclusive; None is unbounded.
    over : str
        Whose rows an expression sees, in order of time: ``ticker`` its bars (the default), ``market`` the sessions of
        the context's market frame, ``universe`` the sessions of the bars with the columns ``advancers, decliners,
        tickers``; or ``session`` the tickers of one session, as a second pass over the values of `base`.
    shared : mapping of name to polars expression
        Series per ticker that `expr` may read by name besides the bars; they may read each other, and are computed once
        however many features read them.
    base : Feature, optional
        The feature whose values a second pass reads, by name.
    """

    name: str
    family: str
    lookback: int
    expr: pl.Expr | Callable[[pl.DataFrame], pl.Series]
    neutral: float | None = None
    source: str = "bars"
    low: float | None = None
    high: float | None = None
    definition: str = ""
    over: str = "ticker"
    shared: Mapping[str, pl.Expr] = field(default_factory=dict)
    base: Feature | None = None

    def __post_init__(self) -> None:
        if self.lookback < 0:
            raise UsageError(f'feature "{self.name}": look-back {self.lookback} is negative; expected bars before t')


@runtime_checkable
class Learner(Protocol):
    """An estimator that learns from a `Matrix` and can be taken apart into bytes."""

    def fit(self, train: Matrix) -> Self:
        """Learn from rows whose labels are known."""
        ...

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return class probabilities (n, classes), or values (n,)."""
        ...

    def importance(self) -> dict[str, float]:
        """Return the share of each feature, summing to 1 (to 0 when nothing was learned)."""
        ...

    def parts(self) -> dict[str, bytes]:
        """Return the fitted state as named files; never a pickle."""
        ...


@runtime_checkable
class Explaining(Protocol):
    """A learner that can say what each feature adds to each score; optional."""

    def contributions(self, rows: Matrix) -> NDArray[np.float64]:
        """Return how much each feature adds to each row's directional score (n, k), in the learner's own units."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A learner that can put its training rows into a form of its own once, for many fits; optional.

    ``fit(train)`` and ``fit_prepared(prepare(train))`` make the same model. Two learners whose `preparation` is equal
    may be fitted on one and the same prepared form, so it must name every setting that the form depends on.
    """

    def preparation(self) -> Hashable:
        """Return what the prepared form depends on besides the rows."""
        ...

    def prepare(self, train: Matrix) -> Any:
        """Return the rows as this learner reads them."""
        ...

    def fit_prepared(self, prepared: Any) -> Self:
        """Learn from what `prepare` returned; it is left as it was."""
        ...


@dataclass(frozen=True, slots=True)
class LabelValues:
    """What became of each ticker after each close, and when that was known; arrays (T, N).

    `value` is a class code or a number, NaN while unknown; `known_on` (int32) the session at whose close it is known,
    the largest int32 while it is not.
    """

    value: NDArray[np.float64]
    known_on: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Label:
    """An outcome that a family predicts.

    Parameters
    ----------
    name : str
    build : function (panel, horizon, threshold) -> LabelValues
        `panel` is a `labels.Panel`; `threshold` a fraction, or None where the label has none. The outcome of session t
        must be known on one and the same later session for every ticker: labels that resolve early for some rows only
        would let a purged training see the quick ones first.
    classes : names of the classes in order of their codes, or empty for a number
    """

    name: str
    build: Callable[[Any, int, float | None], LabelValues]
    classes: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One hyperparameter's range for tuning, both ends included; `log` searches its logarithm evenly."""

    name: str
    low: float
    high: float
    kind: Literal["float", "int"] = "float"
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise UsageError(
                f"the range of {self.name} is {self.low:g} to {self.high:g}: expected low < high"
                f"{', above 0 on a log scale' if self.log else ''}"
            )


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way to make a learner.

    Parameters
    ----------
    name : str
        What settings call it.
    build : function (params, seed, threads) -> Learner
    defaults : mapping
        Hyperparameters; `--set name=value` may change these and no others.
    from_parts : function (parts) -> Learner
        Inverse of ``Learner.parts``.
    needs_ranks : bool
        Whether the learner reads ``Matrix.ranks``.
    needs_past : bool
        Whether the learner reads ``Matrix.past``, the earlier rows of the same ticker.
    grid : tuple of mappings
        Settings that inner purged validation chooses among; ``({},)`` leaves nothing to choose.
    space : tuple of Dimension
        What tuning searches; empty where there is nothing to tune.
    """

    name: str
    build: Callable[[Params, int, int], Learner]
    defaults: Params
    from_parts: Callable[[Mapping[str, bytes]], Learner]
    needs_ranks: bool = False
    grid: tuple[Params, ...] = field(default=({},))
    description: str = ""
    space: tuple[Dimension, ...] = ()
    needs_past: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of model, in one declaration: what it predicts, with which recipes, how its output is read and judged.

    Parameters
    ----------
    name : str
    classes : names of the classes in order of their codes, or empty for a value
    horizon : int
        Default label horizon in sessions.
    threshold : float or None
        Default threshold of the label, as a fraction (price: the move beyond which it is BUY or SELL).
    recipes : names of recipes, the fallback first
    score : function (output of `Learner.predict`) -> (n,)
        Directional score, higher is more bullish.
    minimum_rows : int
        Fewest labelled rows that a training needs.
    label : str
        Name of a `Label` of the catalog.
    unit : ``ticker`` or ``session``
        What a row stands for: a ticker in a session, or the whole market in a session (market series only).
    statistic : ``rank_ic`` or ``log_loss``
        What skill is measured by (GATE.md, 2): the order of the tickers within a session, or, where a session is one
        row, the gain in log loss over the last known label.
    objective : str
        What tuning improves: ``log_loss``, ``rank_ic`` or ``rmse``.
    cadence : str
        When it is retrained by default: ``nightly``, ``monthly`` or ``quarterly``.
    block : int
        Sessions per block of its stream, between two fits of the recipe (``[gate] block_sessions`` wins).
    by_default : bool
        Whether it is retrained without being asked for; ``[family.NAME] enabled`` wins.
    """

    name: str
    classes: tuple[str, ...]
    horizon: int
    threshold: float | None
    recipes: tuple[str, ...]
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    minimum_rows: int = 1000
    description: str = ""
    label: str = "direction"
    unit: Literal["ticker", "session"] = "ticker"
    statistic: Literal["rank_ic", "log_loss"] = "rank_ic"
    objective: str = "log_loss"
    cadence: str = "nightly"
    block: int = 21
    by_default: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One named finding of an examination.

    A hard check that fails refuses the candidate whatever else was found and cannot be forced.
    """

    name: str
    value: float | None
    threshold: float | None
    passed: bool
    hard: bool = False
    detail: str = ""


@dataclass(slots=True)
class Catalog:
    """Everything that settings may name.

    Built afresh from the same list wherever it is needed; a plugin is a module with one function,
    ``register(catalog)``, that calls `add`.
    """

    features: dict[str, Feature] = field(default_factory=dict)
    recipes: dict[str, Recipe] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    sources: dict[str, Callable[..., Any]] = field(default_factory=dict)
    universes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    conditions: dict[str, Callable[..., str | None]] = field(default_factory=dict)
    checks: dict[str, Callable[..., Check]] = field(default_factory=dict)
    channels: dict[str, Callable[..., None]] = field(default_factory=dict)
    plugins: dict[str, str] = field(default_factory=dict)
    plugin_features: tuple[str, ...] = ()
    origins: dict[str, str] = field(default_factory=dict)

    def add(self, *things: Feature | Label | Recipe | Family) -> Catalog:
        """Add features, labels, recipes and families; a name that is taken raises `UsageError`."""
        for thing in things:
            shelf: dict[str, Any]
            match thing:
                case Feature():
                    shelf = self.features
                case Recipe():
                    shelf = self.recipes
                case Family():
                    shelf = self.families
                case Label():
                    shelf = self.labels
                case _:
                    raise UsageError(f"a catalog takes Feature, Label, Recipe or Family, not {type(thing).__name__}")
            self._put(shelf, type(thing).__name__.lower(), thing.name, thing)
        return self

    def add_source(self, name: str, build: Callable[..., Any]) -> Catalog:
        """Add a data source: a function of its settings that returns an object with the `Source` protocol."""
        return self._put(self.sources, "source", name, build)

    def add_universe(self, name: str, tickers: tuple[str, ...]) -> Catalog:
        """Add a named universe."""
        return self._put(self.universes, "universe", name, tickers)

    def add_condition(self, name: str, veto: Callable[..., str | None]) -> Catalog:
        """Add a retraining condition: it returns None to agree, or the reason of its veto."""
        return self._put(self.conditions, "condition", name, veto)

    def add_check(self, name: str, check: Callable[..., Check]) -> Catalog:
        """Add a gate check: a function of the scorecard that returns a `Check`."""
        return self._put(self.checks, "check", name, check)

    def add_channel(self, name: str, tell: Callable[..., None]) -> Catalog:
        """Add an alarm channel: a function ``tell(kind, title, body)`` that raises when it could not deliver."""
        return self._put(self.channels, "channel", name, tell)

    def feature(self, name: str) -> Feature:
        """Return the feature called `name`."""
        return _get(self.features, "feature", name)

    def recipe(self, name: str) -> Recipe:
        """Return the recipe called `name`."""
        return _get(self.recipes, "recipe", name)

    def label(self, name: str) -> Label:
        """Return the label called `name`."""
        return _get(self.labels, "label", name)

    def family(self, name: str) -> Family:
        """Return the family called `name`."""
        return _get(self.families, "family", name)

    def origin(self, *names: str) -> str:
        """Return the hash of the plugin sources behind things named ``feature:x``, ``recipe:x`` or ``family:x``."""
        text = "\n".join(f"{name}={self.origins[name]}" for name in sorted(names) if name in self.origins)
        return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""

    @property
    def fingerprint(self) -> str:
        """Hash of the plugins' sources; it enters every training fingerprint."""
        text = "\n".join(f"{name}={digest}" for name, digest in sorted(self.plugins.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _put(self, shelf: dict[str, Any], kind: str, name: str, thing: Any) -> Catalog:
        if name in shelf:
            raise UsageError(f'the {kind} "{name}" exists already; choose another name')
        shelf[name] = thing
        return self


def _get(shelf: Mapping[str, T], kind: str, name: str) -> T:
    if name not in shelf:
        raise unknown_name(kind, name, shelf)
    return shelf[name]
