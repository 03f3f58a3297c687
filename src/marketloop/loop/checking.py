"""Features outside training: their lists, their values in files and in the store, and the leak check."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError
from marketloop.core.frames import BAR_SCHEMA
from marketloop.core.values import Context
from marketloop.data.calendar import load_closes
from marketloop.data.context import build_context
from marketloop.data.sources.folder import FolderSource
from marketloop.data.synthetic import SyntheticSource
from marketloop.features import FEATURE_SETS, LeakReport, compute, fill
from marketloop.loop.checks import leak_report
from marketloop.loop.context import market_of, sessions_around, stored_bars
from marketloop.loop.house import House
from marketloop.loop.preparing import features_key, named_features, prepare_features
from marketloop.runtime.files import ensure_folder, write_atomic

__all__ = ["Computed", "check_features", "compute_file", "compute_stored", "feature_sets"]

LEGACY_WARNING = "price levels identify ticker and date: the set legacy is for compatibility only"
EARLIEST, LATEST = dt.date(1900, 1, 1), dt.date(2200, 1, 1)
ENDINGS = (".csv", ".parquet")
SIMULATED = {"tickers": 24, "sessions": 700}


@dataclass(frozen=True, slots=True)
class Computed:
    """A feature set over some bars: its features, the values before fill, and after."""

    feature_set: str
    config_key: str
    features: tuple[Feature, ...]
    raw: pl.DataFrame
    filled: pl.DataFrame

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know of the set."""
        return (LEGACY_WARNING,) if self.feature_set == "legacy" else ()

    def document(self) -> dict[str, Any]:
        """Return the `features` document: each feature with the share of rows in which it is missing before fill."""
        rows = max(len(self.raw), 1)
        missing = {f.name: self.raw[f.name].null_count() / rows for f in self.features}
        return {
            "feature_set": self.feature_set,
            "config_key": self.config_key,
            "rows": len(self.raw),
            "tickers": self.raw["ticker"].n_unique(),
            "first": str(self.raw["date"].min()),
            "last": str(self.raw["date"].max()),
            "features": [{"name": f.name, "family": f.family, "missing": missing[f.name]} for f in self.features],
            "unfed": [name for name, share in missing.items() if share == 1],
            "warnings": list(self.warnings),
        }


def feature_sets(house: House) -> dict[str, Any]:
    """Return the `features --list` document: names in order, and the features of plugins where there are any."""
    document: dict[str, Any] = {"sets": {name: list(names) for name, names in FEATURE_SETS.items()}}
    if house.catalog.plugin_features:
        document["plugins"] = list(house.catalog.plugin_features)
    return document


def compute_stored(house: House) -> Computed:
    """Compute the project's feature set over the stored bars."""
    features = named_features(house, house.settings.features.set)
    version = house.store.version
    bars = stored_bars(house, version)
    market = market_of(house, bars)
    key = features_key(house, features, market, version=version, bars=bars)
    raw, filled = prepare_features(house, bars, features, market.context, key=key)
    return Computed(house.settings.features.set, house.strategy.key, features, raw, filled)


def compute_file(house: House, source: Path, target: Path) -> Computed:
    """Compute the feature set over the bars of a file, or of a folder of files, and write ``date, ticker, features``.

    Market series come from the project's ``[context]``; outside a project the features that they feed are null.

    Raises
    ------
    UsageError
        The file cannot be read as bars, or the ending of `target` is neither .csv nor .parquet.
    """
    if target.suffix.lower() not in ENDINGS:
        raise UsageError(f'--output "{target}": expected a name that ends in {" or ".join(ENDINGS)}')
    features = named_features(house, house.settings.features.set)
    bars = _bars_of(source)
    context = market_of(house, bars).context if house.project.settings_file.is_file() else Context.empty()
    raw = compute(bars, features, context)
    filled = fill(raw, features, house.settings.features.fill)
    content = io.BytesIO()
    filled.write_parquet(content) if target.suffix.lower() == ".parquet" else filled.write_csv(content)
    ensure_folder(target.absolute().parent)
    write_atomic(target.absolute(), content.getvalue())
    return Computed(house.settings.features.set, house.strategy.key, features, raw, filled)


def check_features(house: House, feature_set: str | None = None) -> LeakReport:
    """Check that no feature sees the future and that each look-back is honest.

    On the stored bars, where there are any, else on a simulated market that feeds every feature.

    Parameters
    ----------
    feature_set : str, optional
        Only this set and the plugins; by default every feature of the catalog.
    """
    catalog = house.catalog.features
    features = tuple(catalog.values()) if feature_set is None else named_features(house, feature_set)
    plugins = house.catalog.plugin_features
    bars = house.store.read()
    if bars.is_empty():
        return leak_report(*_simulated(features, house.settings.project.calendar), closely=plugins)
    return leak_report(bars, features, market_of(house, bars).context, closely=plugins)


def _bars_of(path: Path) -> pl.DataFrame:
    source = FolderSource(path.expanduser())
    fetched = source.fetch(source.tickers(), EARLIEST, LATEST)
    bars = fetched.bars.select(*BAR_SCHEMA)
    unread = bars["date"].null_count() + bars["ticker"].null_count()
    if unread:
        raise UsageError(f'"{path}" has {unread} rows without a readable date or ticker: correct or remove them first')
    return bars.sort("ticker", "date")


def _simulated(features: tuple[Feature, ...], calendar: str) -> tuple[pl.DataFrame, tuple[Feature, ...], Context]:
    source = SyntheticSource({**SIMULATED, "calendar": calendar})
    bars = source.market.bars
    days = bars["date"].sort()
    sessions = sessions_around(calendar, days[0], days[-1])
    closes = load_closes(calendar, sessions.date(sessions.first), days[-1] + dt.timedelta(days=30))
    context = build_context(source.series(), source.sectors(), sessions=sessions, close_utc=closes)
    return bars, features, context
