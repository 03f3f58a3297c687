"""One simulated market through the functions and thresholds of `retrain`, and what the gate says of it.

Left out is what touches the disk (store, artefact, ledger) and what cannot change the claim of skill (leak check, smoke
prediction).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from marketloop.core.values import Matrix, StrategyConfig
from marketloop.data.calendar import load_closes
from marketloop.data.context import build_context
from marketloop.data.synthetic import Market, MarketSpec, simulate
from marketloop.dataset import assemble, with_past, with_ranks
from marketloop.evaluation.gate import Evidence, Slot, examine
from marketloop.evaluation.intervals import ewc_interval
from marketloop.evaluation.rank_ic import spearman_rows
from marketloop.evaluation.scorecard import score_stream
from marketloop.evaluation.stream import Stream, StreamSpec, advance
from marketloop.features import compute, fill, resolve
from marketloop.labels import Panel, build_panel, forward_outcomes
from marketloop.loop.context import sessions_around
from marketloop.loop.house import House
from marketloop.loop.plugins import build_catalog
from marketloop.loop.policy import gate_policy
from marketloop.loop.preparing import choose
from marketloop.runtime.memory import peak_rss_mb
from marketloop.runtime.project import Project
from marketloop.runtime.settings import load_settings

__all__ = ["Finding", "examine_market", "kind_of"]

FAMILY = "price_predictor"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the gate said of one market.

    `z` is the test statistic over `sessions` terms and `z_star` its boundary; `rank_ic` is the stream's mean rank IC at
    the label's horizon, `true_rank_ic` that of the generator's own expectation on the same sessions; `log_loss_p` is
    the one-sided p-value of the usual test, log loss against class shares, which never decides here.
    """

    seed: int
    kind: str
    proven: bool
    z: float
    z_star: float
    sessions: int
    rank_ic: float
    true_rank_ic: float
    log_loss_p: float
    nominees: Counter[str]
    cpu_seconds: float
    peak_rss_mb: float

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON values; figures that are not known are null."""
        figures = {name: getattr(self, name) for name in ("z", "z_star", "rank_ic", "true_rank_ic", "log_loss_p")}
        return {
            "seed": self.seed,
            "kind": self.kind,
            "skill": self.proven,
            "sessions": self.sessions,
            **{name: round(value, 4) if np.isfinite(value) else None for name, value in figures.items()},
            "cpu_seconds": round(self.cpu_seconds, 2),
        }


def kind_of(spec: MarketSpec) -> str:
    """Return ``planted``, ``garch`` or ``random walk``."""
    if spec.planted_ic > 0:
        return "planted"
    return "garch" if spec.volatility == "garch" else "random walk"


def examine_market(spec: MarketSpec) -> Finding:
    """Simulate the market of `spec` and let the gate look once, at its last close, with nothing served before.

    The catalog is built here, so this function may run in another process.
    """
    started = time.process_time()
    settings = load_settings(None, environ={}, flags={"compute.threads": 1})
    house = House(Project(Path()), settings, build_catalog(StrategyConfig()))  # makes and reads no files
    recipe = choose(house, FAMILY)
    market = simulate(spec)
    matrix, panel = _prepare(house, recipe, market)
    stream = advance(Stream(recipe.fingerprint), matrix, panel, recipe)
    card = score_stream(stream, matrix, panel, recipe)
    verdict = examine(Slot(), None, Evidence(panel.last, card.x), gate_policy(settings, FAMILY))
    return Finding(
        seed=spec.seed,
        kind=kind_of(spec),
        proven=verdict.slot.proven,
        z=card.z,
        z_star=float(verdict.record["year"]["z_star"]),
        sessions=len(card.x),
        rank_ic=card.ic.mean,
        true_rank_ic=_true_rank_ic(market, stream, panel, recipe.label.horizon),
        log_loss_p=_log_loss_p(stream, matrix, recipe.label.horizon),
        nominees=Counter(block.nominee for block in stream.blocks),
        cpu_seconds=time.process_time() - started,
        peak_rss_mb=peak_rss_mb(),
    )


def _prepare(house: House, recipe: StreamSpec, market: Market) -> tuple[Matrix, Panel]:
    """Make the matrix as `loop.preparing.prepare` does, from memory instead of from the store."""
    first, last = market.dates[[0, -1]].astype(object)
    sessions = sessions_around(market.spec.calendar, first, last)
    closes = load_closes(sessions.calendar, *sessions.dates[[0, -1]].astype(object))
    context = build_context(market.series, market.sectors, sessions=sessions, close_utc=closes)
    features = resolve(house.catalog.features, house.settings.features.set, house.catalog.plugin_features)
    raw = compute(market.bars, features, context)
    panel = build_panel(market.bars, sessions, context)
    matrix = assemble(
        raw,
        fill(raw, features, house.settings.features.fill),
        panel,
        sessions,
        label=recipe.label,
        warmup=max(feature.lookback for feature in features),
    )
    return with_past(with_ranks(matrix)), panel


def _true_rank_ic(market: Market, stream: Stream, panel: Panel, horizon: int) -> float:
    """Return the mean rank IC of what the generator knew, on the sessions of `stream`; 0 where nothing was planted."""
    truth = np.full(panel.close.shape, np.nan)
    rows = panel.rows_of(stream.scores["session"].unique().to_numpy())
    truth[rows] = market.horizon_expected[rows]
    return float(spearman_rows(truth, forward_outcomes(panel, horizon).neutral, panel.first).value.mean())


def _log_loss_p(stream: Stream, matrix: Matrix, horizon: int) -> float:
    """Return the p-value of the gain in log loss over the class shares of each block's training rows."""
    labels = pl.DataFrame(
        {
            "session": matrix.session,
            "ticker": pl.Series(matrix.tickers).gather(matrix.ticker),
            "label": matrix.label,
        }
    ).filter(pl.col("label").is_not_nan())
    rows = stream.scores.join(labels, on=["session", "ticker"], how="inner", maintain_order="left")
    truth = rows["label"].to_numpy().astype(np.intp)
    at = np.arange(len(truth))
    shares = {block.number: block.prior for block in stream.blocks}
    baseline = np.array([shares[number] for number in rows["block"].to_list()])[at, truth]
    model = rows["probabilities"].explode().cast(pl.Float64).to_numpy().reshape(len(rows), -1)[at, truth]
    gain = np.log(np.maximum(model, 1e-12)) - np.log(np.maximum(baseline, 1e-12))
    per_session = rows.select("session", gain=pl.Series(gain)).group_by("session", maintain_order=True).mean()
    return ewc_interval(per_session["gain"].to_numpy(), horizon=horizon).p
