"""Several recipes that answer as one: by a vote with fixed weights, or by a pool learned out of sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from marketloop.core.catalog import Learner
from marketloop.core.errors import FailedError, UsageError
from marketloop.core.values import Matrix
from marketloop.models.pool import Pool, learn_pool, vote

__all__ = ["Ensemble", "read_ensemble"]

Array = NDArray[np.float64]
FILE = "ensemble.json"


@dataclass(slots=True)
class Ensemble:
    """A learner made of learners.

    Parameters
    ----------
    members : mapping of recipe name to (weight, learner)
    folds : int
        0 for a vote with the weights. Otherwise the pool is learned (stacking, Wolpert 1992): the sessions are cut into
        ``folds + 1`` spans, each but the first is answered by members that were fitted on the rows whose labels were
        known before it, and the pool is fitted on those answers. Then every member learns from all rows.
    penalty : float
        How strongly a learned pool is drawn towards equal weights.
    """

    members: Mapping[str, tuple[float, Learner]]
    folds: int = 0
    penalty: float = 0.01
    names: tuple[str, ...] = ()
    pool: Pool | None = field(default=None)

    def fit(self, train: Matrix) -> Self:
        """Learn from `train`, whose labels must be known."""
        if len(train) == 0:
            raise UsageError("no labelled rows to learn from: collect a longer history or more tickers")
        self.names = train.names
        self.pool = vote([weight for weight, _ in self.members.values()], len(train.classes))
        if self.folds:
            said, rows = self._out_of_fold(train)
            self.pool = learn_pool(said, rows, self.penalty) if rows is not None else self.pool
        for _, learner in self.members.values():
            learner.fit(train)
        return self

    def predict(self, rows: Matrix) -> Array:
        """Return (n, classes) probabilities, or (n,) values."""
        if self.pool is None:
            raise FailedError("predict was called before fit: the ensemble has no members that have learned yet")
        rows = rows.select(self.names)
        return self.pool.combined([learner.predict(rows) for _, learner in self.members.values()])

    def importance(self) -> dict[str, float]:
        """Return the members' shares, weighed as their answers are."""
        shares = dict.fromkeys(self.names, 0.0)
        weights = [weight for weight, _ in self.members.values()] if self.pool is None else self.pool.weights
        for weight, (_, learner) in zip(weights, self.members.values(), strict=True):
            for name, share in learner.importance().items():
                shares[name] += float(weight) * share
        total = sum(shares.values())
        return {name: share / total if total > 0 else 0.0 for name, share in shares.items()}

    def parts(self) -> dict[str, bytes]:
        """Return the members' parts, each after its recipe's name and a dot, and ``ensemble.json``."""
        if self.pool is None:
            raise FailedError("parts was called before fit: the ensemble has no members that have learned yet")
        document = {
            "kind": "ensemble",
            "members": {name: weight for name, (weight, _) in self.members.items()},
            "folds": self.folds,
            "penalty": self.penalty,
            "names": list(self.names),
            "pool": self.pool.document(),
        }
        own = {f"{name}.{f}": part for name, (_, m) in self.members.items() for f, part in m.parts().items()}
        return {**own, FILE: json.dumps(document, allow_nan=False).encode()}

    def _out_of_fold(self, train: Matrix) -> tuple[list[Array], Matrix | None]:
        """Return what each member says of rows that it has not learned from, and these rows; None where there are none.

        span 0      span 1          span 2
        -----------|---------------|--------------> sessions
        known before it | answers   | answers, from members fitted on everything known before span 2
        """
        sessions = np.unique(train.session)
        edges = [sessions[len(sessions) * i // (self.folds + 1)] for i in range(1, self.folds + 1)] + [sessions[-1] + 1]
        said: list[list[Array]] = [[] for _ in self.members]
        asked = np.zeros(len(train), dtype=bool)
        for start, stop in pairwise(edges):
            known, span = train.known_on < start, (train.session >= start) & (train.session < stop)
            if not known.any() or not span.any():
                continue
            before, rows = train.take(known), train.take(span)
            asked |= span
            for answers, (_, learner) in zip(said, self.members.values(), strict=True):
                answers.append(learner.fit(before).predict(rows))
        if not asked.any():
            return [], None
        return [np.concatenate(answers) for answers in said], train.take(asked)


def read_ensemble(
    parts: Mapping[str, bytes], readers: Mapping[str, Callable[[Mapping[str, bytes]], Learner]]
) -> Ensemble:
    """Rebuild an ensemble from `parts`; `readers` says how to read each recipe's own. Damage raises `FailedError`."""
    try:
        document: dict[str, Any] = json.loads(parts[FILE])
        members: dict[str, tuple[float, Learner]] = {}
        for name, weight in document["members"].items():
            own = {file.removeprefix(f"{name}."): part for file, part in parts.items() if file.startswith(f"{name}.")}
            members[name] = (float(weight), readers[name](own))
        return Ensemble(
            members,
            int(document["folds"]),
            float(document["penalty"]),
            tuple(document["names"]),
            Pool.from_document(document["pool"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FailedError(
            f"{FILE} is no ensemble ({type(error).__name__}: {error}): the artefact is damaged; roll back"
        ) from error
