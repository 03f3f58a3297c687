"""The named feature sets: exact names in an exact order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from marketloop.core.catalog import Feature
from marketloop.core.errors import UsageError, unknown_name
from marketloop.features.catalog import builtin_features

__all__ = ["FEATURE_SETS", "resolve"]

LEGACY: Final = (
    *("sma_50_level", "sma_200_level", "rsi", "hist_vol_30", "roc_10"),
    *("macd_level", "macd_signal_level", "bb_upper_level", "bb_lower_level"),
)

BASIC: Final = (
    *("price_vs_sma20", "sma_50_ratio", "ema_12_ratio", "ema_26_ratio", "macd", "macd_signal", "rsi", "roc_10"),
    *("mom_10", "williams_r_14", "bb_upper_distance", "bb_lower_distance", "atr_14_pct", "hist_vol_30"),
    *("obv_slope_20", "volume_sma_ratio", "volume_spike", "ret_1", "ret_5", "ret_20"),
)

EXTENDED: Final = tuple(f.name for f in builtin_features() if f.family not in {"rank", "level"})

FEATURE_SETS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"legacy": LEGACY, "basic": BASIC, "extended": EXTENDED}
)
"""Names of the features of each set; the order is the order of the columns and part of the contract."""


def resolve(
    catalog_features: Mapping[str, Feature], feature_set: str, extra: Sequence[str] = ()
) -> tuple[Feature, ...]:
    """Return the features of a named set, then those named by `extra`.

    Parameters
    ----------
    catalog_features : mapping of name to Feature
        What exists: the features of the house and of the plugins.
    feature_set : str
        ``legacy``, ``basic`` or ``extended``.
    extra : sequence of str
        Features of the catalog to add after the set's own, plugins' for instance.

    Raises
    ------
    UsageError
        The set or a feature is unknown, or a feature would stand twice.
    """
    if feature_set not in FEATURE_SETS:
        raise unknown_name("feature set", feature_set, FEATURE_SETS)
    names = (*FEATURE_SETS[feature_set], *extra)
    for at, name in enumerate(names):
        if name not in catalog_features:
            raise unknown_name("feature", name, catalog_features)
        if name in names[:at]:
            raise UsageError(f'the feature "{name}" is asked for twice; name it once')
    return tuple(catalog_features[name] for name in names)
