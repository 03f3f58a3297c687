"""Charts as ECharts options: pure functions of documents; colours that can be read on light and on dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from marketloop.web.dashboard.words import number

__all__ = [
    "account_chart",
    "confusion_chart",
    "cumulative_chart",
    "decision_chart",
    "decisions_chart",
    "drift_chart",
    "importance_chart",
    "reliability_chart",
    "rolling_chart",
    "windows_chart",
]

INK: Final = "#8590a5"
LINE: Final = "rgba(133,144,165,0.28)"
BLUE, TEAL, ORANGE, RED, VIOLET, GREY = "#4f7df3", "#14a396", "#ee8b32", "#e2574c", "#9a6bff", "#97a3b8"
VERDICTS: Final = {
    "promoted": TEAL,
    "provisional": ORANGE,
    "refused": BLUE,
    "rollback": VIOLET,
    "harm": RED,
    "failed": RED,
    "pin": GREY,
}
Option = dict[str, Any]
Document = Mapping[str, Any]


def decision_chart(course: Document) -> Option | None:
    """Draw z as each night's look saw it, and the bar that it had to pass."""
    told = course.get("decision")
    if not told:
        return None
    series = [_line("z of the stream", told["dates"], told["z"], BLUE, width=2)]
    bar = told.get("z_star")
    if bar is not None:
        mark = {"silent": True, "symbol": "none", "lineStyle": {"color": ORANGE, "type": "dashed", "width": 2}}
        label = {"formatter": f"z* {number(bar, 2)}", "color": ORANGE, "position": "insideEndTop"}
        lines: list[Option] = [{"yAxis": bar, "label": label}]
        if told.get("year_start"):
            start = {"formatter": "year opened", "color": INK, "position": "insideEndTop"}
            lines.append({"xAxis": told["year_start"], "label": start, "lineStyle": {"color": INK, "width": 1}})
        series[0]["markLine"] = {**mark, "data": lines}
    top = max([*(z for z in told["z"] if z is not None), bar or 0.0]) + 0.3
    return _time(series, "z", {"max": math.ceil(top * 2) / 2})


def rolling_chart(course: Document) -> Option | None:
    """Draw the rolling mean of the rank IC, or of the gain in log loss, with its 95 % interval."""
    told = course.get("rolling")
    if not told:
        return None
    low, high = told["low"], told["high"]
    width = [None if a is None or b is None else b - a for a, b in zip(low, high, strict=True)]
    hidden: Option = {"stack": "band", "lineStyle": {"opacity": 0}, "silent": True, "tooltip": {"show": False}}
    series = [
        {**_line("low", told["dates"], low, BLUE), **hidden},
        {**_line("95 % interval", told["dates"], width, BLUE), **hidden, "areaStyle": {"color": BLUE, "opacity": 0.18}},
        _line(f"mean of {told['sessions']} sessions", told["dates"], told["mean"], BLUE, width=2),
    ]
    series[2]["markLine"] = _zero()
    option = _time(series, told["what"])
    option["legend"]["data"] = [series[1]["name"], series[2]["name"]]
    return option


def cumulative_chart(course: Document) -> Option | None:
    """Draw the running sum of the series that decides."""
    told = course.get("cumulative")
    if not told:
        return None
    series = _line(f"{told['what']}, summed", told["dates"], told["value"], TEAL, width=2)
    series["markLine"] = _zero()
    return _time([series], "sum")


def windows_chart(course: Document) -> Option | None:
    """Draw the accuracy of neighbouring windows beside that of no skill, or their rank IC."""
    rows = course.get("windows") or []
    if len(rows) < 2:
        return None
    ends = [row["last"] for row in rows]
    if any(row["accuracy"] is not None for row in rows):
        bars = [
            _bar("model", [row["accuracy"] for row in rows], BLUE),
            _bar("no skill", [row["no_skill"] for row in rows], GREY),
        ]
        known = [v for row in rows for v in (row["accuracy"], row["no_skill"]) if v is not None]
        axis: Option = {"min": math.floor(max(0.0, min(known) - 0.05) * 20) / 20, "max": _up(max(known))}
        return _categories(ends, bars, "accuracy", axis)
    bars = [_bar("rank IC", [row["rank_ic"] for row in rows], BLUE)]
    return _categories(ends, bars, "rank IC", {})


def importance_chart(course: Document) -> Option | None:
    """Draw the features that a version leans on most: share of gain, and of the contributions to the score."""
    rows = list(reversed(course.get("importance") or []))
    if not rows:
        return None
    bars = [_bar("gain", [row.get("share") for row in rows], BLUE)]
    if any(row.get("contribution") is not None for row in rows):
        bars.append(_bar("contribution (SHAP)", [row.get("contribution") for row in rows], TEAL))
    names = [row["name"] for row in rows]
    return {
        **_base(),
        "grid": {"left": 8, "right": 24, "top": 36, "bottom": 8, "containLabel": True},
        "xAxis": {"type": "value", **_axis("")},
        "yAxis": {"type": "category", "data": names, **_axis(""), "splitLine": {"show": False}},
        "series": bars,
    }


def account_chart(course: Document) -> Option | None:
    """Draw the value of an account that followed the stream beside its benchmarks, and how far it fell."""
    told = course.get("account")
    if not told:
        return None
    names = {"buy_and_hold": "buy and hold", "equal_weight": "equal weight", "sp500": "S&P 500"}
    series = [_line("account, after costs", told["dates"], told["account"], BLUE, width=2.5)]
    colours = (ORANGE, GREY, VIOLET)
    for (name, values), colour in zip(sorted(told["benchmarks"].items()), colours, strict=False):
        series.append(_line(names.get(name, name), told["dates"], values, colour))
    fall = _line("drawdown", told["dates"], told["drawdown"], RED)
    series.append({**fall, "xAxisIndex": 1, "yAxisIndex": 1, "areaStyle": {"color": RED, "opacity": 0.2}})
    option = _time(series, "value of 1")
    option["grid"] = [
        {"left": 8, "right": 16, "top": 40, "height": "52%", "containLabel": True},
        {"left": 8, "right": 16, "top": "74%", "bottom": 8, "containLabel": True},
    ]
    option["xAxis"] = [{"type": "time", **_axis("")}, {"type": "time", "gridIndex": 1, **_axis("")}]
    option["yAxis"] = [
        {"type": "value", "scale": True, **_axis("")},
        {"type": "value", "gridIndex": 1, **_axis("drawdown"), "splitNumber": 2},
    ]
    return option


def reliability_chart(scorecard: Document) -> Option | None:
    """Draw how often the likeliest class happened against how likely it was said to be."""
    curve = (scorecard.get("calibration") or {}).get("curve")
    if not curve:
        return None
    largest = max(row[2] for row in curve) or 1
    points = [
        {"value": [said, happened, rows], "symbolSize": round(7 + 20 * math.sqrt(rows / largest), 1)}
        for said, happened, rows in curve
    ]
    low = math.floor(min(min(row[0], row[1]) for row in curve) * 10) / 10
    high = math.ceil(max(max(row[0], row[1]) for row in curve) * 10) / 10
    ideal = {"type": "line", "data": [[low, low], [high, high]], "name": "calibrated", "symbol": "none", "silent": True}
    ideal |= {"lineStyle": {"color": INK, "type": "dashed"}, "itemStyle": {"color": INK}}
    model = {
        "type": "line",
        "name": "model",
        "data": points,
        "lineStyle": {"color": BLUE},
        "itemStyle": {"color": BLUE},
    }
    return {
        **_base(),
        "tooltip": {"trigger": "item"},
        "grid": {"left": 28, "right": 24, "top": 36, "bottom": 28, "containLabel": True},
        "xAxis": {"type": "value", "min": low, "max": high, **_middle("said", 28)},
        "yAxis": {
            "type": "value",
            "min": low,
            "max": high,
            **_axis("happened"),
            "nameLocation": "middle",
            "nameGap": 38,
        },
        "series": [ideal, model],
    }


def confusion_chart(scorecard: Document, names: Sequence[str]) -> Option | None:
    """Draw what was said (columns) of what happened (rows), each row in shares; `names` in the order of the codes."""
    matrix = scorecard.get("confusion")
    if not matrix or len(names) != len(matrix):
        return None
    data = []
    for row, counts in enumerate(matrix):
        total = sum(counts) or 1
        data += [[column, row, round(count / total, 4)] for column, count in enumerate(counts)]
    cells: Option = {"type": "heatmap", "data": data, "name": "share of the row"}
    cells |= {"label": {"show": True, "color": "#10203c", "fontWeight": 600}}
    return {
        **_base(),
        "legend": {"show": False},
        "tooltip": {"trigger": "item"},
        "grid": {"left": 40, "right": 24, "top": 16, "bottom": 36, "containLabel": True},
        "xAxis": {"type": "category", "data": list(names), **_middle("said", 28)},
        "yAxis": {
            "type": "category",
            "data": list(names),
            "inverse": True,
            **_middle("happened", 56),
        },
        "visualMap": {"show": False, "min": 0, "max": 1, "inRange": {"color": ["#e8eefc", "#7ea0f5", "#4f7df3"]}},
        "series": [cells],
    }


def decisions_chart(decisions: Sequence[Document]) -> Option | None:
    """Draw all decisions on a line of time, one row per verdict: refused ones as plainly as promoted ones."""
    if not decisions:
        return None
    verdicts = [word for word in VERDICTS if any(one["verdict"] == word for one in decisions)]
    series = []
    for word in verdicts:
        points = [
            {"value": [one["at"], word], "name": f"version {one['version']}" if one["version"] else "no version"}
            for one in decisions
            if one["verdict"] == word
        ]
        dots: Option = {"type": "scatter", "name": word, "data": points, "symbolSize": 13}
        series.append({**dots, "itemStyle": {"color": VERDICTS[word], "opacity": 0.85}})
    return {
        **_base(),
        "legend": {"show": False},
        "tooltip": {"trigger": "item"},
        "grid": {"left": 8, "right": 24, "top": 12, "bottom": 8, "containLabel": True},
        "xAxis": {"type": "time", **_axis("")},
        "yAxis": {"type": "category", "data": list(reversed(verdicts)), **_axis("")},
        "series": series,
    }


def drift_chart(
    sessions: Sequence[str], features: Sequence[str], cells: Sequence[Sequence[float | None]]
) -> Option | None:
    """Draw a heat map: features by the session of each scan; `cells` are (session, feature, strength from 0 to 1)."""
    if not cells:
        return None
    steps = ["#dfe7f5", "#f6d79a", "#ee8b32", "#c7332b"]
    return {
        **_base(),
        "legend": {"show": False},
        "tooltip": {"trigger": "item"},
        "grid": {"left": 8, "right": 24, "top": 8, "bottom": 48, "containLabel": True},
        "xAxis": {"type": "category", "data": list(sessions), **_axis("")},
        "yAxis": {"type": "category", "data": list(features), "inverse": True, **_axis("")},
        "visualMap": {
            "min": 0,
            "max": 1,
            "orient": "horizontal",
            "left": "center",
            "bottom": 0,
            "itemHeight": 120,
            "text": ["drifted", "as before"],
            "textStyle": {"color": INK},
            "inRange": {"color": steps},
        },
        "series": [{"type": "heatmap", "name": "drift", "data": [list(cell) for cell in cells]}],
    }


def _base() -> Option:
    return {
        "textStyle": {"color": INK, "fontFamily": "system-ui, sans-serif"},
        "legend": {"top": 0, "textStyle": {"color": INK}, "type": "scroll"},
        "tooltip": {"trigger": "axis", "confine": True},
        "animation": False,
        "aria": {"enabled": True},
    }


def _axis(name: str) -> Option:
    return {
        "name": name,
        "nameTextStyle": {"color": INK},
        "axisLabel": {"color": INK, "hideOverlap": True},
        "axisLine": {"lineStyle": {"color": LINE}},
        "splitLine": {"lineStyle": {"color": LINE}},
    }


def _middle(name: str, gap: int) -> Option:
    return {**_axis(name), "nameLocation": "middle", "nameGap": gap}


def _time(series: list[Option], name: str, y: Option | None = None) -> Option:
    return {
        **_base(),
        "grid": {"left": 8, "right": 16, "top": 40, "bottom": 8, "containLabel": True},
        "xAxis": {"type": "time", **_axis("")},
        "yAxis": {"type": "value", "scale": True, **_axis(name), **(y or {})},
        "series": series,
    }


def _categories(names: Sequence[str], bars: list[Option], name: str, y: Option) -> Option:
    return {
        **_base(),
        "grid": {"left": 8, "right": 16, "top": 40, "bottom": 8, "containLabel": True},
        "xAxis": {"type": "category", "data": list(names), **_axis("")},
        "yAxis": {"type": "value", **_axis(name), **y},
        "series": bars,
    }


def _line(name: str, dates: Sequence[str], values: Sequence[Any], colour: str, *, width: float = 1.3) -> Option:
    data = [[date, value] for date, value in zip(dates, values, strict=True)]
    style = {"color": colour, "width": width}
    return {
        "type": "line",
        "name": name,
        "data": data,
        "showSymbol": False,
        "lineStyle": style,
        "itemStyle": {"color": colour},
    }


def _bar(name: str, values: Sequence[Any], colour: str) -> Option:
    return {"type": "bar", "name": name, "data": list(values), "itemStyle": {"color": colour}, "barMaxWidth": 28}


def _zero() -> Option:
    style = {"color": INK, "type": "solid", "width": 1}
    return {"silent": True, "symbol": "none", "label": {"show": False}, "lineStyle": style, "data": [{"yAxis": 0}]}


def _up(value: float) -> float:
    return math.ceil((value + 0.02) * 20) / 20
