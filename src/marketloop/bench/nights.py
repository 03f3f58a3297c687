"""A year of nightly looks at one market, through the product's own stream, scorecard and gate.

The stream is walked once over the whole history and the year, and every night sees a prefix of what came of it: a
stream is append-only, so the prefix is what that night would have had (a test advances night by night and compares).
Left out is what touches the disk, and the hard checks, which can only refuse.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from marketloop.bench.ground import Ground, Prepared
from marketloop.core.errors import UsageError
from marketloop.core.values import StrategyConfig
from marketloop.evaluation.gate import YEAR_SESSIONS, Evidence, GatePolicy, Slot, examine
from marketloop.evaluation.plausibility import plausibility
from marketloop.evaluation.rank_ic import SessionSeries, spearman_rows
from marketloop.evaluation.scorecard import Scorecard, score_stream
from marketloop.evaluation.stream import Stream, StreamSpec, advance
from marketloop.labels import forward_outcomes
from marketloop.loop.house import House
from marketloop.loop.plugins import build_catalog
from marketloop.loop.policy import gate_policy
from marketloop.loop.preparing import Choices, choose
from marketloop.runtime.project import Project
from marketloop.runtime.settings import load_settings

__all__ = ["Looks", "bench_house", "known_at", "look_nightly", "play_year"]


@dataclass(frozen=True, slots=True)
class Looks:
    """What the gate said in a year of nights.

    `z_first, n_first` are of the first night, `z_star` the year's boundary, `z_highest` the largest statistic of a
    night that counted, `night` the first night (1, 2, ...) on which skill was proven, None for never.
    """

    night: int | None
    z_first: float | None
    n_first: int
    z_star: float
    z_highest: float | None
    z_last: float | None

    def document(self) -> dict[str, Any]:
        """Return the looks as JSON values."""
        figures = {name: getattr(self, name) for name in ("z_first", "z_star", "z_highest", "z_last")}
        return {
            "proven_first": self.night == 1,
            "proven_night": self.night,
            "n_first": self.n_first,
            **{name: None if value is None else round(value, 4) for name, value in figures.items()},
        }


def bench_house() -> House:
    """Return a house of default settings, one thread, that makes and reads no files."""
    settings = load_settings(None, environ={}, flags={"compute.threads": 1})
    return House(Project(Path()), settings, build_catalog(StrategyConfig()))


def play_year(house: House, ground: Ground, asked: tuple[str, ...], *, nights: int = YEAR_SESSIONS) -> dict[str, Any]:
    """Play the last `nights` sessions of `ground` for each family asked for.

    Parameters
    ----------
    asked : names of families
        ``momentum_ranker:rank_ridge`` (more recipes after ``+``) restricts the recipes that are nominated among.

    Returns
    -------
    dict
        A document per entry of `asked`: `Looks`, the reported rank IC with its interval, and the nominees.
    """
    units: dict[str, Prepared] = {}
    found = {}
    for name in asked:
        began = time.process_time()
        family, _, recipes = name.partition(":")
        spec = choose(house, family, Choices(recipes=tuple(recipes.split("+")) if recipes else ()))
        prepared = units.setdefault(spec.family.unit, Prepared(house, ground, spec.family.unit))
        policy = gate_policy(house.settings, family)
        found[name] = {**_play(prepared, spec, policy, nights), "cpu_seconds": round(time.process_time() - began, 2)}
    return found


def _play(prepared: Prepared, spec: StreamSpec, policy: GatePolicy, nights: int) -> dict[str, Any]:
    matrix, panel = prepared.matrix(spec), prepared.panel
    stream = advance(Stream(spec.fingerprint), matrix, panel, spec)
    card = score_stream(stream, matrix, panel, spec)
    last = panel.last
    looks = look_nightly(card.x, range(last - nights + 1, last + 1), spec, policy)
    nominees = Counter(block.nominee for block in stream.blocks)
    return {
        **looks.document(),
        "unit": spec.family.unit,
        "sessions": card.sessions,
        **_interval("ic", card),
        **_interval("x", card),
        "true_ic": _true_ic(prepared.ground, stream, prepared, spec),
        "plausible": all(check.passed for check in plausibility(card)),
        "nominees": dict(nominees.most_common()),
    }


def known_at(x: SessionSeries, night: int, spec: StreamSpec) -> SessionSeries:
    """Return what was known of `x` at the close of session `night`."""
    reach = spec.label.horizon if spec.family.statistic == "log_loss" else 0
    return x.between(int(x.session[0]) if len(x) else 0, night - reach)


def look_nightly(x: SessionSeries, nights: range, spec: StreamSpec, policy: GatePolicy) -> Looks:
    """Let the gate look at `x` at the close of each of the `nights`, carrying the ledger from one to the next."""
    slot, proven, first, highest = Slot(), None, None, None
    record: Mapping[str, Any] = {}
    for count, night in enumerate(nights, start=1):
        evidence = Evidence(night, known_at(x, night, spec), overlap=spec.overlap)
        verdict = examine(slot, None, evidence, policy)
        slot, record = verdict.slot, verdict.record
        first = first or record
        if record["z"] is not None and record["n"] >= record["year"]["n0"]:
            highest = max(record["z"], -np.inf if highest is None else highest)
        if slot.proven and proven is None:
            proven = count
    if first is None:
        raise UsageError("a year of no nights: expected at least one")
    return Looks(proven, first["z"], first["n"], first["year"]["z_star"], highest, record["z"])


def _interval(name: str, card: Scorecard) -> dict[str, Any]:
    interval = card.ic if name == "ic" else card.x_interval
    known = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {f"{name}_{key}": round(value, 5) if np.isfinite(value) else None for key, value in known.items()}


def _true_ic(ground: Ground, stream: Stream, prepared: Prepared, spec: StreamSpec) -> float | None:
    """Return the mean rank IC of what the generator knew on the stream's sessions; None where nothing was planted."""
    if ground.truth is None or ground.truth.spec.planted_ic == 0 or spec.family.unit == "session":
        return None
    panel = prepared.panel
    truth = np.full(panel.close.shape, np.nan)
    rows = panel.rows_of(stream.scores["session"].unique().to_numpy())
    truth[rows] = ground.truth.horizon_expected[rows]
    return round(
        float(spearman_rows(truth, forward_outcomes(panel, spec.label.horizon).neutral, panel.first).value.mean()), 5
    )
