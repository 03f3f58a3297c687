"""What was predicted: is every champion heard on the newest session, on every ticker, with numbers."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

import polars as pl

from marketloop.cli.examinations.champions import reigning
from marketloop.cli.examinations.finding import Finding, Patient, failed, ok, warning
from marketloop.data.store import DeltaBarStore
from marketloop.state import scoreboards
from marketloop.state.champions import Champion
from marketloop.state.scoreboards import Prediction

__all__ = ["EXAMINATIONS"]

_LEFT: Final = dt.timedelta(days=14)
_LEAST: Final = 0.8
"""Share of the tickers with fresh bars that should have a prediction."""
_TAIL_BYTES: Final = 65_536
_LATELY: Final = dt.timedelta(hours=24)


def predictions(patient: Patient) -> Iterator[Finding]:
    """Say of each champion whether it has spoken of what there is."""
    store = DeltaBarStore(patient.project.data)
    coverage = None if store.version is None else store.coverage()
    with patient.ledger.read() as db:
        there = reigning(db, patient)
    for family, now in there.items():
        with patient.ledger.scores.read() as db:
            board = scoreboards.load(db, now.slot, now.version)
        yield _board(family, now, board, coverage)


def _board(family: str, now: Champion, board: tuple[Prediction, ...], coverage: pl.DataFrame | None) -> Finding:
    name, again = f"predictions {family}", f"marketloop retrain {family}"
    if not board:
        value = f"prediction error: version {now.version} serves and has said nothing"
        return failed(
            name, value, f'{again} --force --reason "no predictions"', expected="a scoreboard of the newest session"
        )
    as_of = board[0].as_of
    wrong = [p.ticker for p in board if not math.isfinite(p.score)]
    if wrong:
        value = f"prediction error: no number for {', '.join(wrong[:5])} of {len(board)} tickers"
        return failed(name, value, f"marketloop quality, then {again}", expected="a finite score for each")
    newest = None if coverage is None else coverage["last"].max()
    value = f"{len(board)} as of {as_of}, by version {now.version}"
    if coverage is None or not isinstance(newest, dt.date) or len(board) == 1:
        return ok(name, value)
    if as_of < newest:
        return warning(name, f"{value}: the bars reach {newest}", again, expected="predictions of the newest bars")
    live = set(coverage.filter(pl.col("last") >= newest - _LEFT)["ticker"].to_list())
    unheard = sorted(live - {p.ticker for p in board})
    if len(unheard) > (1 - _LEAST) * len(live):
        value = f"{value}: nothing of {len(unheard)} of {len(live)} tickers, e.g. {unheard[0]}"
        return warning(name, value, f"marketloop quality, then {again}", expected=f"{_LEAST:.0%} of them or more")
    return ok(name, value)


def errors(patient: Patient) -> Iterable[Finding]:
    """Say what the server complained of in the last 24 hours."""
    path = patient.project.logs / "server.log"
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    found = [entry for entry in map(_entry, lines) if entry is not None and patient.now - entry[0] <= _LATELY]
    if not found:
        return [ok("server log", "no error in 24 hours")]
    value = f"{len(found)} errors in 24 hours, the last: {found[-1][1]}"
    return [warning("server log", value, f'tail -n 20 "{path}"', expected="none")]


def _entry(line: str) -> tuple[dt.datetime, str] | None:
    """Return time and words of a line of the log that tells an error."""
    try:
        entry: dict[str, Any] = json.loads(line)
        at = dt.datetime.fromisoformat(str(entry["timestamp"]))
    except (ValueError, KeyError, TypeError):
        return None
    if entry.get("level") not in {"error", "critical"}:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=dt.UTC)), str(entry.get("event", ""))[:200]


EXAMINATIONS: Final = (("predictions", predictions), ("server log", errors))
