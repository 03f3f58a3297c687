"""Write the report of a version, as a page and as numbers: at the end of its turn, or on demand from the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from marketloop.core.errors import MarketLoopError
from marketloop.core.values import Matrix, Sessions, StrategyConfig
from marketloop.evaluation.backtest import Plan, run_backtest
from marketloop.evaluation.positions import stream_rule
from marketloop.evaluation.stream import Block, Stream, StreamSpec, grid_of
from marketloop.evaluation.timeline import Timeline, timeline
from marketloop.labels import Panel
from marketloop.loop.examining import Examined
from marketloop.loop.house import House
from marketloop.loop.importance import importance
from marketloop.loop.lookup import recorded_spec
from marketloop.loop.preparing import Prepared, prepare
from marketloop.loop.streams import stored_scores
from marketloop.loop.validating import Validation, validate
from marketloop.registry.documents import models_document
from marketloop.reports.course import AccountCourse, course_document
from marketloop.reports.evidence import Nominee, VersionEvidence
from marketloop.reports.version import version_report
from marketloop.runtime.files import delete, ensure_folder, write_atomic
from marketloop.runtime.logging import get_logger
from marketloop.state import Slot, streams
from marketloop.state.streams import Block as StoredBlock

__all__ = ["KEPT", "forget_old", "report_on_demand", "report_turn"]

KEPT: Final = 10
"""Reports that are kept per family and configuration, the newest; each can be written again from the ledger."""
ALL: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Course:
    """What the charts need beyond the ledger, as of the close at which the version was examined."""

    timeline: Timeline
    sessions: Sessions
    blocks: tuple[StoredBlock, ...]
    spec: StreamSpec
    account: AccountCourse
    notes: tuple[str, ...] = ()


def report_turn(house: House, examined: Examined) -> tuple[Path | None, tuple[str, ...]]:
    """Write the report of a family's turn; whatever goes wrong with it is a warning and never the cycle's failure."""
    made = examined.made
    try:
        course = _Course(
            timeline=timeline(made.stream, made.prepared.matrix, made.prepared.panel, made.spec),
            sessions=made.prepared.sessions,
            blocks=_blocks(house, made.row.id, made.prepared.panel.last),
            spec=made.spec,
            account=_account(made.stream.scores, made.prepared.panel, made.spec, made.prepared.sessions),
            notes=made.prepared.warnings,
        )
        found = validate(house, made.slot.family, made.candidate.version)
        path = _path(house, made.slot, made.candidate.version)
        ensure_folder(path.parent)
        _write(path, _evidence(house, found, course), course.account)
        forget_old(house, made.slot)
    except Exception as error:  # noqa: BLE001 -- a report is a view: the cycle has done its work without it
        get_logger("loop").warning("no report", family=made.slot.family, error=f"{type(error).__name__}: {error}")
        return None, (f"the report of version {made.candidate.version} was not written: {error}",)
    return path, ()


def report_on_demand(house: House, family: str | None, version: int | None, to: Path | None = None) -> Path:
    """Write the report of any version from the ledger, and return where it lies.

    The stream's stored scores are read, and outcomes are taken from the bars of now as far as they were known when the
    version was examined.

    Raises
    ------
    UsageError
        The family or version is unknown.
    FailedError
        Something that the report needs is damaged, or the file cannot be written.
    """
    found = validate(house, family, version)
    slot, number = found.version.slot, found.version.version
    course: _Course | None = None
    notes: tuple[str, ...] = ()
    try:
        course = _stored_course(house, found)
    except MarketLoopError as error:
        notes = (f"the charts of the stream are missing: {error}",)
    path = _path(house, slot, number) if to is None else to
    ensure_folder(path.parent)
    without = AccountCourse(why="the version has no walk-forward stream")
    _write(path, _evidence(house, found, course, notes), without if course is None else course.account)
    return path


def _write(path: Path, evidence: VersionEvidence, account: AccountCourse) -> None:
    """Write the page, and beside it the numbers that the dashboard draws."""
    write_atomic(path, version_report(evidence).encode())
    numbers = json.dumps(course_document(evidence, account), allow_nan=False, separators=(",", ":"))
    write_atomic(path.with_suffix(".json"), numbers.encode())


def _account(scores: pl.DataFrame, panel: Panel, spec: StreamSpec, sessions: Sessions) -> AccountCourse:
    """Trade what the stream said by the default plan; a family that orders no tickers has nothing to trade."""
    if spec.family.unit != "ticker":
        return AccountCourse(why=f"{spec.family.name} speaks of the whole market: there is nothing to trade")
    grid = grid_of(scores, panel)
    rule = stream_rule(grid, (panel.first + np.arange(len(grid))) // spec.block)
    ready = np.flatnonzero(rule.known & np.isfinite(grid).any(axis=1))
    if len(ready) == 0 or len(grid) - ready[0] < 2:
        return AccountCourse(why="too few sessions were scored: a signal compares with those of an earlier block")
    rows = (int(ready[0]), len(grid) - 1)
    dates = tuple(sessions.date(panel.first + row) for row in range(rows[0], rows[1] + 1))
    return AccountCourse(dates, run_backtest(grid, rule, panel, Plan(), rows=rows))


def _path(house: House, slot: Slot, version: int) -> Path:
    """Return the file of a report; a configuration other than the default one stands in its name."""
    return house.project.reports / f"{_stem(slot)}_v{version}.html"


def _stem(slot: Slot) -> str:
    usual = slot.config_key == StrategyConfig().key
    return slot.family if usual else f"{slot.family}_{slot.config_key}"


def forget_old(house: House, slot: Slot) -> None:
    """Delete all but the newest reports of a slot, by version number."""
    name = re.compile(re.escape(_stem(slot)) + r"_v(\d+)\.(?:html|json)")
    found = [(int(match[1]), path) for path in house.project.reports.iterdir() if (match := name.fullmatch(path.name))]
    newest = sorted({number for number, _ in found})[-KEPT:]
    for number, path in found:
        if number not in newest:
            delete(path)


def _stored_course(house: House, found: Validation) -> _Course | None:
    """Return the course of a version's stream as it was at its examination, None where it has no stream."""
    row = found.version
    manifest = house.registry.load(row.slot, row.version).manifest
    stream_id = manifest.get("stream_id")
    if not stream_id:
        return None
    spec = recorded_spec(house, row.slot.family, manifest)
    through = int(manifest["trained_through"])
    prepared = prepare(house, spec)
    scores = stored_scores(house, stream_id).filter(pl.col("session") <= through)
    stored = _blocks(house, stream_id, through)
    blocks = tuple(
        {b.block: Block(b.block, b.nominee, b.train_through, b.rows, tuple(b.params["prior"]), (), ()) for b in stored}
        .values()
    )  # fmt: skip
    stream = Stream("", scores=scores, blocks=blocks)
    matrix, panel = _as_of(prepared, through)
    notes: tuple[str, ...] = prepared.notes
    if prepared.data_version != row.data_version:
        notes = (*notes, f"outcomes were read from data version {prepared.data_version}, not {row.data_version}")
    account = _account(scores, panel, spec, prepared.sessions)
    return _Course(timeline(stream, matrix, panel, spec), prepared.sessions, stored, spec, account, notes)


def _as_of(prepared: Prepared, through: int) -> tuple[Matrix, Panel]:
    """Return matrix and panel as they were known at the close of session `through`."""
    matrix, panel = prepared.matrix, prepared.panel
    matrix = matrix.take(matrix.session <= through)
    late = matrix.known_on > through
    matrix = replace(matrix, label=np.where(late, np.float32(np.nan), matrix.label))
    rows = max(through - panel.first + 1, 0)
    arrays = ("close", "returns", "beta", "vol", "short_vol", "open", "high", "low")
    cut: dict[str, Any] = {
        name: None if getattr(panel, name) is None else getattr(panel, name)[:rows] for name in arrays
    }
    return matrix, replace(panel, **cut)


def _blocks(house: House, stream_id: str, through: int) -> tuple[StoredBlock, ...]:
    with house.state.read() as db:
        return tuple(b for b in streams.blocks_of(db, stream_id) if b.first_session <= through)


def _nominees(course: _Course) -> tuple[Nominee, ...]:
    """Join neighbouring blocks with the same nominee."""
    found: list[Nominee] = []
    last = -1
    for block in course.blocks:
        first, end = course.sessions.date(block.first_session), course.sessions.date(block.last_session)
        new = int(block.block != last)
        last = block.block
        if found and found[-1].name == block.nominee:
            found[-1] = replace(found[-1], last=end, blocks=found[-1].blocks + new)
        else:
            found.append(Nominee(first, end, 1, block.nominee))
    return tuple(found)


def _evidence(house: House, found: Validation, course: _Course | None, notes: tuple[str, ...] = ()) -> VersionEvidence:
    row = found.version
    kind = house.catalog.family(row.slot.family)
    record: Mapping[str, Any] = {} if found.decision is None else found.decision.record
    skill = row.scorecard.get("skill") or {}
    horizon = int(row.scorecard.get("horizon") or kind.horizon)
    leaning = importance(house, row.slot.family, row.version, top=ALL)
    return VersionEvidence(
        family=row.slot.family,
        description=kind.description,
        config_key=row.slot.config_key,
        version=row.version,
        verdict=found.verdict,
        reason_code=found.reason_code,
        reason=found.reason,
        recommendation=found.recommendation,
        facts=_facts(house, found, course),
        nominees=() if course is None else _nominees(course),
        inner=row.scorecard.get("inner_rank_ic") or {},
        metrics=row.metrics,
        baseline=row.baseline,
        scorecard=row.scorecard,
        record=record,
        classes=kind.classes,
        checks=found.checks,
        grades=found.grades,
        parts=found.parts,
        importance=leaning["features"],
        trials=found.trials,
        harm=found.harm,
        warnings=tuple(dict.fromkeys((*found.warnings, *notes, *(course.notes if course is not None else ())))),
        horizon=horizon,
        overlap=int(skill.get("overlap") or 1),
        statistic=kind.statistic,
        unit=kind.label if not kind.classes else "",
        timeline=None if course is None else course.timeline,
        sessions=None if course is None else course.sessions,
    )


def _facts(house: House, found: Validation, course: _Course | None) -> dict[str, str]:
    row, card = found.version, found.version.scorecard
    manifest = house.registry.load(row.slot, row.version).manifest if row.state == "complete" else {}
    threshold = manifest.get("threshold")
    label = f"{manifest.get('horizon', '?')} sessions ahead" + (f", beyond {threshold:.1%}" if threshold else "")
    listed = models_document(house.state, family=row.slot.family)["models"]
    own = (m for m in listed if (m["config_key"], m["version"]) == (row.slot.config_key, row.version))
    facts = {
        "status now": next((str(m["status"]) for m in own), row.state),
        "decided": "" if found.decision is None else found.decision.decided_at.strftime("%Y-%m-%d %H:%M UTC"),
        "trained": row.trained_at.strftime("%Y-%m-%d %H:%M UTC"),
        "outcome": label,
        "recipe": str(manifest.get("nominee", row.recipe)),
        "learned from": f"{manifest.get('rows', 0):,} rows of {_tickers(manifest.get('tickers', 0))}, everything "
                        f"known at the close of {manifest.get('trained_through_date', '?')}",
        "features": f"{len(manifest.get('features', ()))} of the set {manifest.get('feature_set', '?')}",
        "left out": ", ".join(manifest.get("features_dropped", ())),
        "data version": row.data_version,
        "stream": str(manifest.get("stream_id") or ""),
    }  # fmt: skip
    if course is not None and course.blocks:
        first, last = course.blocks[0].first_session, course.blocks[-1].last_session
        facts["scored out of sample"] = (
            f"{card.get('sessions', 0):,} sessions, {course.sessions.date(first)} to {course.sessions.date(last)}, "
            f"{_tickers(card.get('tickers', 0))}, {card.get('rows', 0):,} rows"
        )
    return {name: text for name, text in facts.items() if text}


def _tickers(count: int) -> str:
    return "one series" if count == 1 else f"{count:,} tickers"
