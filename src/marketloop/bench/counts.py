"""How often something happened among independent trials, and what that says of its probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from marketloop.core.errors import UsageError

__all__ = ["Count"]

Z_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Count:
    """`hits` among `trials`.

    Examples
    --------
    >>> Count(5, 100).document()["wilson_95"]
    [0.0215, 0.1118]
    """

    hits: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.trials:
            raise UsageError(f"{self.hits} hits of {self.trials} trials: expected 0 to {self.trials} hits")

    @property
    def wilson(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the probability (Wilson 1927); NaN without trials.

        Five of a hundred is compatible with anything from 2 % to 11 %: a count needs many trials to prove a promise.
        """
        n = self.trials
        if n == 0:
            return math.nan, math.nan
        share, square = self.hits / n, Z_95 * Z_95
        centre = (share + square / (2 * n)) / (1 + square / n)
        half = Z_95 / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    def document(self) -> dict[str, Any]:
        """Return the count as JSON values."""
        interval = [round(bound, 4) for bound in self.wilson] if self.trials else None
        return {"hits": self.hits, "trials": self.trials, "wilson_95": interval}
