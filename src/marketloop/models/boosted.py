"""Gradient-boosted trees that stop early on a purged tail and are then refitted on all rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.models.thinning import cut_tail, thin
from marketloop.models.weights import balanced_weight

__all__ = ["Boosted"]

OWN = ("n_estimators", "early_stopping_rounds", "tail", "thin_by", "balanced", "select", "select_k")
"""Hyperparameters of ours that XGBoost does not know; those of calibration are further ones."""
BINNED_BY = ("thin_by", "tail", "max_bin", "balanced")
"""Hyperparameters that decide which rows are binned, how finely and with which weights."""


@dataclass(frozen=True, slots=True)
class _Binned:
    """Training rows as XGBoost reads them: all of them, and the part before the purged tail with the tail."""

    names: tuple[str, ...]
    classes: int
    rows: xgb.DMatrix
    head: xgb.DMatrix | None
    tail: xgb.DMatrix | None


@dataclass(slots=True)
class Boosted:
    """XGBoost: probabilities of any number of classes, or a value, as the label says.

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
    classes: int = 0
    rounds: int = 0
    booster: xgb.Booster | None = field(default=None)

    def fit(self, train: Matrix) -> Self:
        """Learn from `train`, whose labels must be known."""
        return self.fit_prepared(self.prepare(train))

    def preparation(self) -> Hashable:
        """Return what the binned rows depend on."""
        return (*(self.params.get(name) for name in BINNED_BY), self._patience > 0)

    def prepare(self, train: Matrix) -> _Binned:
        """Thin and bin the rows; XGBoost keeps the bins with them, so that further fits find them made."""
        rows = thin(train, int(self.params["thin_by"]))
        head, tail = cut_tail(rows, float(self.params["tail"]))
        stops = self._patience > 0 and len(head) > 0 and len(tail) > 0
        return _Binned(
            names=train.names,
            classes=len(train.classes),
            rows=self._binned(rows),
            head=self._binned(head) if stops else None,
            tail=self._binned(tail) if stops else None,
        )

    def fit_prepared(self, prepared: _Binned) -> Self:
        """Learn from binned rows."""
        self.names, self.classes = prepared.names, prepared.classes
        self.rounds = self._best_rounds(prepared)
        self.booster = xgb.train(self._settings(), prepared.rows, num_boost_round=self.rounds)
        return self

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Return (n, classes) probabilities, or (n,) values."""
        if self.booster is None:
            raise FailedError("predict was called before fit: the boosted model has no trees yet")
        rows = rows.select(self.names)
        if len(rows) == 0:
            return np.zeros((0, self.classes) if self.classes else 0)
        out: NDArray[np.float64] = self.booster.inplace_predict(rows.X, missing=np.nan).astype(np.float64)
        return out

    def importance(self) -> dict[str, float]:
        """Return the share of each feature in the total gain of the splits."""
        gain = {} if self.booster is None else self.booster.get_score(importance_type="total_gain")
        values = {name: float(np.sum(gain.get(f"f{i}", 0.0))) for i, name in enumerate(self.names)}
        total = sum(values.values())
        return {name: value / total if total > 0 else 0.0 for name, value in values.items()}

    def contributions(self, rows: Matrix) -> NDArray[np.float64]:
        """Return SHAP values (n, k) of the value, or of the last class's margin less the first's (exact tree SHAP)."""
        if self.booster is None:
            raise FailedError("contributions was called before fit: the boosted model has no trees yet")
        rows = rows.select(self.names)
        if len(rows) == 0:
            return np.zeros((0, len(self.names)))
        values = self.booster.predict(xgb.DMatrix(rows.X, nthread=self.threads), pred_contribs=True)
        direction = values[:, -1, :-1] - values[:, 0, :-1] if self.classes else values[:, :-1]
        out: NDArray[np.float64] = direction.astype(np.float64)
        return out

    def parts(self) -> dict[str, bytes]:
        """Return ``model.ubj`` in XGBoost's own format and ``learner.json``."""
        if self.booster is None:
            raise FailedError("parts was called before fit: the boosted model has no trees yet")
        model = bytes(self.booster.save_raw(raw_format="ubj"))
        document = {
            "kind": "boosted",
            "classes": self.classes,
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
    def from_parts(cls, parts: Mapping[str, bytes]) -> Boosted:
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
                classes=int(document.get("classes", 3)),
                rounds=int(document["rounds"]),
                booster=booster,
            )
        except (KeyError, TypeError, ValueError, xgb.core.XGBoostError) as error:
            raise FailedError(
                f"model.ubj or learner.json cannot be read ({type(error).__name__}: {error}): "
                "the artefact is damaged; roll back"
            ) from error

    def _settings(self) -> dict[str, Any]:
        settings = {
            name: value for name, value in self.params.items() if name not in OWN and not name.startswith("calibrate")
        }
        aim = {"objective": "multi:softprob", "num_class": self.classes}
        return {
            **(aim if self.classes else {"objective": "reg:squarederror"}),
            "tree_method": "hist",
            "seed": self.seed,
            "nthread": self.threads,
            "verbosity": 0,
            **settings,
        }

    @property
    def _patience(self) -> int:
        return int(self.params["early_stopping_rounds"])

    def _best_rounds(self, prepared: _Binned) -> int:
        most = int(self.params["n_estimators"])
        if prepared.head is None or prepared.tail is None:
            return most
        booster = xgb.train(
            self._settings(),
            prepared.head,
            num_boost_round=most,
            evals=[(prepared.tail, "tail")],
            early_stopping_rounds=self._patience,
            verbose_eval=False,
        )
        return int(booster.best_iteration) + 1

    def _binned(self, rows: Matrix) -> xgb.DMatrix:
        # Not a QuantileDMatrix: that one reads the data through a Python callback, where Ctrl-C is lost or crashes the
        # process. With the histogram method both bin alike and predict alike to the last bit.
        return xgb.DMatrix(rows.X, label=rows.label, weight=self._weight(rows), nthread=self.threads)

    def _weight(self, rows: Matrix) -> NDArray[np.float32]:
        return balanced_weight(rows) if self.params.get("balanced") and rows.classes else rows.weight
