"""Two versions of a family, or two feature sets, side by side on sessions that neither had seen (E6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from marketloop.core.catalog import Recipe
from marketloop.core.errors import UsageError
from marketloop.evaluation.comparison import (
    Difference,
    SharedRows,
    compare_scores,
    main_difference,
    shared_rows,
    undecided,
)
from marketloop.evaluation.intervals import least_terms
from marketloop.evaluation.stream import SCORE_SCHEMA, StreamSpec
from marketloop.loop.house import House
from marketloop.loop.lookup import gate_decision, history_of, recorded_spec
from marketloop.loop.preparing import Prepared, prepare
from marketloop.loop.scoring import output_of
from marketloop.loop.streams import stored_scores
from marketloop.registry import Artefact
from marketloop.registry.documents import models_document
from marketloop.state import Slot, versions
from marketloop.state.decisions import Decision
from marketloop.state.versions import Version

__all__ = ["Comparison", "compare_versions", "extent"]

Telling = Callable[[str, int, int], None]
HARD_CODES = frozenset({"leak", "implausible", "hard_check"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides with what sets them apart.

    Parameters
    ----------
    a, b : mapping
        What each side is, with the figures that the ledger has of it.
    differences : tuple of Difference
        Figures of both on the same rows; `difference` is B less A.
    basis : mapping
        Which sessions and tickers the differences are about, and why these.
    gate : mapping, optional
        The gate's own word on B.
    """

    a: Mapping[str, Any]
    b: Mapping[str, Any]
    differences: tuple[Difference, ...]
    recommendation: str
    basis: Mapping[str, Any]
    gate: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the `compare` document."""
        return {
            "a": dict(self.a),
            "b": dict(self.b),
            "differences": [difference.document() for difference in self.differences],
            "recommendation": self.recommendation,
            "basis": dict(self.basis),
            "gate": None if self.gate is None else dict(self.gate),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class _Side:
    """A version with what was said out of sample in its name: by its recipe's stream until it was trained, then by it.

    `frozen` are the scores of the version itself, `before` those of the stream; `through` is the newest session that
    its training knew.
    """

    row: Version
    spec: StreamSpec
    through: int
    stream_id: str | None
    frozen: pl.DataFrame
    before: pl.DataFrame
    decision: Decision | None = None
    status: str = ""

    @property
    def record(self) -> pl.DataFrame:
        return pl.concat([self.before, self.frozen])

    def document(self) -> dict[str, Any]:
        decision = self.decision
        return {
            "name": f"v{self.row.version}",
            "family": self.row.slot.family,
            "config_key": self.row.slot.config_key,
            "version": self.row.version,
            "status": self.status,
            "verdict": None if decision is None else decision.verdict,
            "reason": "" if decision is None else decision.reason,
            "recipe": self.row.recipe,
            "feature_set": self.spec.feature_set,
            "horizon": self.spec.label.horizon,
            "trained_at": self.row.trained_at.isoformat(),
            "metrics": dict(self.row.metrics),
            "baseline": dict(self.row.baseline),
        }


@dataclass(slots=True)
class _Preparing:
    """Prepares each (feature set, label) once."""

    house: House
    made: dict[tuple[Any, ...], Prepared] = field(default_factory=dict)

    def __call__(self, spec: StreamSpec) -> Prepared:
        key = (spec.feature_set, spec.label.horizon, spec.label.threshold)
        if key not in self.made:
            self.made[key] = prepare(self.house, spec)
        return self.made[key]


def compare_versions(house: House, family: str, a: int, b: int, *, tell: Telling | None = None) -> Comparison:
    """Compare two versions of a family on sessions and tickers that both have spoken of before the outcome.

    Where no session, or too few, came after both were trained, the stream of each version's recipe speaks for the time
    before; sessions on which one and the same stream would speak for both say nothing and are left out.

    Raises
    ------
    UsageError
        A version is unknown, both are the same, or no session can tell them apart.
    FailedError
        An artefact or a file of scores is damaged.
    """
    tell = tell or _silent
    slot = house.slot(family)
    if a == b:
        raise UsageError(f"version {a} cannot be compared with itself: name two versions of {slot.family}")
    with house.state.read() as db:
        known = [row.version for row in versions.listing(db, slot) if row.state == "complete"]
        if len(known) == 1 and {a, b} & set(known):
            raise UsageError(f"{slot} has one version, {known[0]}: there is nothing to compare it with yet")
        rows = [versions.require(db, slot, number) for number in (a, b)]
    ready = _Preparing(house)
    sides = []
    for done, row in enumerate(rows):
        tell(f"asking version {row.version}", done, len(rows) + 1)
        sides.append(_side(house, slot, row, ready))
    one, other = sides
    chosen, basis = _basis(one, other)
    tell("comparing", len(rows), len(rows) + 1)
    prepared = ready(other.spec)
    same_label = one.spec.label == other.spec.label
    differences = compare_scores(chosen, prepared.matrix, prepared.panel, other.spec, same_label=same_label)
    warnings = () if same_label else (_labels_differ(one, other),)
    return Comparison(
        a=one.document(),
        b=other.document(),
        differences=differences,
        recommendation=_advice(one, other, differences),
        basis={**basis, **extent(chosen, prepared)},
        gate=_gate(other.decision),
        warnings=(*warnings, *prepared.warnings),
    )


def _side(house: House, slot: Slot, row: Version, ready: _Preparing) -> _Side:
    artefact = house.registry.load(slot, row.version)
    manifest = artefact.manifest
    spec = recorded_spec(house, slot.family, manifest)
    through = int(manifest["trained_through"])
    stream_id = manifest.get("stream_id")
    before = stored_scores(house, stream_id) if stream_id else pl.DataFrame(schema=dict(SCORE_SCHEMA))
    listed = models_document(house.state, family=slot.family)["models"]
    status = next(
        (m["status"] for m in listed if (m["config_key"], m["version"]) == (slot.config_key, row.version)), ""
    )
    return _Side(
        row=row,
        spec=spec,
        through=through,
        stream_id=stream_id,
        frozen=_frozen(house, artefact, spec, ready(spec)),
        before=_columns(before.filter(pl.col("session") <= through)),
        decision=gate_decision(history_of(house, row)),
        status=status,
    )


def _frozen(house: House, artefact: Artefact, spec: StreamSpec, prepared: Prepared) -> pl.DataFrame:
    """Return what the version itself says of the sessions after its training."""
    manifest, matrix = artefact.manifest, prepared.matrix
    rows = matrix.take(matrix.session > int(manifest["trained_through"]))
    if len(rows) == 0:
        return _columns(pl.DataFrame(schema=dict(SCORE_SCHEMA)))
    recipe: Recipe = house.catalog.recipe(str(manifest["recipe"]))
    output = output_of(recipe.from_parts(artefact.parts), recipe, tuple(manifest["features"]), rows)
    frame = pl.DataFrame(
        {
            "session": rows.session,
            "ticker": pl.Series(rows.tickers).gather(rows.ticker),
            "score": spec.family.score(output),
            "probabilities": output.astype(np.float32).tolist() if output.ndim > 1 else [None] * len(rows),
        },
        schema_overrides=dict(SCORE_SCHEMA),
    )
    return _columns(frame)


def _columns(scores: pl.DataFrame) -> pl.DataFrame:
    return scores.select("session", "ticker", "score", "probabilities")


def _basis(a: _Side, b: _Side) -> tuple[SharedRows, dict[str, Any]]:
    """Choose the rows: those of the versions themselves when they give an interval, else the whole records."""
    horizon = max(a.spec.label.horizon, b.spec.label.horizon)
    own = shared_rows(a.frozen, b.frozen)
    if len(own.sessions) >= least_terms(horizon) + horizon:
        text = "sessions that neither version was trained on: both versions speak for themselves"
        return own, {"kind": "versions", "text": text}
    left, right = a.record, b.record
    if a.stream_id is not None and a.stream_id == b.stream_id:
        apart = pl.col("session") > min(a.through, b.through)  # before, one stream speaks for both
        left, right = left.filter(apart), right.filter(apart)
    rows = shared_rows(left, right)
    if len(rows.sessions) == 0:
        raise UsageError(
            f"no session can tell version {a.row.version} from version {b.row.version}: none is newer than the "
            f"training of both, and {_no_record(a, b)}; collect newer bars, then compare again"
        )
    few = "no session is" if len(own.sessions) == 0 else f"only {len(own.sessions)} sessions are"
    text = (
        f"{few} new to both versions; until a version was trained, the walk-forward stream of its recipe speaks for it"
    )
    return rows, {"kind": "streams", "text": text}


def _no_record(a: _Side, b: _Side) -> str:
    """Say why what was said before the training of two versions cannot tell them apart."""
    candidates = [side.row.version for side in (a, b) if side.stream_id is None]
    if candidates:
        return f"version {candidates[0]} was only trained: no walk-forward stream speaks for it"
    if a.stream_id == b.stream_id:
        return "until then one walk-forward stream spoke for both"
    return "their walk-forward streams do not overlap"


def extent(rows: SharedRows, prepared: Prepared) -> dict[str, Any]:
    """Return how many sessions and tickers a comparison is about, and from when to when."""
    sessions = rows.sessions
    return {
        "sessions": len(sessions),
        "tickers": rows.tickers,
        "first": prepared.sessions.date(int(sessions[0])).isoformat(),
        "last": prepared.sessions.date(int(sessions[-1])).isoformat(),
        "data_version": prepared.data_version,
    }


def _labels_differ(a: _Side, b: _Side) -> str:
    def name(side: _Side) -> str:
        threshold = side.spec.label.threshold
        return f"{side.spec.label.horizon} sessions" + ("" if threshold is None else f", {threshold:.1%}")

    return (
        f"the versions predict different outcomes ({name(a)} against {name(b)}): accuracy and rank IC are left out, "
        "and the order of the one-session returns is compared"
    )


def _gate(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {"verdict": decision.verdict, "reason_code": decision.reason_code, "reason": decision.reason}


def _advice(a: _Side, b: _Side, differences: Sequence[Difference]) -> str:
    for side in (b, a):
        if side.decision is not None and side.decision.reason_code in HARD_CODES:
            return f"do not serve version {side.row.version}: {side.decision.reason}"
    one, other = f"version {a.row.version}", f"version {b.row.version}"
    main = main_difference(differences)
    if main is not None and main.better is not None:
        better = other if main.better == "b" else one
        return f"{better} did better on these sessions ({main.sentence}); the gate alone decides what serves"
    serving = next((side for side in (a, b) if side.status in {"champion", "provisional"}), None)
    keep = f"keep version {serving.row.version}, which serves" if serving else "keep what serves"
    return f"{keep}: {undecided(main, differences)}"


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
