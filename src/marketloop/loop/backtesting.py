"""What a model would have earned on sessions that it was not trained on, with a tear sheet to read."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marketloop.core.errors import UsageError
from marketloop.evaluation.backtest import Backtest, Plan, run_backtest
from marketloop.evaluation.positions import Rule, session_rule, trailing_rule
from marketloop.evaluation.rank_ic import SMALL_UNIVERSE
from marketloop.evaluation.stream import grid_of
from marketloop.labels import Panel
from marketloop.loop.api import Config, Model, house_of
from marketloop.loop.backtest_result import BacktestResult
from marketloop.loop.house import House
from marketloop.loop.lookup import find_version
from marketloop.loop.record import Record, Source, Telling, record_of
from marketloop.reports.tearsheet import TearSheet, tear_sheet
from marketloop.runtime.files import ensure_folder, write_atomic

__all__ = ["Backtester", "backtest_model", "find_model", "write_orders", "write_tear_sheet"]

Array = NDArray[np.float64]


class Backtester:
    """Trades the signals of a model on sessions that it was not trained on.

    Parameters
    ----------
    model : Model or None
        None takes the champion of the project's primary family, else its newest version.
    config : path of a project, a `House`, or None
        None finds the project from the working directory.
    """

    def __init__(self, model: Model | None = None, config: Config = None) -> None:
        self._house = house_of(config)
        self._model = model

    def run(
        self,
        start_date: dt.date | str | None = None,
        end_date: dt.date | str | None = None,
        initial_capital: float = 100_000.0,
        *,
        plan: Plan | None = None,
    ) -> BacktestResult:
        """Return the course of an account of `initial_capital` that follows the model from one date to another.

        Parameters
        ----------
        start_date, end_date : date or str, optional
            Everything that was said out of sample when left out.
        initial_capital : float
        plan : Plan, optional
            Sizes, costs, time of the fill; its capital is replaced by `initial_capital`.

        Raises
        ------
        UsageError
            A date lies outside of what was said out of sample, or a number makes no sense.
        """
        model = self._model or find_model(self._house)
        period = (_day("start_date", start_date), _day("end_date", end_date))
        plan = replace(plan or Plan(), capital=initial_capital)
        return backtest_model(self._house, model, plan, period=period)

    def report(self, result: BacktestResult, path: Path | str | None = None) -> Path:
        """Write the tear sheet of a result, by default under the project's ``reports/``; return its path."""
        return write_tear_sheet(self._house, result, None if path is None else Path(path))


def find_model(house: House, family: str | None = None, version: int | None = None) -> Model:
    """Return a version of `family`: the one asked for, else the champion, else the newest.

    Raises
    ------
    UsageError
        There is no such family or version.
    """
    slot = house.slot(family or house.settings.serve.primary)
    if version is None:
        champion = house.registry.champion(slot)
        version = champion.version if champion is not None else find_version(house, slot.family).version
    return Model.of(house.registry.load(slot, version), house)


def backtest_model(
    house: House,
    model: Model,
    plan: Plan,
    *,
    period: tuple[dt.date | None, dt.date | None] = (None, None),
    tell: Telling | None = None,
) -> BacktestResult:
    """Trade what was said out of sample in the name of `model` between two dates, both included.

    Raises
    ------
    UsageError
        The family orders no tickers, or a date lies outside of what was said.
    """
    record = record_of(house, model.learner, model.manifest, tell=tell)
    panel = record.prepared.panel
    scores = grid_of(record.scores, panel)
    rule = _rule(house, record, scores)
    dates = tuple(record.prepared.sessions.date(panel.first + row) for row in range(len(scores)))
    first, last = _rows(dates, rule.known & np.isfinite(scores).any(axis=1), period)
    test = run_backtest(scores, rule, panel, plan, rows=(first, last), levels=_levels(record, dates))
    return BacktestResult(
        model=model.manifest,
        backtest=test,
        dates=dates[first : last + 1],
        tickers=panel.tickers,
        sources=_within(record, dates[first], dates[last]),
        figures=test.figures(),
        warnings=(*record.warnings, *_warnings(house, model, test, panel), *record.prepared.warnings),
    )


def write_tear_sheet(house: House, result: BacktestResult, path: Path | None = None) -> Path:
    """Write the tear sheet to `path`, by default ``reports/backtest_FAMILY_KEY_vN.html``; return the path."""
    if path is None:
        house.project.check_writable()
        model = result.model
        path = (
            house.project.reports / f"backtest_{model['family']}_{model['config_key']}_v{model.get('version', 0)}.html"
        )
    ensure_folder(path.absolute().parent)
    sheet = TearSheet(
        title=result.title,
        dates=result.dates,
        tickers=len(result.tickers),
        backtest=result.backtest,
        sources=tuple(source.document() for source in result.sources),
        warnings=result.warnings,
    )
    write_atomic(path, tear_sheet(sheet).encode())
    return path


def write_orders(result: BacktestResult, path: Path) -> Path:
    """Write every fill as CSV for other engines; return the path."""
    ensure_folder(path.absolute().parent)
    write_atomic(path, result.orders().write_csv(float_precision=8).encode())
    return path


def _rule(house: House, record: Record, scores: Array) -> Rule:
    """Return what is a BUY in each session: the rule that is served.

    In a small universe: past quantiles while the stream speaks, then the thresholds that the version is served with.
    """
    if scores.shape[1] >= SMALL_UNIVERSE:
        rule = session_rule(scores)
        return Rule(rule.buy_from, rule.sell_to, _abstained(house, record))
    session = record.prepared.panel.first + np.arange(len(scores))
    own = session > record.through
    past = trailing_rule(np.where(own[:, None], np.nan, scores), session // record.spec.block)
    return Rule(
        np.where(own, record.rule.buy_from, past.buy_from),
        np.where(own, record.rule.sell_to, past.sell_to),
        _abstained(house, record),
    )


def _abstained(house: House, record: Record) -> NDArray[np.bool_] | None:
    confidence = house.settings.family_section(record.spec.family.name).confidence
    if confidence is None or not record.spec.family.classes:
        return None
    likeliest = record.scores.with_columns(pl.col("probabilities").list.max().alias("likeliest"))
    return grid_of(likeliest, record.prepared.panel, "likeliest") < confidence


def _rows(
    dates: tuple[dt.date, ...], ready: NDArray[np.bool_], period: tuple[dt.date | None, dt.date | None]
) -> tuple[int, int]:
    """Return the rows of the period; a date outside of the sessions that can be traded is wrong use."""
    rows = np.flatnonzero(ready)
    if len(rows) == 0:
        raise UsageError(
            "no session can be traded yet: a signal needs the scores of an earlier block to compare with; "
            "collect a longer history"
        )
    low, high = dates[int(rows[0])], dates[-1]
    start, end = period[0] or low, period[1] or high
    if not low <= start <= high or not low <= end <= high or start >= end:
        raise UsageError(
            f"no backtest from {start} to {end}: out-of-sample signals exist from {low} to {high}; "
            "choose two dates among these, the earlier first"
        )
    inside = [row for row in range(int(rows[0]), len(dates)) if start <= dates[row] <= end]
    if len(inside) < 2:
        raise UsageError(
            f"{len(inside)} session(s) from {start} to {end}: a backtest needs two, one to decide and one to fill"
        )
    return inside[0], inside[-1]


def _levels(record: Record, dates: tuple[dt.date, ...]) -> dict[str, Array]:
    """Return the S&P 500 on the sessions of the panel where the context has it."""
    market = record.prepared.context.market.select("date", "spx")
    if market["spx"].null_count() == len(market):
        return {}
    level = pl.DataFrame({"date": pl.Series(dates, dtype=pl.Date)}).join(
        market, on="date", how="left", maintain_order="left"
    )
    return {"sp500": level["spx"].fill_null(math.nan).to_numpy()}


def _within(record: Record, first: dt.date, last: dt.date) -> tuple[Source, ...]:
    """Return who spoke in the sessions ``first..last``."""
    parts = []
    for source in record.sources:
        begin, end = max(source.first, first), min(source.last, last)
        if begin <= end:
            session = record.prepared.sessions.numbers([begin, end])
            inside = record.scores.filter(pl.col("session").is_between(int(session[0]), int(session[1])))
            parts.append(replace(source, first=begin, last=end, sessions=inside["session"].n_unique()))
    return tuple(parts)


def _warnings(house: House, model: Model, test: Backtest, panel: Panel) -> tuple[str, ...]:
    found = []
    champion = house.registry.champion(house.slot(str(model.manifest["family"])))
    if champion is None or champion.version != model.manifest.get("version") or champion.status == "provisional":
        found.append("no skill is proven for this version: served, its signals would all be HOLD")
    if panel.open is None and test.plan.fill == "open":
        found.append("the bars have no opening prices: orders were filled at the close of the session after")
    if len(test.positions) == 0:
        found.append("no position was ever taken: no score reached the rule, or sizes were zero")
    if (test.account.equity <= 0).any():
        found.append("the account was ruined by short positions and closed")
    return tuple(found)


def _day(name: str, value: dt.date | str | None) -> dt.date | None:
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            raise UsageError(f'{name} "{value}": expected a date as YYYY-MM-DD') from None
    return value
