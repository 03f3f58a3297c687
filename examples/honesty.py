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
from marketloop.evaluation.metrics import ClassMetrics, classifier_metrics
from marketloop.evaluation.nomination import Contender
from marketloop.evaluation.scorecard import score_stream
from marketloop.evaluation.splits import known_before
from marketloop.evaluation.stream import Stream, StreamSpec, advance
from marketloop.features import compute, fill, resolve
from marketloop.labels import build_panel
from marketloop.loop.plugins import build_catalog

LABEL = LabelSpec(horizon=90, threshold=0.0)  # up or down, 90 sessions ahead


def judged(model: Contender, train: Matrix, test: Matrix) -> ClassMetrics:
    learner = model.build(0, 2).fit(train)
    return classifier_metrics(test.label.astype(int), learner.predict(test), ("DOWN", "FLAT", "UP"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", type=Path, help="file of bars; the sample of five tickers without it")
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--block", type=int, default=252, help="sessions that each model of the walk-forward scores")
    asked = parser.parse_args()

    source = build_source("folder", path=asked.path) if asked.path else build_source("sample")
    bars = source.fetch(source.tickers()[:50], dt.date(1990, 1, 1), dt.date(2030, 1, 1)).bars.drop_nulls("close")
    sessions = load_sessions("XNYS", bars["date"].min() - dt.timedelta(9), bars["date"].max() + dt.timedelta(9))
    catalog = build_catalog(StrategyConfig())
    usual = {feature.name: feature for name in ("legacy", "basic") for feature in resolve(catalog.features, name)}
    features = tuple(usual.values())[:20]  # SMA50, SMA200, MACD, Bollinger bands, ...: prices as they are
    raw, panel = compute(bars, features, None), build_panel(bars, sessions)
    warmup = max(feature.lookback for feature in features)
    matrix = assemble(raw, fill(raw, features), panel, sessions, label=LABEL, warmup=warmup)
    rows = matrix.take(np.isfinite(matrix.label))
    params = {"n_estimators": asked.trees, "max_depth": 6, "learning_rate": 0.1, "early_stopping_rounds": 0, "thin_by": 1}
    model = Contender(catalog.recipe("xgboost"), {**catalog.recipe("xgboost").defaults, **params})

    drawn = np.random.default_rng(0).permutation(len(rows))
    cut = len(rows) * 4 // 5
    a = judged(model, rows.take(np.sort(drawn[:cut])), rows.take(np.sort(drawn[cut:])))

    border = int(np.quantile(np.unique(rows.session), 0.8))
    late = rows.take(rows.session >= border)
    b = judged(model, rows.take(known_before(rows, border)), late)

    spec = StreamSpec(catalog.family("price_predictor"), (model,), LABEL, "basic", "honesty", block=asked.block, threads=2)
    card = score_stream(advance(Stream(spec.fingerprint), matrix, panel, spec), matrix, panel, spec)

    print(f"{len(panel.tickers)} tickers, {len(rows):,} rows, {len(matrix.names)} features, {asked.trees} trees")
    print(f"{'judged by':34}{'accuracy':>9}{'always majority':>17}{'F1':>7}{'AUC':>7}")
    for name, m in (("a random split", a), ("time, purged by 90 sessions", b), ("MarketLoop's walk-forward", card.metrics)):
        majority = max(figures["rows"] for figures in m.per_class.values()) / m.rows
        print(f"{name:34}{m.accuracy:9.3f}{majority:17.3f}{m.f1_score:7.3f}{m.roc_auc:7.3f}")
    print(f"no skill, on the walk-forward's rows: accuracy {card.baseline.accuracy:.3f}")


if __name__ == "__main__":
    main()
