"""Calibration as a fitted step: curves read off a purged tail, laid over a learner of classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from marketloop.core.catalog import Explaining, Learner
from marketloop.core.errors import FailedError, UsageError, unknown_name
from marketloop.core.values import Matrix
from marketloop.models.logistic import logistic_fit
from marketloop.models.thinning import cut_tail

__all__ = ["CALIBRATIONS", "Calibrated", "Curve", "calibrating", "read_calibrated"]

Array = NDArray[np.float64]
FILE = "calibration.json"
PREFIX = "raw."
LEAST = 20
"""Rows of the tail in which a class must occur, and must not, for a curve; else its probability stays as it is."""
EDGE = 1e-6
RAW_SHARE = 1e-3
LEAST_SLOPE = 0.01


@dataclass(frozen=True, slots=True)
class Curve:
    """A rising map of probabilities.

    Parameters
    ----------
    kind : ``identity``, ``sigmoid`` or ``isotonic``
    x, y : tuples of floats
        Knots of an isotonic curve; intercept and slope on the log-odds, both in `y`, of a sigmoid one.
    """

    kind: str = "identity"
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def __call__(self, p: Array) -> Array:
        """Return the calibrated probabilities (n,), rising with `p`."""
        match self.kind:
            case "sigmoid":
                curve: Array = 1 / (1 + np.exp(-np.clip(self.y[0] + self.y[1] * _log_odds(p), -30, 30)))
                return curve
            case "isotonic":
                steps: Array = np.interp(p, self.x, self.y)
                return (1 - RAW_SHARE) * steps + RAW_SHARE * p  # what a step makes equal stays in order
            case _:
                return p


@dataclass(slots=True)
class Calibrated:
    """A learner of classes whose probabilities are bent towards how often things happened.

    The learner is fitted on the head of its training rows, one curve per class is read off what it says of the purged
    tail, and then it is fitted again on all rows while the curves stay: they belong to the recipe, not to the one fit,
    and the newest sessions are learned from too. Each class has its curve (one against the rest); the results are
    divided by their sum, so the order of a single class's probabilities may change a little between rows.

    Parameters
    ----------
    inner : Learner
    method : str
        A name of `CALIBRATIONS`.
    tail : float
        Share of the newest sessions that the curves are read off.
    """

    inner: Learner
    method: str
    tail: float = 0.2
    curves: tuple[Curve, ...] = ()

    def fit(self, train: Matrix) -> Self:
        """Learn, calibrate, and learn again.

        Raises
        ------
        UsageError
            The label is a value, which has no probabilities.
        """
        if not train.classes:
            raise UsageError(
                f"calibrate = {self.method}: the label is a value without probabilities to calibrate; set it to none"
            )
        head, tail = cut_tail(train, self.tail)
        self.curves = tuple(Curve() for _ in train.classes)
        if len(head) and len(tail):
            said = self.inner.fit(head).predict(tail)
            make = CALIBRATIONS[self.method]
            self.curves = tuple(_curve(make, said[:, k], tail.label == k) for k in range(len(train.classes)))
        self.inner.fit(train)
        return self

    def predict(self, rows: Matrix) -> Array:
        """Return (n, classes) calibrated probabilities."""
        said = self.inner.predict(rows)
        bent = np.column_stack([curve(said[:, k]) for k, curve in enumerate(self.curves)])
        out: Array = bent / bent.sum(axis=1, keepdims=True)
        return out

    def importance(self) -> dict[str, float]:
        """Return the inner learner's shares: the curves read no feature."""
        return self.inner.importance()

    def contributions(self, rows: Matrix) -> Array:
        """Return the inner learner's contributions (n, k), before calibration; zeros where it has none."""
        if isinstance(self.inner, Explaining):
            return self.inner.contributions(rows)
        return np.zeros((len(rows), len(rows.names)))

    def parts(self) -> dict[str, bytes]:
        """Return the inner learner's parts, their names after ``raw.``, and ``calibration.json``."""
        document = {
            "kind": "calibration",
            "method": self.method,
            "tail": self.tail,
            "curves": [[curve.kind, list(curve.x), list(curve.y)] for curve in self.curves],
        }
        inner = {PREFIX + name: content for name, content in self.inner.parts().items()}
        return {**inner, FILE: json.dumps(document, allow_nan=False).encode()}


def calibrating(inner: Learner, params: Mapping[str, Any]) -> Learner:
    """Return `inner` calibrated as ``params["calibrate"]`` and ``params["calibrate_tail"]`` say.

    Raises
    ------
    UsageError
        ``calibrate`` is not among `CALIBRATIONS`.
    """
    method = str(params["calibrate"])
    if method not in CALIBRATIONS:
        raise unknown_name("calibration", method, ["none", *CALIBRATIONS])
    return Calibrated(inner, method, float(params["calibrate_tail"]))


def read_calibrated(parts: Mapping[str, bytes], read: Callable[[Mapping[str, bytes]], Learner]) -> Learner:
    """Return the learner that `read` makes of the inner parts, under the curves of ``calibration.json``."""
    inner = read({name.removeprefix(PREFIX): content for name, content in parts.items() if name.startswith(PREFIX)})
    try:
        document: dict[str, Any] = json.loads(parts[FILE])
        if document["kind"] != "calibration" or not document["curves"]:
            raise KeyError("kind")
        curves = tuple(
            Curve(str(kind), tuple(map(float, x)), tuple(map(float, y))) for kind, x, y in document["curves"]
        )
        return Calibrated(inner, str(document["method"]), float(document["tail"]), curves)
    except (KeyError, TypeError, ValueError) as error:
        raise FailedError(
            f"{FILE} is no calibration ({type(error).__name__}: {error}): the artefact is damaged; roll back"
        ) from error


def _numbers(values: list[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _curve(make: Callable[[Array, Array], Curve], said: Array, happened: NDArray[np.bool_]) -> Curve:
    if min(happened.sum(), (~happened).sum()) < LEAST or said.min() == said.max():
        return Curve()
    return make(said, happened.astype(np.float64))


def _sigmoid(said: Array, happened: Array) -> Curve:
    """Fit a logistic curve on the log-odds (Platt 1999), its slope at least a little above 0."""
    intercept, slope = logistic_fit(_log_odds(said), happened)
    if slope < LEAST_SLOPE:
        share = happened.mean()
        intercept, slope = float(np.log(share / (1 - share)) - LEAST_SLOPE * _log_odds(said).mean()), LEAST_SLOPE
    return Curve("sigmoid", (), (intercept, slope))


def _isotonic(said: Array, happened: Array) -> Curve:
    """Fit the best rising steps (pool adjacent violators; Zadrozny, Elkan 2002), joined by straight lines.

    No step says never or always, for which log loss would punish a single surprise without bound: a row that happened
    is added where least was said, and one that did not where most was. A lowest step of n rows without a hit is then
    at 1 / (n + 1).
    """
    x, at, count = np.unique(said, return_inverse=True, return_counts=True)
    hits, rows = np.bincount(at, weights=happened), count.astype(np.float64)
    hits[0] += 1
    rows[[0, -1]] += 1
    y = isotonic_regression(hits / rows, weights=rows).x
    inside = np.ones(len(x), dtype=bool)
    inside[1:-1] = (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:])  # a step is told by its two ends
    return Curve("isotonic", tuple(x[inside].tolist()), tuple(y[inside].tolist()))


def _log_odds(p: Array) -> Array:
    inside = np.clip(p, EDGE, 1 - EDGE)
    odds: Array = np.log(inside / (1 - inside))
    return odds


CALIBRATIONS: Mapping[str, Callable[[Array, Array], Curve]] = {"sigmoid": _sigmoid, "isotonic": _isotonic}
"""Calibrations by name."""
