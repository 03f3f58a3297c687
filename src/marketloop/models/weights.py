"""What training rows weigh, and whether what they aim at says anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketloop.core.values import Matrix

__all__ = ["balanced_weight", "informative"]


def balanced_weight(rows: Matrix) -> NDArray[np.float32]:
    """Return the weights (n,) that give every class that occurs the same total; the rare ones count for more."""
    classes = len(rows.classes)
    code = rows.label.astype(int)
    share = np.bincount(code, weights=rows.weight, minlength=classes)
    factor: NDArray[np.float64] = share.sum() / (classes * np.maximum(share, 1.0))
    weight: NDArray[np.float32] = (rows.weight * factor[code]).astype(np.float32)
    return weight


def informative(target: NDArray[np.float32]) -> bool:
    """Return whether the known values of `target` differ at all: a session of one row has no order to learn."""
    known = target[np.isfinite(target)]
    return len(known) > 0 and bool(known.min() < known.max())
