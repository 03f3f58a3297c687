"""A long short-term memory as plain arrays: what it leaves on disk, and how it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHUNK", "Cell"]

QUIET = 0.1
"""Share of the usual size that the features' weights begin with: many features that say nothing begin by saying little,
and what says something has to be learned; at the usual size the head learned from a mixture of all."""
CHUNK = 256
"""Rows of every matrix product: with one size for all, a row gives the same bits whatever rows stand beside it."""
NAMES = ("bias", "head", "input", "offset", "recurrent")
Array32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cell:
    """One layer (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000), and a linear head.

    Parameters
    ----------
    input : float32 (k, 4 h)
        Weights of the features, for the gates in the order input, forget, candidate, output.
    recurrent : float32 (h, 4 h)
    bias : float32 (4 h,)
    head : float32 (h, outputs), offset : float32 (outputs,)
    """

    input: Array32
    recurrent: Array32
    bias: Array32
    head: Array32
    offset: Array32

    @classmethod
    def drawn(cls, features: int, hidden: int, outputs: int, rng: np.random.Generator) -> Cell:
        """Draw the weights to begin with; the head is zero, so that nothing is said before anything is learned."""
        bias = np.zeros(4 * hidden, np.float32)
        bias[hidden : 2 * hidden] = 1.0  # remember at first (Jozefowicz et al. 2015)
        return cls(
            input=np.float32(QUIET) * _uniform(rng, features, 4 * hidden),
            recurrent=_uniform(rng, hidden, 4 * hidden),
            bias=bias,
            head=np.zeros((hidden, outputs), np.float32),
            offset=np.zeros(outputs, np.float32),
        )

    @classmethod
    def checked(cls, arrays: Mapping[str, NDArray[Any]], features: int) -> Cell:
        """Build a cell of arrays; any that do not fit together raise `KeyError` or `ValueError`."""
        if set(arrays) != set(NAMES):
            raise KeyError(", ".join(sorted(set(arrays) ^ set(NAMES))))
        hidden, outputs = len(arrays["head"]), len(arrays["offset"])
        shapes = {
            "input": (features, 4 * hidden),
            "recurrent": (hidden, 4 * hidden),
            "bias": (4 * hidden,),
            "head": (hidden, outputs),
            "offset": (outputs,),
        }
        for name, values in arrays.items():
            if values.dtype != np.float32 or values.shape != shapes[name] or not np.isfinite(values).all():
                raise ValueError(f"{name} is no finite float32 {shapes[name]}")
        return cls(**{name: np.ascontiguousarray(values) for name, values in arrays.items()})

    def arrays(self) -> dict[str, Array32]:
        """Return the arrays by name."""
        return asdict(self)

    def answers(self, windows: Array32) -> Array32:
        """Return (n, outputs) for windows (steps, n, k), n at most `CHUNK`: the head's word after the last step."""
        steps, rows, features = windows.shape
        padded = np.zeros((steps, CHUNK, features), np.float32)
        padded[:, :rows] = windows
        size = len(self.head)
        said = (padded.reshape(-1, features) @ self.input).reshape(steps, CHUNK, -1) + self.bias
        hidden = np.zeros((CHUNK, size), np.float32)
        state = np.zeros_like(hidden)
        for step in said:
            gates = step + hidden @ self.recurrent
            take, keep, give = (_sigmoid(gates[:, size * i : size * (i + 1)]) for i in (0, 1, 3))
            state = keep * state + take * np.tanh(gates[:, 2 * size : 3 * size])
            hidden = give * np.tanh(state)
        out: Array32 = (hidden @ self.head + self.offset)[:rows]
        return out


def _uniform(rng: np.random.Generator, rows: int, columns: int) -> Array32:
    reach = np.sqrt(6 / (rows + columns // 4))
    return rng.uniform(-reach, reach, (rows, columns)).astype(np.float32)


def _sigmoid(x: Array32) -> Array32:
    out: Array32 = np.float32(0.5) + np.float32(0.5) * np.tanh(np.float32(0.5) * x)
    return out
