"""Learners made of scikit-learn's trees, kept as arrays in skops files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import FailedError, UsageError
from marketloop.core.values import Matrix
from marketloop.models.arrays import pack, unpack
from marketloop.models.grown import GROW, Grown, finite
from marketloop.models.trees import Trees

__all__ = ["Grove"]


@dataclass(slots=True)
class Grove:
    """A random forest or histogram gradient boosting: probabilities of any number of classes, or a value.

    It answers from the trees' arrays, one tree after the other in one thread: the same rows give the same bits whatever
    rows stand beside them, in the process that trained it and in any other.

    Parameters
    ----------
    kind : str
        A name of `grown.GROW`.
    params : mapping
        Hyperparameters under scikit-learn's names, plus ``thin_by, balanced``, and what the kind reads besides.
    """

    kind: str
    params: Mapping[str, Any]
    seed: int = 0
    threads: int = 1
    names: tuple[str, ...] = ()
    classes: int = 0
    grown: Grown | None = field(default=None)

    def fit(self, train: Matrix) -> Self:
        """Learn from `train`, whose labels must be known."""
        if len(train) == 0:
            raise UsageError("no labelled rows to learn from: collect a longer history or more tickers")
        self.names, self.classes = train.names, len(train.classes)
        self.grown = GROW[self.kind](train, self.params, self.seed, self.threads)
        return self

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return (n, classes) probabilities, or (n,) values."""
        grown = self._fitted("predict")
        return grown.output(_levels(rows.select(self.names)), self.classes)

    def importance(self) -> dict[str, float]:
        """Return the share of each feature in the impurity, or in the gain, that its splits take away."""
        shares = np.zeros(len(self.names)) if self.grown is None else np.array(self.grown.shares)
        total = shares.sum()
        return {name: float(s / total) if total > 0 else 0.0 for name, s in zip(self.names, shares, strict=True)}

    def contributions(self, rows: Matrix) -> NDArray[np.float64]:
        """Return (n, k): what each feature adds along the paths to the value, or to the last class less the first."""
        return self._fitted("contributions").contributions(_levels(rows.select(self.names)), self.classes)

    def parts(self) -> dict[str, bytes]:
        """Return ``trees.skops``, arrays and nothing else, and ``learner.json``."""
        grown = self._fitted("parts")
        arrays = {f"{i}.{name}": values for i, g in enumerate(grown.groups) for name, values in g.arrays().items()}
        trees = pack(arrays)
        document = {
            "kind": self.kind,
            "params": dict(self.params),
            "seed": self.seed,
            "names": list(self.names),
            "classes": self.classes,
            "groups": len(grown.groups),
            "base": list(grown.base),
            "present": list(grown.present),
            "margins": grown.margins,
            "shares": list(grown.shares),
            "sha256": hashlib.sha256(trees).hexdigest(),
        }
        return {"trees.skops": trees, "learner.json": json.dumps(document, sort_keys=True, allow_nan=False).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Grove:
        """Rebuild the learner from `parts`; damaged ones raise `FailedError`."""
        try:
            document: dict[str, Any] = json.loads(parts["learner.json"])
            if hashlib.sha256(parts["trees.skops"]).hexdigest() != document["sha256"]:
                raise ValueError("sha256")  # nothing is parsed before
            names = tuple(document["names"])
            arrays = unpack(parts["trees.skops"])
            groups = tuple(Trees.checked(_own(arrays, i), len(names)) for i in range(int(document["groups"])))
            grown = Grown(
                groups,
                tuple(document["base"]),
                tuple(document["present"]),
                margins=bool(document["margins"]),
                shares=tuple(document["shares"]),
            )
            return cls(
                kind=str(document["kind"]),
                params=document["params"],
                seed=int(document["seed"]),
                names=names,
                classes=int(document["classes"]),
                grown=grown,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FailedError(
                f"trees.skops or learner.json cannot be read ({type(error).__name__}: {error}): "
                "the artefact is damaged; roll back"
            ) from error

    def _fitted(self, verb: str) -> Grown:
        if self.grown is None:
            raise FailedError(f"{verb} was called before fit: the trees have not grown yet")
        return self.grown


def _levels(rows: Matrix) -> NDArray[np.float32]:
    return np.ascontiguousarray(finite(rows.X))


def _own(arrays: Mapping[str, NDArray[Any]], group: int) -> dict[str, NDArray[Any]]:
    prefix = f"{group}."
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
