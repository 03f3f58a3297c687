"""A learner of sequences: a small LSTM over each ticker's last rows, stopped early on a purged tail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from marketloop.core.errors import FailedError
from marketloop.core.values import Matrix
from marketloop.models.aim import Aim
from marketloop.models.arrays import pack, unpack
from marketloop.models.cell import CHUNK, Cell
from marketloop.models.readout import Readout, gain_of, read_out
from marketloop.models.thinning import cut_tail, thin
from marketloop.models.windows import Scale, Windows

__all__ = ["Learned", "Lstm"]

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Batches = Iterator[tuple[Array32, Array32, Array32]]


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned: everything that an answer depends on besides the rows and the length of a window."""

    aim: Aim
    scale: Scale
    cell: Cell
    epochs: int
    readout: Readout | None = None
    shares: tuple[float, ...] = ()

    def direction(self, windows: Array32) -> Array:
        """Return the directional score (n,) of at most a chunk of windows."""
        return self.aim.direction(self.cell.answers(windows).astype(np.float64))

    def document(self) -> dict[str, Any]:
        """Return all but the cell as plain numbers that read back to the last bit."""
        return {
            "aim": asdict(self.aim),
            "readout": None if self.readout is None else self.readout.document(),
            "scale": self.scale.document(),
            "shares": list(self.shares),
            "epochs": self.epochs,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], cell: Cell) -> Learned:
        """Read what `document` wrote; a lacking or wrong entry raises `KeyError`, `TypeError` or `ValueError`."""
        return cls(
            aim=Aim(**document["aim"]),
            scale=Scale.from_document(document["scale"], len(cell.input)),
            cell=cell,
            epochs=int(document["epochs"]),
            readout=None if document["readout"] is None else Readout.from_document(document["readout"]),
            shares=tuple(document["shares"]),
        )


@dataclass(slots=True)
class Lstm:
    """A long short-term memory that reads each row after the `steps` rows of its ticker before it.

    It aims at what the boosted trees aim at (`Aim`): the rank within the session, of which a `Readout` makes
    probabilities or values, or else the label itself. Features are standardised by the rows learned from. Rows are
    thinned by `thin_by` sessions, the number of epochs is the best one on the purged tail, and then all rows are
    fitted for as many epochs, so that the newest sessions are learned from too.

    Learning needs the extra ``marketloop[lstm]``; answering is plain NumPy and needs nothing.

    Parameters
    ----------
    params : mapping
        ``steps, hidden, epochs, epoch_rows, batch_rows, learning_rate, weight_decay, early_stopping_rounds, tail,
        thin_by, balanced``. An epoch is at most `epoch_rows` rows, drawn anew, and is judged by as many of
        the tail, so that the time of a fit has a bound.
    descend : function, optional
        `descent.descend`; a learner that was read from its parts has none and cannot learn again.
    """

    params: Mapping[str, Any]
    seed: int = 0
    descend: Callable[..., Iterator[Cell]] | None = None
    names: tuple[str, ...] = ()
    learned: Learned | None = None

    def fit(self, train: Matrix) -> Self:
        """Learn from `train`, whose labels must be known and whose `past` must be there.

        Raises
        ------
        UsageError
            There are no rows, or the extra is not installed.
        """
        rows = thin(train, int(self.params["thin_by"]))
        head, tail = cut_tail(rows, float(self.params["tail"]))
        aim, epochs, gain = Aim.of(train), int(self.params["epochs"]), 0.0
        head, tail, rows = (aim.known(part) for part in (head, tail, rows))
        self.names = train.names
        if len(head) and len(tail):
            early = self._stopped(head, tail, aim)
            epochs = early.epochs
            gain = gain_of(self._answers(tail, early)[:, 0], tail) if aim.by_rank else gain
        scale = Scale.of(rows)
        *_, cell = islice(self._epochs(rows, scale, aim), epochs)
        readout = read_out(train, gain, int(self.params["thin_by"])) if aim.by_rank else None
        self.learned = Learned(aim, scale, cell, epochs, readout)
        size = np.abs(self.contributions(rows.take(_spread(len(rows), CHUNK)))).mean(axis=0)
        shares = tuple((size / size.sum() if size.sum() > 0 else size).tolist())
        self.learned = replace(self.learned, shares=shares)
        return self

    def predict(self, rows: Matrix) -> Array:
        """Return (n, classes) probabilities, or (n,) values."""
        learned, rows = self._fitted("predict"), rows.select(self.names)
        answers = self._answers(rows, learned)
        if learned.readout is None:
            return learned.aim.output(answers)
        return learned.readout.output(answers[:, 0], rows.X)

    def importance(self) -> dict[str, float]:
        """Return the share of each feature in the mean absolute contribution to some of the rows learned from."""
        shares = [0.0] * len(self.names) if self.learned is None else self.learned.shares
        return dict(zip(self.names, shares, strict=True))

    def contributions(self, rows: Matrix) -> Array:
        """Return (n, k): what the directional score loses when a feature stands at its mean throughout the window."""
        learned, rows = self._fitted("contributions"), rows.select(self.names)
        out = np.zeros((len(rows), len(self.names)))
        windows = self._windows(rows, learned.scale)
        for chosen in _chunks(len(rows)):
            window = windows.take(chosen)
            whole = learned.direction(window)
            for feature in range(len(self.names)):
                without = window.copy()
                without[..., feature] = 0.0
                out[chosen, feature] = whole - learned.direction(without)
        return out

    def parts(self) -> dict[str, bytes]:
        """Return ``cell.skops``, arrays and nothing else, and ``learner.json``."""
        learned = self._fitted("parts")
        cell = pack(learned.cell.arrays())
        document = {
            "kind": "lstm",
            "params": dict(self.params),
            "seed": self.seed,
            "names": list(self.names),
            **learned.document(),
            "sha256": hashlib.sha256(cell).hexdigest(),
        }
        return {"cell.skops": cell, "learner.json": json.dumps(document, sort_keys=True, allow_nan=False).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Lstm:
        """Rebuild the learner from `parts`, to answer and not to learn; damaged ones raise `FailedError`."""
        try:
            document: dict[str, Any] = json.loads(parts["learner.json"])
            if hashlib.sha256(parts["cell.skops"]).hexdigest() != document["sha256"]:
                raise ValueError("sha256")  # nothing is parsed before
            names = tuple(document["names"])
            return cls(
                params=document["params"],
                seed=int(document["seed"]),
                names=names,
                learned=Learned.from_document(document, Cell.checked(unpack(parts["cell.skops"]), len(names))),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FailedError(
                f"cell.skops or learner.json cannot be read ({type(error).__name__}: {error}): "
                "the artefact is damaged; roll back"
            ) from error

    def _fitted(self, verb: str) -> Learned:
        if self.learned is None:
            raise FailedError(f"{verb} was called before fit: the LSTM has learned nothing yet")
        return self.learned

    def _windows(self, rows: Matrix, scale: Scale) -> Windows:
        return Windows.of(rows, int(self.params["steps"]), scale)

    def _answers(self, rows: Matrix, learned: Learned) -> Array:
        return _asked(learned.cell, self._windows(rows, learned.scale))

    def _stopped(self, head: Matrix, tail: Matrix, aim: Aim) -> Learned:
        """Return what was learned from the head after the epoch that was best on the tail."""
        scale, patience = Scale.of(head), int(self.params["early_stopping_rounds"])
        tail = tail.take(_spread(len(tail), int(self.params["epoch_rows"])))
        windows, truth, weight = self._windows(tail, scale), aim.of_rows(tail), tail.weight
        epochs = enumerate(islice(self._epochs(head, scale, aim), int(self.params["epochs"])), start=1)
        best, least = None, np.inf
        for epoch, cell in epochs:
            loss = aim.loss(_asked(cell, windows), truth, weight)
            if best is None or loss < least or patience == 0:
                best, least = Learned(aim, scale, cell, epoch), loss
            elif epoch - best.epochs >= patience:
                break
        if best is None:
            raise FailedError("the LSTM went through no epoch")
        return best

    def _epochs(self, rows: Matrix, scale: Scale, aim: Aim) -> Iterator[Cell]:
        """Yield the cell after each epoch on `rows`, without end."""
        if self.descend is None:
            raise FailedError("this LSTM was read from its parts: it answers; build a new one to learn")
        rng = np.random.default_rng(self.seed)
        return self.descend(
            Cell.drawn(len(self.names), int(self.params["hidden"]), aim.softmax or 1, rng),
            self._batches(rows, scale, aim, rng),
            learning_rate=float(self.params["learning_rate"]),
            weight_decay=float(self.params["weight_decay"]),
            classes=aim.softmax,
        )

    def _batches(self, rows: Matrix, scale: Scale, aim: Aim, rng: np.random.Generator) -> Iterator[Batches]:
        """Yield epochs of batches, all of one size: the last of an epoch is filled up with rows of no weight."""
        windows, size, most = self._windows(rows, scale), int(self.params["batch_rows"]), int(self.params["epoch_rows"])
        truth, weight = aim.of_rows(rows), aim.weight(rows, balanced=bool(self.params["balanced"]))

        def epoch(drawn: NDArray[np.intp]) -> Batches:
            for at in range(0, len(drawn), size):
                chosen = np.resize(drawn[at : at + size], size)
                counts = np.arange(size) < len(drawn) - at
                yield windows.take(chosen), truth[chosen], np.where(counts, weight[chosen], np.float32(0))

        while True:
            yield epoch(rng.permutation(len(rows))[:most])


def _asked(cell: Cell, windows: Windows) -> Array:
    """Return what `cell` says of all windows (n, outputs), a chunk at a time."""
    out = np.zeros((len(windows), len(cell.offset)))
    for chosen in _chunks(len(windows)):
        out[chosen] = cell.answers(windows.take(chosen))
    return out


def _chunks(rows: int) -> Iterator[slice]:
    return (slice(at, at + CHUNK) for at in range(0, rows, CHUNK))


def _spread(rows: int, most: int) -> NDArray[np.intp]:
    """Return at most `most` positions, evenly spread over `rows`."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.intp))
