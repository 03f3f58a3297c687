"""How much clients may ask for: a token bucket per client and kind of request, and places for those who stay."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

__all__ = ["Allowance", "Limiter", "Places"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """Requests per second in the long run, and at once."""

    per_second: float
    burst: int


@dataclass(slots=True)
class Limiter:
    """Token buckets, one for each client; the clients not seen for longest are forgotten beyond `most`.

    A client that is forgotten begins with a full bucket: with `most` clients at work that costs at most their bursts.
    """

    allowance: Allowance
    most: int = 10_000
    buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, client: str, at: float) -> float:
        """Take one token at second `at` of a steady clock; return 0, or the seconds until there is one.

        >>> limiter = Limiter(Allowance(per_second=1.0, burst=2))
        >>> [limiter.take("a", 0.0) for _ in range(3)]
        [0.0, 0.0, 1.0]
        """
        allowance = self.allowance
        left, since = self.buckets.pop(client, (float(allowance.burst), at))
        left = min(float(allowance.burst), left + max(0.0, at - since) * allowance.per_second)
        enough = left >= 1.0
        self.buckets[client] = (left - 1.0 if enough else left, at)
        if len(self.buckets) > self.most:
            self.buckets.popitem(last=False)
        return 0.0 if enough else (1.0 - left) / allowance.per_second if allowance.per_second > 0 else math.inf


@dataclass(slots=True)
class Places:
    """Places for answers that go on and on; they are few, because each costs something as long as it lasts."""

    most: int
    taken: int = 0

    def take(self) -> bool:
        """Take a place; False where there is none."""
        if self.taken >= self.most:
            return False
        self.taken += 1
        return True

    def leave(self) -> None:
        """Give a place back."""
        self.taken -= 1
