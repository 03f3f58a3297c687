"""Charts are functions of documents: nothing to draw is no chart, and what is drawn is what was written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from marketloop.web.dashboard import charts

COURSE: dict[str, Any] = {
    "decision": {"dates": ["2026-01-02", "2026-01-05"], "z": [0.5, 2.4], "z_star": 2.33, "year_start": "2026-01-02"},
    "rolling": {
        "what": "rank IC",
        "sessions": 126,
        "dates": ["2026-01-02", "2026-01-05"],
        "mean": [0.01, 0.02],
        "low": [-0.01, 0.0],
        "high": [0.03, 0.04],
    },
    "cumulative": {"what": "ic1", "dates": ["2026-01-02"], "value": [0.2]},
    "windows": [
        {"first": "2025-01-02", "last": "2025-03-02", "accuracy": 0.52, "no_skill": 0.5, "rank_ic": 0.01},
        {"first": "2025-03-03", "last": "2025-05-02", "accuracy": 0.49, "no_skill": 0.5, "rank_ic": None},
    ],
    "importance": [
        {"name": "rsi", "share": 0.6, "contribution": 0.5},
        {"name": "roc_10", "share": 0.4, "contribution": 0.5},
    ],
    "account": {
        "dates": ["2026-01-02", "2026-01-05"],
        "account": [1.0, 1.1],
        "benchmarks": {"equal_weight": [1.0, 1.05]},
        "drawdown": [0.0, -0.1],
    },
}
OF_A_COURSE = (
    charts.decision_chart,
    charts.rolling_chart,
    charts.cumulative_chart,
    charts.windows_chart,
    charts.importance_chart,
    charts.account_chart,
)


@pytest.mark.parametrize("draw", OF_A_COURSE)
def test_chart_of_nothing_is_none(draw: Any) -> None:
    assert draw({}) is None


@pytest.mark.parametrize("draw", OF_A_COURSE)
def test_chart_is_plain_json(draw: Any) -> None:
    option = draw(COURSE)
    assert json.loads(json.dumps(option, allow_nan=False)) == option
    assert option["series"]


def test_decision_draws_the_bar_that_had_to_be_passed() -> None:
    option = charts.decision_chart(COURSE)
    assert option is not None
    (line,) = option["series"]
    assert line["data"][-1] == ["2026-01-05", 2.4]
    assert {mark.get("yAxis", mark.get("xAxis")) for mark in line["markLine"]["data"]} == {2.33, "2026-01-02"}
    assert option["yAxis"]["max"] >= 2.4


def test_interval_is_stacked_from_its_lower_end() -> None:
    option = charts.rolling_chart(COURSE)
    assert option is not None
    low, width, mean = option["series"]
    assert [a[1] + b[1] for a, b in zip(low["data"], width["data"], strict=True)] == pytest.approx([0.03, 0.04])
    assert mean["data"][0][1] == 0.01


def test_confusion_is_named_in_the_order_of_the_codes() -> None:
    names = ("SELL", "HOLD", "BUY")
    scorecard = {"confusion": [[8, 1, 1], [0, 5, 5], [0, 0, 10]], "per_class": {"BUY": {}, "HOLD": {}, "SELL": {}}}
    option = charts.confusion_chart(scorecard, names)
    assert option is not None
    assert option["xAxis"]["data"] == list(names)
    assert [0, 0, 0.8] in option["series"][0]["data"]
    assert [2, 1, 0.5] in option["series"][0]["data"]
    assert charts.confusion_chart(scorecard, ()) is None


def test_refusals_stand_beside_promotions() -> None:
    said: list[dict[str, Any]] = [
        {"at": "2026-01-02T02:00:00+00:00", "verdict": "promoted", "version": 1},
        {"at": "2026-01-03T02:00:00+00:00", "verdict": "refused", "version": 2},
        {"at": "2026-01-04T02:00:00+00:00", "verdict": "refused", "version": None},
    ]
    option = charts.decisions_chart(said)
    assert option is not None
    assert {one["name"]: len(one["data"]) for one in option["series"]} == {"promoted": 1, "refused": 2}
    assert charts.decisions_chart([]) is None


def test_reliability_ends_at_the_diagonal() -> None:
    option = charts.reliability_chart({"calibration": {"curve": [[0.4, 0.38, 100], [0.6, 0.5, 25]]}})
    assert option is not None
    ideal, model = option["series"]
    assert ideal["data"][0][0] == ideal["data"][0][1]
    assert model["data"][0]["value"] == [0.4, 0.38, 100]
    assert charts.reliability_chart({"calibration": None}) is None
