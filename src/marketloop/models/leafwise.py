"""Leaf-wise boosted trees (LightGBM) that order the names by rank regression, or learn classes as they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.models.readout import Readout, gain_of, read_out
from marketloop.models.thinning import cut_tail, thin
from marketloop.models.weights import balanced_weight, informative

__all__ = ["Leafwise"]

SHARED = ("num_leaves", "learning_rate", "feature_fraction", "bagging_fraction", "lambda_l2")
"""Hyperparameters that LightGBM knows under the same name."""
LEAST_LEAVES = 20
"""A leaf may hold at most one part in so many of the rows, else small data would grow no tree at all."""
BINNED_BY = ("thin_by", "tail", "max_bin", "balanced")
"""Hyperparameters that decide which rows are binned, how finely and with which weights."""
ENDS_HERE = "\nparameters:"
"""What follows repeats the settings of the training, the number of threads among them; no prediction reads it."""


@dataclass(frozen=True, slots=True)
class _Binned:
    """Training rows as LightGBM reads them: all of them, and the part before the purged tail with the tail."""

    train: Matrix
    by_rank: bool
    rows: lgb.Dataset
    count: int
    tail_rows: Matrix
    head_count: int = 0
    head: lgb.Dataset | None = None
    tail: lgb.Dataset | None = None


@dataclass(slots=True)
class Leafwise:
    """LightGBM.

    Three ordered classes, and values, are approached by what the tests of skill ask for: a regression on
    `Matrix.target`, the rank within the session, finds more of a weak signal than a classifier does. A `Readout` makes
    probabilities or values of its score, with a gain read off a purged tail. Where the target says nothing (a session
    of one row has no order) or the classes are not three, the label itself is learned.

    Rows are thinned by `thin_by` sessions, the number of trees is the best round on the purged tail (all of them where
    `early_stopping_rounds` is 0), and then all rows are fitted.

    Parameters
    ----------
    params : mapping
        ``n_estimators, num_leaves, learning_rate, min_data_in_leaf, feature_fraction, bagging_fraction, lambda_l2,
        max_bin, early_stopping_rounds, tail, thin_by, balanced``. `min_data_in_leaf` is bounded by a twentieth of the
        rows; `balanced` matters only where classes are learned as they are.
    on_ranks : bool
        Whether the regression on ranks reads the features as ranks too, `Matrix.ranks`, in place of their levels: what
        is monotone within a session is found with fewer splits, and what is the same for all names is not seen.
    """

    params: Mapping[str, Any]
    seed: int = 0
    threads: int = 1
    on_ranks: bool = False
    names: tuple[str, ...] = ()
    classes: int = 0
    readout: Readout | None = None
    booster: lgb.Booster | None = field(default=None)

    def fit(self, train: Matrix) -> Self:
        """Learn from `train`, whose labels must be known."""
        return self.fit_prepared(self.prepare(train))

    def preparation(self) -> Hashable:
        """Return what the binned rows depend on."""
        return (self.on_ranks, *(self.params[name] for name in BINNED_BY))

    def prepare(self, train: Matrix) -> _Binned:
        """Thin and bin the rows."""
        by_rank = len(train.classes) in {0, 3} and informative(train.target)
        rows = thin(train, int(self.params["thin_by"]))
        head, tail = (_aimed(part, by_rank) for part in cut_tail(rows, float(self.params["tail"])))
        everything = _aimed(rows, by_rank)
        binned = _Binned(train, by_rank, self._binned(everything, by_rank), len(everything), tail)
        if len(head) == 0 or len(tail) == 0:
            return binned
        first = self._binned(head, by_rank)
        return replace(binned, head=first, head_count=len(head), tail=self._binned(tail, by_rank, first))

    def fit_prepared(self, prepared: _Binned) -> Self:
        """Learn from binned rows."""
        train, by_rank = prepared.train, prepared.by_rank
        self.names, self.classes = train.names, len(train.classes)
        rounds, gain = int(self.params["n_estimators"]), 0.0
        self.readout = None
        if prepared.head is not None:
            tail = prepared.tail_rows
            early = self._grown(prepared.head, self._settings(prepared.head_count, by_rank), rounds, prepared.tail)
            rounds = early.best_iteration if early.best_iteration > 0 else rounds
            gain = gain_of(_score(early, self._read(tail, by_rank)), tail) if by_rank else gain
        self.booster = _plain(self._grown(prepared.rows, self._settings(prepared.count, by_rank), rounds))
        if by_rank:
            self.readout = read_out(train, gain, int(self.params["thin_by"]))
        return self

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return (n, classes) probabilities, or (n,) values."""
        booster = self._fitted("predict")
        rows = rows.select(self.names)
        if len(rows) == 0:
            return np.zeros((0, self.classes) if self.classes else 0)
        score = _score(booster, self._read(rows, self.readout is not None))
        return score if self.readout is None else self.readout.output(score, rows.X)

    def importance(self) -> dict[str, float]:
        """Return the share of each feature in the total gain of the splits."""
        gain = np.zeros(len(self.names)) if self.booster is None else self.booster.feature_importance("gain")
        total = gain.sum()
        return {name: float(g / total) if total > 0 else 0.0 for name, g in zip(self.names, gain, strict=True)}

    def contributions(self, rows: Matrix) -> NDArray[np.float64]:
        """Return SHAP values (n, k) of the score, or of the last class's margin less the first's (exact tree SHAP)."""
        booster = self._fitted("contributions")
        rows = rows.select(self.names)
        if len(rows) == 0:
            return np.zeros((0, len(self.names)))
        read = self._read(rows, self.readout is not None)
        values = np.asarray(booster.predict(read, pred_contrib=True, num_threads=1), dtype=np.float64)
        values = values.reshape(len(rows), -1, len(self.names) + 1)
        out: NDArray[np.float64] = values[:, -1, :-1] - (values[:, 0, :-1] if values.shape[1] > 1 else 0.0)
        return out

    def parts(self) -> dict[str, bytes]:
        """Return ``model.txt`` in LightGBM's own format and ``learner.json``."""
        model = _text(self._fitted("parts"))
        readout = self.readout
        document = {
            "kind": "leafwise",
            "params": dict(self.params),
            "seed": self.seed,
            "names": list(self.names),
            "classes": self.classes,
            "on_ranks": self.on_ranks,
            "readout": None if readout is None else readout.document(),
            "sha256": hashlib.sha256(model).hexdigest(),
        }
        return {"model.txt": model, "learner.json": json.dumps(document, sort_keys=True, allow_nan=False).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Leafwise:
        """Rebuild the learner from `parts`; damaged ones raise `FailedError`."""
        try:
            document: dict[str, Any] = json.loads(parts["learner.json"])
            # LightGBM's reader sees nothing that was not written by it.
            if hashlib.sha256(parts["model.txt"]).hexdigest() != document["sha256"]:
                raise ValueError("sha256")
            return cls(
                params=document["params"],
                seed=int(document["seed"]),
                names=tuple(document["names"]),
                classes=int(document["classes"]),
                on_ranks=bool(document["on_ranks"]),
                readout=None if document["readout"] is None else Readout.from_document(document["readout"]),
                booster=lgb.Booster(model_str=parts["model.txt"].decode()),
            )
        except (KeyError, TypeError, ValueError, lgb.basic.LightGBMError) as error:
            raise FailedError(
                f"model.txt or learner.json cannot be read ({type(error).__name__}: {error}): "
                "the artefact is damaged; roll back"
            ) from error

    def _fitted(self, verb: str) -> lgb.Booster:
        if self.booster is None:
            raise FailedError(f"{verb} was called before fit: the leaf-wise trees have not grown yet")
        return self.booster

    def _read(self, rows: Matrix, by_rank: bool) -> NDArray[np.float32]:
        return _ranks(rows) if self.on_ranks and by_rank else rows.X

    def _grown(
        self, rows: lgb.Dataset, settings: dict[str, Any], rounds: int, tail: lgb.Dataset | None = None
    ) -> lgb.Booster:
        patience = int(self.params["early_stopping_rounds"])
        if tail is None or patience <= 0:
            return lgb.train(settings, rows, num_boost_round=rounds)
        stop = lgb.early_stopping(patience, verbose=False)
        return lgb.train(settings, rows, num_boost_round=rounds, valid_sets=[tail], callbacks=[stop])

    def _settings(self, rows: int, by_rank: bool) -> dict[str, Any]:
        aim: dict[str, Any] = {"objective": "regression"}
        if self.classes and not by_rank:
            aim = {"objective": "multiclass", "num_class": self.classes}
        return {
            **aim,
            **{name: self.params[name] for name in SHARED},
            "min_data_in_leaf": min(int(self.params["min_data_in_leaf"]), max(1, rows // LEAST_LEAVES)),
            "bagging_freq": 1 if self.params["bagging_fraction"] < 1 else 0,
            "seed": self.seed,
            **self._binning(),
        }

    def _binning(self) -> dict[str, Any]:
        """Return what bins are made by: nothing that is tuned, so that fits of other settings may share them."""
        return {
            "max_bin": self.params["max_bin"],
            "feature_pre_filter": False,  # else the bins would depend on min_data_in_leaf
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def _binned(self, rows: Matrix, by_rank: bool, like: lgb.Dataset | None = None) -> lgb.Dataset:
        weight = rows.weight
        if self.params["balanced"] and rows.classes and not by_rank:
            weight = balanced_weight(rows)
        return lgb.Dataset(
            _own(self._read(rows, by_rank)),
            label=_own(rows.target if by_rank else rows.label),
            weight=_own(weight),
            reference=like,
            params=self._binning(),
        )


def _ranks(rows: Matrix) -> NDArray[np.float32]:
    if rows.ranks is None:
        raise FailedError("these trees need rows with ranks: call dataset.with_ranks(matrix) first")
    return rows.ranks


def _aimed(rows: Matrix, by_rank: bool) -> Matrix:
    return rows.take(np.isfinite(rows.target)) if by_rank else rows


def _own(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a copy of a view: LightGBM warns of views, and copies them itself."""
    return values.copy() if values.base is not None else values


def _score(booster: lgb.Booster, X: NDArray[np.float32]) -> NDArray[np.float64]:
    score: NDArray[np.float64] = np.asarray(booster.predict(X, num_threads=1), dtype=np.float64)
    return score


def _text(booster: lgb.Booster) -> bytes:
    return booster.model_to_string(num_iteration=-1).split(ENDS_HERE)[0].encode()


def _plain(booster: lgb.Booster) -> lgb.Booster:
    """Return the booster as it will be read back, so that it is kept and served as one and the same thing."""
    return lgb.Booster(model_str=_text(booster).decode())
