"""The catalog of features, their computation over bars, and the check that none of them sees the future."""

from marketloop.features.catalog import builtin_features
from marketloop.features.engine import compute
from marketloop.features.engineer import FeatureEngineer
from marketloop.features.evidence import Leak, LeakReport
from marketloop.features.fill import FILL_METHODS, fill
from marketloop.features.identity import fingerprint
from marketloop.features.incremental import latest
from marketloop.features.leaks import check_leaks, check_whole
from marketloop.features.regime import REGIME_LOOKBACK, regime_features, regime_lookback, regime_set
from marketloop.features.sets import FEATURE_SETS, resolve

__all__ = [
    "FEATURE_SETS",
    "FILL_METHODS",
    "REGIME_LOOKBACK",
    "FeatureEngineer",
    "Leak",
    "LeakReport",
    "builtin_features",
    "check_leaks",
    "check_whole",
    "compute",
    "fill",
    "fingerprint",
    "latest",
    "regime_features",
    "regime_lookback",
    "regime_set",
    "resolve",
]
