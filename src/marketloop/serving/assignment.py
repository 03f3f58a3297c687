"""One pure rule that says which version answers for a ticker."""

from __future__ import annotations

import hashlib

from marketloop.state.rollouts import Rollout

__all__ = ["assign", "place"]

_WHOLE = 2**64


def place(ticker: str, salt: str) -> float:
    """Return where `ticker` lies in [0, 1): spread evenly, and the same in every process and on every machine.

    The first 64 bits of the SHA-256 of salt and ticker; Python's own hash differs from process to process.

    >>> place("AAPL", "s") == place("AAPL", "s") != place("MSFT", "s")
    True
    """
    digest = hashlib.sha256(f"{salt}\n{ticker}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _WHOLE


def assign(ticker: str, champion: int, rollout: Rollout | None) -> int:
    """Return the version that answers for `ticker`: that of a canary or A/B test for its share of tickers.

    A ticker belongs to the second version while its `place` lies below the share. So a ticker that is in the canary
    stays in it when the share grows, the others stay out until the share reaches them, share 0 is nobody and share 1
    is everybody. A shadow never answers.

    Parameters
    ----------
    ticker : str
    champion : int
        Version that serves.
    rollout : Rollout, optional
        The slot's entry that holds now.
    """
    if rollout is None or rollout.version is None or not rollout.answers:
        return champion
    return rollout.version if place(ticker, rollout.salt) < rollout.share else champion
