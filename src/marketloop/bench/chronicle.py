"""A project with a year of nights behind it, written by hand: what a dashboard shows quickly; nothing is trained."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from marketloop.bench.shop import Shop
from marketloop.registry import Ruling
from marketloop.state import Slot, alarms, cycles, decisions, drift_scans, events, requests, this_process, versions
from marketloop.state.decisions import Decision
from marketloop.state.drift_scans import DriftScan
from marketloop.state.requests import Wish
from marketloop.state.scoreboards import Prediction

__all__ = ["FAMILIES", "write_year"]

FAMILIES: Final = ("price_predictor", "momentum_ranker", "regime_classifier")
NAMES: Final = (
    "rsi",
    "roc_10",
    "adx_14",
    "ret_20",
    "beta_60",
    "hist_vol_30",
    "price_vs_sma20",
    "mfi_14",
    "cci_20",
    "macd",
)
DRIFTED: Final = "hist_vol_30"
CLASSES: Final = {"price_predictor": ("SELL", "HOLD", "BUY"), "regime_classifier": ("Risk-Off", "Neutral", "Risk-On")}
WITHOUT: Final = "z 1.21 over 714 sessions; needs 2.33 over at least 714"


def write_year(shop: Shop, *, tickers: Sequence[str], nights: int = 365, until: dt.datetime | None = None) -> None:
    """Write `nights` cycles of three families, a version and a decision each, with requests, events, alarms and scans.

    Every night refuses, the first and the last champion are made without one; figures are made up.
    """
    last = until or shop.helm.clock.now()
    for family in FAMILIES:
        slot = shop.slot(family)
        at = last - dt.timedelta(days=nights + 1)
        _serve(shop, slot, tickers if family != "regime_classifier" else ("MARKET",), at.date())
    for night in range(nights):
        _night(shop, last - dt.timedelta(days=nights - night), night)
    for family in FAMILIES:
        _scans(shop, shop.slot(family), last)
        slot = shop.slot(family)
        _serve(shop, slot, tickers if family != "regime_classifier" else ("MARKET",), last.date())
        _course(shop, slot)
    _quality(shop, tickers, last)


def _night(shop: Shop, at: dt.datetime, night: int) -> None:
    random = np.random.default_rng(night)
    with shop.helm.state.write() as db:
        wish = Wish("schedule", "schedule nightly", FAMILIES, requested_by="nightly", key=f"nightly:{at:%Y-%m-%d}")
        request, _ = requests.ask(db, wish, process=this_process(), at=at)
        requests.begin(db, request.id, process=this_process(), at=at)
        cycle = cycles.start(db, trigger="schedule", reason="schedule nightly", process=this_process(), at=at)
        told = [_family(db, shop.slot(family), cycle.id, at, night, random) for family in FAMILIES]
        ended = at + dt.timedelta(seconds=96)
        document = {"cycle_id": cycle.id, "outcome": "refused", "duration_s": 96.0, "families": told}
        cycles.finish(db, cycle.id, outcome="refused", document=document, at=ended)
        requests.settle(db, request.id, state="done", outcome="refused", at=ended, cycle_id=cycle.id)
        kind, payload = "RETRAINING_COMPLETED", {"cycle_id": cycle.id}
        stored, _ = events.publish(db, kind, key=f"end:{cycle.id}", payload=payload, source="loop", at=ended)
        events.handled(db, stored.id, result={"action": "none", "why": "told to those who listen"}, at=ended)
        if night % 30 == 0:
            title, quiet = "price_predictor: the newest candidate was refused", dt.timedelta(hours=1)
            alarms.raise_alarm(db, "validation", key=f"night:{night}", title=title, document={}, at=ended, quiet=quiet)


def _family(
    db: Any, slot: Slot, cycle_id: str, at: dt.datetime, night: int, random: np.random.Generator
) -> dict[str, Any]:
    row = versions.allocate(db, slot, process=this_process(), at=at)
    row = versions.complete(db, row)
    metrics, baseline, scorecard = _figures(slot.family, random)
    versions.examined(db, slot, row.version, metrics=metrics, baseline=baseline, scorecard=scorecard)
    versions.mark(db, slot, row.version, "deleted")
    reason = f"no skill shown yet: {WITHOUT}"
    record = _record(metrics, night)
    word = Decision(slot, row.version, "refused", "no_skill", reason, at, cycle_id, record)
    decisions.record(db, word)
    return {"family": slot.family, "version": row.version, "verdict": "refused", "reason_code": "no_skill"}


def _serve(shop: Shop, slot: Slot, tickers: Sequence[str], as_of: dt.date) -> None:
    """Make a champion with an artefact and a scoreboard."""
    at, random = shop.helm.clock.now(), np.random.default_rng(len(slot.family))
    manifest = {
        "data_version": "7",
        "features": list(NAMES),
        "recipe": "rank_ridge",
        "params": {"penalty": 0.4},
        "seed": 7,
        "threads": 1,
    }
    made = shop.registry.write_candidate(slot, parts={"model.json": b"{}"}, manifest=manifest, at=at)
    metrics, baseline, scorecard = _figures(slot.family, random)
    shop.registry.examined(slot, made.version, metrics=metrics, baseline=baseline, scorecard=scorecard, at=at)
    classes = CLASSES.get(slot.family, ())
    said = []
    for ticker in tickers:
        shares = random.dirichlet(np.ones(3) * 8) if classes else np.zeros(0)
        likely = int(shares.argmax()) if classes else 0
        score = float(shares[2] - shares[0]) if classes else float(random.normal())
        signal = "BUY" if score > 0.15 else "SELL" if score < -0.15 else "HOLD"
        probability, name = (float(shares[likely]), classes[likely]) if classes else (None, None)
        by_class = {label: round(float(share), 4) for label, share in zip(classes, shares, strict=True)}
        said.append(Prediction(ticker, as_of, signal, round(score, 5), probability, name, by_class))
    shop.registry.write_scoreboard(slot, made.version, said, at=at)
    now = shop.registry.champion(slot)
    proven = slot.family != "regime_classifier"
    word = Ruling(
        "promoted" if proven else "provisional",
        "first" if now is None else "superior",
        "skill shown (z 2.52 over 714 sessions; needs 2.33 over at least 714) and better than the champion",
        skill_proven=proven,
        record=_record(metrics, 0),
    )
    shop.registry.promote(slot, made.version, word, expected=now.entry if now else 0, held=shop.held, at=at)


def _figures(family: str, random: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    base = {"accuracy": 0.546, "f1_score": 0.39, "precision": 0.30, "recall": 0.546, "log_loss": 0.98, "brier": 0.59}
    move = float(random.normal(0, 0.004))
    metrics: dict[str, Any] = {"z": 2.52 + move * 50}
    if family in CLASSES:
        metrics |= {name: round(value + move, 5) for name, value in base.items()}
        metrics |= {"calibration_score": 0.97}
    if family != "regime_classifier":
        metrics |= {"rank_ic": round(0.012 + move, 5), "icir": 0.11}
    curve = [[0.38, 0.37, 1400], [0.45, 0.43, 2600], [0.55, 0.5, 2400], [0.65, 0.58, 900], [0.75, 0.69, 200]]
    rank_ic = {"mean": metrics.get("rank_ic"), "interval": [0.0, 0.024], "t": 1.9, "p_value": 0.03, "sessions": 714}
    scorecard = {
        "horizon": 5,
        "sessions": 714,
        "rows": 358_000,
        "tickers": 505,
        "rank_ic": rank_ic if "rank_ic" in metrics else {},
        "direction_hit_rate": {"mean": 0.507, "interval": [0.501, 0.513]},
        "calibration": {"curve": curve, "ece": 0.03, "score": 0.97, "grade": "good"} if family in CLASSES else None,
        "confusion": [[20, 70, 10], [12, 150, 13], [9, 66, 25]] if family in CLASSES else [],
        "per_class": {name: {"precision": 0.4, "recall": 0.3, "f1_score": 0.34} for name in CLASSES.get(family, ())},
        "stability": 0.02,
    }
    return metrics, base if family in CLASSES else {}, scorecard


def _record(metrics: dict[str, Any], night: int) -> dict[str, Any]:
    checks = [
        {
            "name": "leak",
            "value": 0.0,
            "threshold": 0.0,
            "passed": True,
            "hard": True,
            "detail": "75 features see no future",
        },
        {"name": "skill", "value": 1.21, "threshold": 2.33, "passed": False, "hard": False, "detail": WITHOUT},
    ]
    return {
        "checks": checks,
        "n": 714,
        "z": metrics["z"],
        "mean_ic1": 0.008,
        "mean_ic1_interval": [0.001, 0.015],
        "rank_ic": {"mean": metrics.get("rank_ic"), "interval": [0.0, 0.024]},
        "year": {"n0": 714, "z_star": 2.33, "start": 7000 + night, "alpha": 0.025},
        "to_pass": "a mean of 0.011 over the next 250 sessions",
    }


def _scans(shop: Shop, slot: Slot, last: dt.datetime) -> None:
    random = np.random.default_rng(11)
    version = shop.registry.champion(slot)
    with shop.helm.state.write() as db:
        for day in range(30):
            at = last - dt.timedelta(days=30 - day)
            features = [
                {
                    "name": name,
                    "psi": round(float(random.uniform(0, 0.2)), 4),
                    "ks": round(float(random.uniform(0, 0.2)), 4),
                    "wasserstein": round(float(random.uniform(0, 0.2)), 4),
                    "p_adjusted": 0.01
                    if name == "hist_vol_30" and day > 20
                    else round(float(random.uniform(0.2, 1)), 3),
                    "importance": 0.1,
                    "state": "drifted" if name == DRIFTED and day > 20 else "steady",
                }
                for name in NAMES
            ]
            document = {"features": features, "feature_drift": "Medium" if day > 20 else "Low", "points_lost": None}
            action = "plan" if day > 20 else "monitor"
            scan = DriftScan(slot, version.version if version else 1, at.date(), at, action, document)
            drift_scans.record(db, scan)


def _course(shop: Shop, slot: Slot) -> None:
    """Write the numbers of the champion's charts, as the loop does."""
    champion = shop.registry.champion(slot)
    if champion is None:
        return
    random, days = np.random.default_rng(3), np.arange("2023-01-02", "2025-12-01", dtype="datetime64[D]")[::3]
    dates = [str(day) for day in days]
    walk = np.cumsum(random.normal(0.01, 0.1, len(dates)))
    mean = 0.012 + 0.01 * np.sin(np.arange(len(dates)) / 40)
    document = {
        "family": slot.family,
        "config_key": slot.config_key,
        "version": champion.version,
        "classes": list(CLASSES.get(slot.family, ())),
        "decision": {
            "dates": dates,
            "z": (walk / math.sqrt(len(dates)) * 3).tolist(),
            "z_star": 2.33,
            "year_start": dates[len(dates) // 2],
        },
        "cumulative": {"what": "ic1", "dates": dates, "value": walk.tolist()},
        "rolling": {
            "what": "rank IC",
            "sessions": 126,
            "dates": dates,
            "mean": mean.tolist(),
            "low": (mean - 0.02).tolist(),
            "high": (mean + 0.02).tolist(),
        },
        "windows": [
            {"first": day, "last": day, "rows": 900, "accuracy": 0.55, "no_skill": 0.546, "rank_ic": 0.01}
            for day in dates[::30]
        ],
        "importance": [{"name": name, "share": 0.1, "contribution": 0.1, "permutation": 0.001} for name in NAMES],
        "account": None,
        "account_why": "this history was written by hand",
    }
    usual = slot.config_key == shop.helm.settings.strategy.config.key
    path: Path = shop.helm.project.reports / f"{slot.family if usual else str(slot)}_v{champion.version}.json"
    path.write_text(json.dumps(document))


def _quality(shop: Shop, tickers: Sequence[str], last: dt.datetime) -> None:
    """Write what the rules found, as the loop does with each collection."""
    aside = [
        {
            "rule": "high_below_low",
            "ticker": ticker,
            "date": f"{last.date() - dt.timedelta(days=place)}",
            "open": 10.0,
            "high": 9.0,
            "low": 11.0,
            "close": 10.0,
            "volume": 1000,
            "reason": "high 9.0 is below low 11.0",
        }
        for place, ticker in enumerate(tickers[:3])
    ]
    jump = {
        "rule": "jump",
        "ticker": tickers[0],
        "date": f"{last.date()}",
        "count": 1,
        "detail": "+52 % in one session",
    }
    document = {
        "rows": 631_000,
        "accepted": 630_997,
        "quarantined": len(aside),
        "rules": {"high_below_low": len(aside)},
        "warnings": [jump],
        "warnings_total": 1,
        "warning_counts": {"jump": 1},
        "rows_quarantined": aside,
        "at": last.isoformat(),
        "data_version": 7,
        "tickers": len(tickers),
        "first": f"{last.date() - dt.timedelta(days=1826)}",
        "last": f"{last.date()}",
    }
    (shop.helm.project.reports / "quality.json").write_text(json.dumps(document))
