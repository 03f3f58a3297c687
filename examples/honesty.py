"""The same model on the same rows, judged three ways: a random split, a split by time, MarketLoop's walk-forward.

Run it: `make honesty`, or `python examples/honesty.py --path bars.parquet` on a file of your own (50 names of it).
"""

import argparse
import datetime as dt
from pathlib import Path

import numpy as np

from marketloop.core.values import Matrix, StrategyConfig
from marketloop.data.builtin import build_source
from marketloop.data.calendar import load_sessions
from marketloop.dataset import LabelSpec, assemble
from marketloop.evaluation.gate import Evidence, GatePolicy, Slot, examine
from marketloop.evaluation.metrics import ClassMetrics, classifier_metrics
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.scorecard import score_stream
from marketloop.evaluation.splits import known_before
from marketloop.evaluation.stream import Stream, StreamSpec, advance
from marketloop.features import compute, fill, resolve
from marketloop.labels import Panel, build_panel
from marketloop.loop.plugins import build_catalog

CATALOG = build_catalog(StrategyConfig())
LABEL = LabelSpec(horizon=90, threshold=0.0)  # up or down, 90 sessions ahead
USUAL = {"max_depth": 6, "learning_rate": 0.1, "early_stopping_rounds": 0, "thin_by": 1}


def rows_of(path: Path | None) -> tuple[Matrix, Panel]:
    source = build_source("folder", path=path) if path else build_source("sample")
    bars = source.fetch(source.tickers()[:50], dt.date(1990, 1, 1), dt.date(2030, 1, 1)).bars.drop_nulls("close")
    sessions = load_sessions("XNYS", bars["date"].min() - dt.timedelta(9), bars["date"].max() + dt.timedelta(9))
    usual = {f.name: f for name in ("legacy", "basic") for f in resolve(CATALOG.features, name)}
    features = list(usual.values())[:20]  # SMA50, SMA200, RSI, MACD, Bollinger bands, ...: prices as they are
    raw, panel = compute(bars, features, None), build_panel(bars, sessions)
    warmup = max(feature.lookback for feature in features)
    return assemble(raw, fill(raw, features), panel, sessions, label=LABEL, warmup=warmup), panel


def judged(model: Contender, train: Matrix, test: Matrix) -> ClassMetrics:
    return classifier_metrics(
        test.label.astype(int), model.build(0, 2).fit(train).predict(test), ("DOWN", "FLAT", "UP")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", type=Path, help="file of bars; the sample of five tickers without it")
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--block", type=int, default=252, help="sessions that each model of the walk-forward scores")
    asked = parser.parse_args()
    matrix, panel = rows_of(asked.path)
    rows = matrix.take(np.isfinite(matrix.label))
    recipe = CATALOG.recipe("xgboost")
    model = Contender(recipe, {**recipe.defaults, **USUAL, "n_estimators": asked.trees})

    drawn, cut = np.random.default_rng(0).permutation(len(rows)), len(rows) * 4 // 5
    a = judged(model, rows.take(np.sort(drawn[:cut])), rows.take(np.sort(drawn[cut:])))
    border = int(np.quantile(np.unique(rows.session), 0.8))
    b = judged(model, rows.take(known_before(rows, border)), rows.take(rows.session >= border))
    family = CATALOG.family("price_predictor")
    spec = StreamSpec(family, (model,), LABEL, "usual", "honesty", block=asked.block, threads=2)
    card = score_stream(advance(Stream(spec.fingerprint), matrix, panel, spec), matrix, panel, spec)
    verdict = examine(Slot(), None, Evidence(panel.last, card.x), GatePolicy())

    print(f"{len(panel.tickers)} tickers, {len(rows):,} rows, {len(matrix.names)} indicators, {asked.trees} trees")
    print(f"{'judged by':30}{'accuracy':>9}{'always majority':>17}{'F1':>7}{'AUC':>7}")
    for name, m in (
        ("a random split", a),
        ("time, 90 sessions purged", b),
        ("MarketLoop's walk-forward", card.metrics),
    ):
        majority = max(figures["rows"] for figures in m.per_class.values()) / m.rows
        print(f"{name:30}{m.accuracy:9.3f}{majority:17.3f}{m.f1_score:7.3f}{m.roc_auc:7.3f}")
    print(f"no skill, on the rows of the walk-forward: accuracy {card.baseline.accuracy:.3f}")
    print(f"the gate says {verdict.verdict}: {verdict.reason}")
    usual = "promotes" if a.accuracy > 0.70 and a.f1_score > 0.65 else "does not promote"
    print(
        f"In short: {a.accuracy:.0%} right by a random split, so the usual gate (accuracy > 0.70, F1 > 0.65) {usual} "
        f"it; right in {card.metrics.accuracy:.0%} on sessions it had not seen, where always saying the class "
        f"that was commoner before is right in {card.baseline.accuracy:.0%}."
    )


if __name__ == "__main__":
    main()
