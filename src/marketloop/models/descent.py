"""Gradient descent for the LSTM, by JAX and optax: the extra ``marketloop[lstm]``; only learning needs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from marketloop.models.cell import Cell

__all__ = ["descend"]

Array32 = NDArray[np.float32]
Weights = Mapping[str, Any]
STEEPEST = 1.0
"""Largest norm of a gradient; what is longer is shortened to it (Pascanu et al. 2013)."""


class Batch(NamedTuple):
    """Windows (steps, b, k), what is aimed at (b,), a number or the code of a class, and weights (b,)."""

    windows: Array32
    aim: Array32
    weight: Array32


def descend(
    cell: Cell,
    epochs: Iterable[Iterable[tuple[Array32, Array32, Array32]]],
    *,
    learning_rate: float,
    weight_decay: float,
    classes: int,
) -> Iterator[Cell]:
    """Learn from each batch (windows, aim, weight) of each epoch; yield the cell after each epoch.

    AdamW (Loshchilov and Hutter 2019) on the mean squared error, or on the cross-entropy of `classes` classes. It runs
    on one thread of the processor, whatever else there is: the same batches give the same weights.
    """
    device = jax.local_devices(backend="cpu")[0]
    pace = np.float32(learning_rate), np.float32(weight_decay)
    weights = jax.device_put(cell.arrays(), device)
    state = _optimiser(*pace).init(weights)
    for batches in epochs:
        for batch in batches:
            put = jax.device_put(Batch(*batch), device)
            weights, state = _step(weights, state, put, pace, classes=classes)
        yield Cell(**{name: np.array(values) for name, values in weights.items()})


def _optimiser(learning_rate: Any, weight_decay: Any) -> Any:
    return optax.chain(optax.clip_by_global_norm(STEEPEST), optax.adamw(learning_rate, weight_decay=weight_decay))


def _one_step(weights: Weights, state: Any, batch: Batch, pace: Any, *, classes: int) -> Any:
    gradient = jax.grad(_loss)(weights, batch, classes)
    change, state = _optimiser(*pace).update(gradient, state, weights)
    return optax.apply_updates(weights, change), state


_step = jax.jit(_one_step, static_argnames=("classes",), compiler_options={"xla_cpu_multi_thread_eigen": False})


def _loss(weights: Weights, batch: Batch, classes: int) -> Any:
    answers = _answers(weights, batch.windows)
    if classes:
        loss = optax.softmax_cross_entropy_with_integer_labels(answers, batch.aim.astype(jnp.int32))
    else:
        loss = (answers[:, 0] - batch.aim) ** 2
    return jnp.sum(batch.weight * loss) / jnp.maximum(jnp.sum(batch.weight), 1e-6)


def _answers(weights: Weights, windows: Any) -> Any:
    """Say what `Cell.answers` says, in a form that can be differentiated."""
    said = windows @ weights["input"] + weights["bias"]
    start = jnp.zeros((windows.shape[1], weights["head"].shape[0]))

    def advance(memory: Any, step: Any) -> Any:
        hidden, state = memory
        take, keep, new, give = jnp.split(step + hidden @ weights["recurrent"], 4, axis=1)
        state = jax.nn.sigmoid(keep) * state + jax.nn.sigmoid(take) * jnp.tanh(new)
        return (jax.nn.sigmoid(give) * jnp.tanh(state), state), None

    (hidden, _), _ = jax.lax.scan(advance, (start, start), said)
    return hidden @ weights["head"] + weights["offset"]
