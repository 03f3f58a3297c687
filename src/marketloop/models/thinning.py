"""Leave out the sessions whose labels repeat what their neighbours say, and cut a purged tail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.core.values import Matrix

__all__ = ["cut_tail", "thin"]


def thin(train: Matrix, every: int) -> Matrix:
    """Keep every `every`-th session, counted back from the newest, so that the newest is always kept.

    Labels of ``h`` sessions overlap; every h-th session holds nearly all they say at 1/h of the cost. Since the
    newest session moves, the thinning rotates from one training to the next.
    """
    if every <= 1 or len(train) == 0:
        return train
    return train.take((int(train.session[-1]) - train.session) % every == 0)


def cut_tail(train: Matrix, share: float) -> tuple[Matrix, Matrix]:
    """Split into head and tail by session; the head keeps only labels known before the tail's first session.

    head |  purged | tail
    -----|---------|------> sessions
    """
    if len(train) == 0:
        raise UsageError("no labelled rows to learn from: collect a longer history or more tickers")
    sessions: NDArray[np.int32] = np.unique(train.session)
    start = sessions[min(int(len(sessions) * (1 - share)), len(sessions) - 1)]
    return train.take(train.known_on < start), train.take(train.session >= start)
