"""What was computed of arrays that nobody can change, kept while those arrays live."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kept"]

T = TypeVar("T")


class Kept(threading.local):
    """The last few results, found again by the memory that they were computed from.

    A result is kept only if every array, and every array that it is a view of, is read-only: then the same memory
    always holds the same numbers. It goes when one of the arrays goes. Each thread has results of its own, so there is
    no lock that a fork could inherit.

    Parameters
    ----------
    most : int
        Results to keep; the one that was not asked for longest goes first.
    """

    def __init__(self, most: int = 4) -> None:
        self.most = most
        self.found: dict[Hashable, tuple[tuple[weakref.ref[Any], ...], Any]] = {}

    def get(self, arrays: Sequence[NDArray[Any]], also: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make()`` returned for these `arrays` and `also` before, or call it.

        The arrays are told apart by where they begin and by their strides, not by their lengths: put the length into
        `also` where the result depends on it.
        """
        owners = [_owner(values) for values in arrays]
        if any(owner is None for owner in owners):
            return make()
        key = (also, *(_place(values) for values in arrays))
        references, kept = self.found.pop(key, ((), None))
        same = [reference() for reference in references]
        if len(same) != len(owners) or any(a is not b for a, b in zip(same, owners, strict=True)):
            kept = make()
            found = self.found  # of this thread; the arrays may go in another one
            references = tuple(weakref.ref(owner, lambda _: found.pop(key, None)) for owner in owners)
        self.found[key] = (references, kept)
        while len(self.found) > self.most:
            self.found.pop(next(iter(self.found)))
        return kept  # type: ignore[no-any-return]


def _owner(values: NDArray[Any]) -> NDArray[Any] | None:
    """Return the array whose memory `values` shows, or None if it can be written to (or is empty)."""
    owner = values
    while True:
        if owner.flags.writeable or owner.size == 0:
            return None
        if not isinstance(owner.base, np.ndarray):
            return owner
        owner = owner.base


def _place(values: NDArray[Any]) -> Hashable:
    return (values.__array_interface__["data"][0], values.strides, values.shape[1:], values.dtype.str)
