"""How the answers of several members become one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from marketloop.core.values import Matrix

__all__ = ["Pool", "learn_pool", "vote"]

Array = NDArray[np.float64]
EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Pool:
    """Weights of the members.

    A vote is the weighted mean of probabilities or values. A learned pool of classes is log-linear,
    ``p_k ~ exp(bias_k + sum_m weight_m * log p_mk)`` (Genest, Zidek 1986); of values it is ``bias + sum_m weight_m *
    v_m``. Weights are never negative, so no member's opinion is turned around.
    """

    weights: Array
    bias: Array
    classes: int
    learned: bool

    def combined(self, said: Sequence[Array]) -> Array:
        """Return (n, classes) probabilities, or (n,) values; row by row, whatever rows come along."""
        if not self.learned or not self.classes:
            mean = sum(weight * answer for weight, answer in zip(self.weights, said, strict=True))
            return np.asarray(mean if self.classes else mean + self.bias[0], dtype=np.float64)
        return _shares(self._log_odds(said))

    def document(self) -> dict[str, Any]:
        """Return plain numbers that read back to the last bit."""
        return {
            "weights": self.weights.tolist(),
            "bias": self.bias.tolist(),
            "classes": self.classes,
            "learned": self.learned,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Pool:
        """Read what `document` wrote; a lacking or wrong entry raises `KeyError`, `TypeError` or `ValueError`."""
        weights, bias = (np.asarray(document[name], dtype=np.float64) for name in ("weights", "bias"))
        return cls(weights, bias, int(document["classes"]), bool(document["learned"]))

    def _log_odds(self, said: Sequence[Array]) -> Array:
        total = sum(weight * _log(answer) for weight, answer in zip(self.weights, said, strict=True))
        return np.asarray(total + self.bias, dtype=np.float64)


def vote(weights: Sequence[float], classes: int) -> Pool:
    """Return the pool that takes the weighted mean."""
    total = np.array(weights, dtype=np.float64)
    return Pool(total / total.sum(), np.zeros(max(classes, 1)), classes, learned=False)


def learn_pool(said: Sequence[Array], rows: Matrix, penalty: float) -> Pool:
    """Return the pool that answers `rows` best, drawn by `penalty` towards equal weights.

    Parameters
    ----------
    said : arrays (n, classes) or (n,)
        What each member said of `rows` without having learned from them.
    penalty : float
        Of the squared distance of the weights from ``1 / members``, against the mean loss (log loss, or the squared
        error in units of the label's variance).
    """
    classes, members = len(rows.classes), len(said)
    weight = rows.weight.astype(np.float64) / max(float(rows.weight.sum()), 1e-12)
    loss = _class_loss(said, rows, weight) if classes else _value_loss(said, rows, weight)
    equal = np.concatenate([np.full(members, 1 / members), np.zeros(max(classes, 1))])

    def objective(at: Array) -> tuple[float, Array]:
        value, slope = loss(at[:members], at[members:])
        pull = at - equal
        pull[members:] *= 0.0 if not classes else 0.1
        return value + penalty * float(pull @ pull), slope + 2 * penalty * pull

    bounds = [(0.0, None)] * members + [(None, None)] * max(classes, 1)
    at = minimize(objective, equal, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Pool(at[:members], at[members:], classes, learned=True)


def _class_loss(said: Sequence[Array], rows: Matrix, weight: Array) -> Any:
    logs = np.stack([_log(answer) for answer in said])
    happened = np.eye(len(rows.classes))[rows.label.astype(int)]

    def loss(weights: Array, bias: Array) -> tuple[float, Array]:
        p = _shares(np.tensordot(weights, logs, axes=1) + bias)
        value = -float(weight @ np.log(np.maximum((p * happened).sum(axis=1), 1e-300)))
        gap = (p - happened) * weight[:, None]
        return value, np.concatenate([np.tensordot(logs, gap, axes=2), gap.sum(axis=0)])

    return loss


def _value_loss(said: Sequence[Array], rows: Matrix, weight: Array) -> Any:
    answers = np.stack(said)
    label = rows.label.astype(np.float64)
    spread = float(weight @ (label - weight @ label) ** 2) or 1.0

    def loss(weights: Array, bias: Array) -> tuple[float, Array]:
        gap = weights @ answers + bias[0] - label
        slope = 2 * (gap * weight) / spread
        return float(weight @ gap**2) / spread, np.concatenate([answers @ slope, [slope.sum()]])

    return loss


def _log(p: Array) -> Array:
    log: Array = np.log(np.maximum(p, EDGE))
    return log


def _shares(log_odds: Array) -> Array:
    power = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
    out: Array = power / power.sum(axis=1, keepdims=True)
    return out
