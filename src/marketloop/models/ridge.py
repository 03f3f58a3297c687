"""A strongly shrunk direction learner: ridge on cross-sectional ranks, with probabilities or values around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.models.gram import gram_sums, ridge_weights
from marketloop.models.readout import Magnitude, Readout, gain_of, read_out, require_order, row_by_row
from marketloop.models.thinning import cut_tail

__all__ = ["RankRidge"]

Array = NDArray[np.float64]
KINDS = {True: "rank_ridge", False: "rank_ridge_value"}
"""Kind of the document, by whether the learner predicts classes."""


@dataclass(slots=True)
class RankRidge:
    """Learner of three ordered classes, or of a value, whose direction is a ridge on ranks.

    Within a session the names are ordered by ``s = ranks @ w``. A `Readout` makes probabilities of it (how likely a
    move is at all comes from a second linear model, on standardised levels), or values in the label's unit. Its gain
    is read off a purged tail, where ``s`` is out of sample; if that tail shows no direction, the gain stays at its
    small floor: the order survives, the confidence does not.

    Parameters
    ----------
    penalty : float
        Ridge penalty as a multiple of the diagonal of the Gram matrix. At 1.5 a lone feature keeps 40 % of its
        least-squares coefficient.
    thin_by : int
        Sessions between the training rows of the magnitude model.
    tail : float
        Share of the newest sessions that sets the gain.
    """

    penalty: float = 1.5
    thin_by: int = 5
    tail: float = 0.2
    names: tuple[str, ...] = ()
    weights: Array = field(default_factory=lambda: np.zeros(0))
    readout: Readout = field(default_factory=Readout)

    def fit(self, train: Matrix) -> Self:
        """Learn from `train`, whose `ranks` must be there and whose labels must be known.

        Raises
        ------
        UsageError
            The label has classes, and not three of them.
        """
        require_order("rank_ridge", train.classes)
        ranks = _ranks(train)
        head, tail = cut_tail(train, self.tail)
        self.names = train.names
        gain = 0.0
        if len(head) and len(tail):
            early = ridge_weights(*gram_sums(_ranks(head), head.target, head.weight), self.penalty)
            gain = gain_of(_ranks(tail) @ early, tail)
        self.weights = ridge_weights(*gram_sums(ranks, train.target, train.weight), self.penalty)
        self.readout = read_out(train, gain, self.thin_by)
        return self

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return (n, 3) probabilities of the classes in order, or (n,) values."""
        rows = rows.select(self.names)
        return self.readout.output(row_by_row(_ranks(rows), self.weights), rows.X)

    def importance(self) -> dict[str, float]:
        """Return the share of each feature in the absolute direction weights."""
        size = np.abs(self.weights)
        total = size.sum()
        return {name: float(w / total) if total > 0 else 0.0 for name, w in zip(self.names, size, strict=True)}

    def contributions(self, rows: Matrix) -> NDArray[np.float64]:
        """Return rank times weight, (n, k): ranks are centred, so these are the SHAP values of the linear score."""
        return _ranks(rows.select(self.names)).astype(np.float64) * self.weights

    def parts(self) -> dict[str, bytes]:
        """Return ``ridge.json``: plain numbers, written so that they read back to the last bit."""
        magnitude = self.readout.magnitude
        document = {
            "kind": KINDS[magnitude is not None],
            "penalty": self.penalty,
            "thin_by": self.thin_by,
            "tail": self.tail,
            "names": list(self.names),
            "weights": self.weights.tolist(),
            "tilt": self.readout.tilt,
            "gain": self.readout.gain,
            **({} if magnitude is None else magnitude.document()),
        }
        return {"ridge.json": json.dumps(document, allow_nan=False).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> RankRidge:
        """Rebuild the learner from `parts`; anything but a rank ridge raises `FailedError`."""
        try:
            document: dict[str, Any] = json.loads(parts["ridge.json"])
            classes = {kind: own for own, kind in KINDS.items()}[document["kind"]]
            return cls(
                penalty=document["penalty"],
                thin_by=document["thin_by"],
                tail=document["tail"],
                names=tuple(document["names"]),
                weights=np.asarray(document["weights"], dtype=np.float64),
                readout=Readout(
                    document["tilt"], document["gain"], Magnitude.from_document(document) if classes else None
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FailedError(
                f"ridge.json is not a rank ridge ({type(error).__name__}: {error}): the artefact is damaged; roll back"
            ) from error


def _ranks(rows: Matrix) -> NDArray[np.float32]:
    if rows.ranks is None:
        raise FailedError("the rank ridge needs rows with ranks: call dataset.with_ranks(matrix) first")
    return rows.ranks
