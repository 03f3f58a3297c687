"""Decision trees as plain arrays: what a forest leaves on disk, and how it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree._tree import NODE_DTYPE, Tree

__all__ = ["Trees"]

Array = NDArray[np.float64]
KINDS: Mapping[str, str] = {
    "left": "i4",
    "right": "i4",
    "feature": "i4",
    "threshold": "f8",
    "missing_left": "u1",
    "value": "f4",
    "size": "i4",
}


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees whose answers add up, their nodes one after the other.

    Parameters
    ----------
    left, right : int32 (nodes,)
        Children, counted from the root of their tree; -1 in a leaf. A child stands behind its parent.
    feature : int32 (nodes,), threshold : float64 (nodes,)
        A row goes left when its feature is at most the threshold.
    missing_left : uint8 (nodes,)
        Whether it goes left when its feature is missing.
    value : float32 (nodes, outputs)
        Answer of each node; those of the leaves count.
    size : int32 (trees,)
        Nodes of each tree.
    features : int
        Columns that the rows must have.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: Array
    missing_left: NDArray[np.uint8]
    value: NDArray[np.float32]
    size: NDArray[np.int32]
    features: int
    compiled: tuple[Any, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(cls, parts: Sequence[Mapping[str, NDArray[Any]]], features: int) -> Trees:
        """Join trees given as mappings of the arrays above (without ``size``)."""
        joined = {
            name: np.concatenate([part[name] for part in parts]).astype(kind)
            for name, kind in KINDS.items()
            if name != "size"
        }
        return cls.checked({**joined, "size": np.array([len(part["left"]) for part in parts], np.int32)}, features)

    @classmethod
    def checked(cls, arrays: Mapping[str, NDArray[Any]], features: int) -> Trees:
        """Build trees of arrays; any that would lead a row astray raise `KeyError` or `ValueError`."""
        if set(arrays) != set(KINDS):
            raise KeyError(", ".join(sorted(set(arrays) ^ set(KINDS))))
        for name, kind in KINDS.items():
            if arrays[name].dtype != np.dtype(kind) or arrays[name].ndim != (2 if name == "value" else 1):
                raise ValueError(f"{name} is no array of {kind}")
        own: dict[str, Any] = dict(arrays)
        trees = cls(**own, features=features)
        nodes = int(trees.size.sum())
        if (trees.size < 1).any() or any(len(arrays[name]) != nodes for name in KINDS if name != "size"):
            raise ValueError("the trees have other sizes than their nodes")
        trees._check_ways()
        object.__setattr__(trees, "compiled", tuple(trees._compile()))
        return trees

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {name: getattr(self, name) for name in KINDS}

    def total(self, X: NDArray[np.float32]) -> Array:
        """Return the sum of the trees' answers (n, outputs): tree by tree, so that no row depends on another."""
        out = np.zeros((len(X), self.value.shape[1]))
        for tree in self.compiled:
            out += tree.predict(X)
        return out

    def contributions(self, X: NDArray[np.float32], direction: Array) -> Array:
        """Return (n, features): by how much each split moves ``answer @ direction`` along a row's path.

        Saabas (2014), "Interpreting random forests". The parts add up to the answer less that of the roots.
        """
        out = np.zeros((len(X), self.features))
        every = np.arange(len(X))
        worth = self.value.astype(np.float64) @ direction
        for start in np.cumsum(self.size) - self.size:
            node = np.full(len(X), start)
            going = self.left[node] >= 0
            while going.any():
                rows, at = every[going], node[going]
                feature = self.feature[at]
                level = X[rows, feature]
                left = np.where(np.isnan(level), self.missing_left[at] > 0, level <= self.threshold[at])
                child = start + np.where(left, self.left[at], self.right[at])
                out[rows, feature] += worth[child] - worth[at]
                node[going] = child
                going = self.left[node] >= 0
        return out

    def _check_ways(self) -> None:
        place = np.concatenate([np.arange(size) for size in self.size])
        room = np.repeat(self.size, self.size)
        split = self.left >= 0
        good = (self.left > place) & (self.right > place) & (self.left < room) & (self.right < room)
        good &= (self.feature >= 0) & (self.feature < self.features)
        if not good[split].all() or not (self.right[~split] == self.left[~split]).all():
            raise ValueError("a node leads nowhere")

    def _compile(self) -> Iterator[Any]:
        outputs = self.value.shape[1]
        for start, size in zip(np.cumsum(self.size) - self.size, self.size, strict=True):
            own = slice(start, start + size)
            nodes = np.zeros(size, dtype=NODE_DTYPE)
            nodes["left_child"], nodes["right_child"] = self.left[own], self.right[own]
            nodes["feature"], nodes["threshold"] = self.feature[own], self.threshold[own]
            nodes["missing_go_to_left"] = self.missing_left[own]
            nodes["n_node_samples"] = nodes["weighted_n_node_samples"] = 1
            tree = Tree(self.features, np.array([outputs], dtype=np.intp), 1)
            values = np.ascontiguousarray(self.value[own, None, :], dtype=np.float64)
            tree.__setstate__({"max_depth": 0, "node_count": int(size), "nodes": nodes, "values": values})
            yield tree
