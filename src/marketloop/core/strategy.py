"""The periods of the configurable indicators; apart from the arrays, because settings are read where none are."""

from __future__ import annotations

from dataclasses import dataclass

from marketloop.core.errors import UsageError

__all__ = ["StrategyConfig"]


@dataclass(frozen=True, slots=True)
class StrategyConfig:
    """Periods of the configurable indicators, in bars.

    Parameters
    ----------
    rsi_period : int, 2..100
        Wilder period of `rsi` and everything derived from it.
    volume_exhaustion_lookback_daily : int, 2..250
        Bars averaged by `volume_spike` and `volume_vs_average`.
    support_resistance_lookback_daily : int, 2..250
        Previous bars searched by `support_distance` and `resistance_distance`.
    """

    rsi_period: int = 10
    volume_exhaustion_lookback_daily: int = 20
    support_resistance_lookback_daily: int = 20

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rsi_period", 2, 100),
            ("volume_exhaustion_lookback_daily", 2, 250),
            ("support_resistance_lookback_daily", 2, 250),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise UsageError(f"{name} = {value!r}: expected a whole number of bars from {low} to {high}")

    @property
    def key(self) -> str:
        """Configuration key that travels with data, models and file names.

        >>> StrategyConfig().key
        'rsi10_vol20_support20'
        """
        return (
            f"rsi{self.rsi_period}_vol{self.volume_exhaustion_lookback_daily}"
            f"_support{self.support_resistance_lookback_daily}"
        )
