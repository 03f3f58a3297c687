"""Gradient-boosted trees that stop early on a purged tail and are then refitted on all rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.models.thinning import cut_tail, thin

__all__ = ["BoostedClassifier"]

CLASSES = 3
OWN = ("n_estimators", "early_stopping_rounds", "tail", "thin_by", "balanced", "select", "select_k")


@dataclass(slots=True)
class BoostedClassifier:
    """XGBoost over classes SELL, HOLD, BUY.

    Rows are thinned by `thin_by` sessions (labels overlap; nearly nothing is lost at a fifth of the time). The number
    of trees is the best round on the newest `tail` of the sessions, purged from the head; then all rows are fitted
    with that number, so that the newest sessions are learned from too.

    Parameters
    ----------
    params : mapping
        XGBoost's own names (``max_depth, learning_rate, ...``) plus ``n_estimators, early_stopping_rounds, tail,
        thin_by, balanced``.
    """

    params: Mapping[str, Any]
    seed: int = 0
    threads: int = 1
    names: tuple[str, ...] = ()
    rounds: int = 0
    booster: xgb.Booster | None = field(default=None)

    def fit(self, train: Matrix) -> Self:
        """Learn from `train`, whose labels must be known."""
        rows = thin(train, int(self.params["thin_by"]))
        self.names = train.names
        self.rounds = self._best_rounds(rows)
        self.booster = xgb.train(self._settings(), self._binned(rows), num_boost_round=self.rounds)
        return self

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return (n, 3) probabilities of SELL, HOLD, BUY."""
        if self.booster is None:
            raise FailedError("predict was called before fit: the boosted model has no trees yet")
        rows = rows.select(self.names)
        if len(rows) == 0:
            return np.zeros((0, CLASSES))
        out: NDArray[np.float64] = self.booster.inplace_predict(rows.X, missing=np.nan).astype(np.float64)
        return out

    def importance(self) -> dict[str, float]:
        """Return the share of each feature in the total gain of the splits."""
        gain = {} if self.booster is None else self.booster.get_score(importance_type="total_gain")
        values = {name: float(np.sum(gain.get(f"f{i}", 0.0))) for i, name in enumerate(self.names)}
        total = sum(values.values())
        return {name: value / total if total > 0 else 0.0 for name, value in values.items()}

    def contributions(self, rows: Matrix) -> NDArray[np.float64]:
        """Return SHAP values (n, k) of the margin of BUY less that of SELL, from XGBoost's own exact tree SHAP."""
        if self.booster is None:
            raise FailedError("contributions was called before fit: the boosted model has no trees yet")
        rows = rows.select(self.names)
        if len(rows) == 0:
            return np.zeros((0, len(self.names)))
        values = self.booster.predict(xgb.DMatrix(rows.X, nthread=self.threads), pred_contribs=True)
        direction: NDArray[np.float64] = (values[:, 2, :-1] - values[:, 0, :-1]).astype(np.float64)
        return direction

    def parts(self) -> dict[str, bytes]:
        """Return ``model.ubj`` in XGBoost's own format and ``learner.json``."""
        if self.booster is None:
            raise FailedError("parts was called before fit: the boosted model has no trees yet")
        model = bytes(self.booster.save_raw(raw_format="ubj"))
        document = {
            "kind": "boosted_classifier",
            "params": dict(self.params),
            "seed": self.seed,
            "names": list(self.names),
            "rounds": self.rounds,
            "sha256": hashlib.sha256(model).hexdigest(),
        }
        return {
            "model.ubj": model,
            "learner.json": json.dumps(document, sort_keys=True).encode(),
        }

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> BoostedClassifier:
        """Rebuild the learner from `parts`; damaged ones raise `FailedError`."""
        try:
            document: dict[str, Any] = json.loads(parts["learner.json"])
            # XGBoost ends the process on a truncated model, so its reader never sees one.
            if hashlib.sha256(parts["model.ubj"]).hexdigest() != document["sha256"]:
                raise ValueError("sha256")
            booster = xgb.Booster({"nthread": 1})
            booster.load_model(bytearray(parts["model.ubj"]))
            return cls(
                params=document["params"],
                seed=int(document["seed"]),
                names=tuple(document["names"]),
                rounds=int(document["rounds"]),
                booster=booster,
            )
        except (KeyError, TypeError, ValueError, xgb.core.XGBoostError) as error:
            raise FailedError(
                f"model.ubj or learner.json cannot be read ({type(error).__name__}: {error}): "
                "the artefact is damaged; roll back"
            ) from error

    def _settings(self) -> dict[str, Any]:
        settings = {name: value for name, value in self.params.items() if name not in OWN}
        return {
            "objective": "multi:softprob",
            "num_class": CLASSES,
            "tree_method": "hist",
            "seed": self.seed,
            "nthread": self.threads,
            "verbosity": 0,
            **settings,
        }

    def _best_rounds(self, rows: Matrix) -> int:
        most = int(self.params["n_estimators"])
        patience = int(self.params["early_stopping_rounds"])
        head, tail = cut_tail(rows, float(self.params["tail"]))
        if patience <= 0 or len(head) == 0 or len(tail) == 0:
            return most
        train = self._binned(head)
        booster = xgb.train(
            self._settings(),
            train,
            num_boost_round=most,
            evals=[(self._binned(tail), "tail")],
            early_stopping_rounds=patience,
            verbose_eval=False,
        )
        return int(booster.best_iteration) + 1

    def _binned(self, rows: Matrix) -> xgb.DMatrix:
        # Not a QuantileDMatrix: that one reads the data through a Python callback, where Ctrl-C is lost or crashes the
        # process. With the histogram method both bin alike and predict alike to the last bit.
        return xgb.DMatrix(rows.X, label=rows.label, weight=self._weight(rows), nthread=self.threads)

    def _weight(self, rows: Matrix) -> NDArray[np.float32]:
        if not self.params.get("balanced"):
            return rows.weight
        share = np.bincount(rows.label.astype(int), weights=rows.weight, minlength=CLASSES)
        factor: NDArray[np.float64] = share.sum() / (CLASSES * np.maximum(share, 1.0))
        weight: NDArray[np.float32] = (rows.weight * factor[rows.label.astype(int)]).astype(np.float32)
        return weight
