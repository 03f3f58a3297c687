"""The figures of a version's report; each says in its note how to read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketloop.core.values import IntArray, Sessions
from marketloop.evaluation.gate import YEAR_SESSIONS
from marketloop.evaluation.timeline import Regimes, rolling_mean, z_path
from marketloop.reports.evidence import VersionEvidence, label, number, points
from marketloop.reports.page import Figure

__all__ = [
    "cumulative_figure",
    "decision_figure",
    "importance_figures",
    "regime_figure",
    "reliability_figure",
    "rolling_figure",
    "stability_figures",
]

SHOWN = 15
CLASS_COLOURS = ("--c2", "--c5", "--c1")
GAIN = "Share of what the model's own splits or weights gained: what was used in training, not whether it helped."
CONTRIBUTION = (
    "Share of the mean absolute contribution to the score, on sessions that the fit had not seen: what moves the score."
)
PERMUTATION = (
    "Rank IC lost when the feature is shuffled among the tickers of each session, on sessions that the fit had not "
    "seen: what helps. Around 0 a feature does not, below 0 it hurts."
)
IMPORTANCE = (
    ("share", "Gain", ".0%", GAIN),
    ("contribution", "Contribution (SHAP)", ".0%", CONTRIBUTION),
    ("permutation", "Permutation", ".4f", PERMUTATION),
)
Array = NDArray[np.float64]
Trace = dict[str, Any]


def dates_of(sessions: Sessions, numbers: IntArray) -> list[str]:
    """Return session numbers as dates; what lies outside the calendar as loaded is cut to its ends."""
    at = np.clip(np.asarray(numbers, dtype=np.intp) - sessions.first, 0, len(sessions.dates) - 1)
    return [str(day) for day in sessions.dates[at]]


def decision_figure(evidence: VersionEvidence) -> Figure | None:
    """Draw z as each night's look would have seen it, and the bar that it has to pass."""
    if evidence.timeline is None or evidence.sessions is None:
        return None
    path = z_path(evidence.timeline.x, evidence.overlap)
    if len(path) == 0:
        return None
    days = dates_of(evidence.sessions, path.session)
    traces = [_line(days, path.value, "z of the stream", "--c1", width=2)]
    newest = {"type": "scatter", "mode": "markers", "x": days[-1:], "y": path.value[-1:], "name": "newest look"}
    traces.append({**newest, "marker": {"color": "--c1", "size": 9, "symbol": "diamond"}})
    layout: dict[str, Any] = {"yaxis": {"title": {"text": "z"}, "zeroline": True}}
    year = evidence.record.get("year")
    if year:
        first, last = int(year["start"]), int(year["start"]) + YEAR_SESSIONS - 1
        begun, ends = dates_of(evidence.sessions, np.array([first, last]))
        bar = float(year["z_star"])
        traces.append(_line([days[0], begun], [bar, bar], "the same bar before", "--c2", dash="dot", width=1))
        traces.append(_line([begun, ends], [bar, bar], f"z* {number(bar)} of this year", "--c2", dash="dash", width=2))
        layout["shapes"] = [_vertical(begun)]
        layout["annotations"] = [_note(begun, "year opened")]
    return Figure(
        "decision",
        "The decision: z against its boundary",
        traces,
        layout,
        "Skill is proven when the line passes the dashed bar within the year of looks. The bar was fixed when the year "
        "opened, above what a worthless recipe reaches on its best night; a high point before that counts for nothing.",
        380,
    )


def cumulative_figure(evidence: VersionEvidence) -> Figure | None:
    """Draw the running sum of the series that decides."""
    if evidence.timeline is None or evidence.sessions is None or len(evidence.timeline.x) == 0:
        return None
    x, ic = evidence.timeline.x, evidence.timeline.rank_ic
    what = "ic1" if evidence.by_order else "gain in log loss, nats"
    traces = [_line(dates_of(evidence.sessions, x.session), np.cumsum(x.value), f"{what}, summed", "--c1", width=2)]
    if ic is not None and len(ic):
        traces.append(_line(dates_of(evidence.sessions, ic.session), np.cumsum(ic.value), "rank IC, summed", "--c3"))
    return Figure(
        "cumulative",
        "Cumulative evidence",
        traces,
        {"yaxis": {"title": {"text": "sum over sessions"}, "zeroline": True}},
        "A steady rise is skill; a flat or wandering line is none, and one steep stretch is one lucky time. "
        + ("Rank ICs of neighbouring sessions overlap, ic1 does not." if evidence.by_order else ""),
        300,
    )


def rolling_figure(evidence: VersionEvidence) -> Figure | None:
    """Draw the rolling mean of the rank IC (of the gain, where there is none) with its interval."""
    if evidence.timeline is None or evidence.sessions is None:
        return None
    ic = evidence.timeline.rank_ic
    series, horizon = (ic, evidence.horizon) if ic is not None else (evidence.timeline.x, evidence.overlap)
    length = max(126, 12 * horizon)
    rolling = rolling_mean(series, horizon=horizon, length=length)
    if len(rolling.session) == 0:
        return None
    days = dates_of(evidence.sessions, rolling.session)
    band: Trace = {
        "type": "scatter",
        "x": [*days, *days[::-1]],
        "y": [*rolling.high.tolist(), *rolling.low[::-1].tolist()],
    }
    band |= {"fill": "toself", "fillcolor": "--c1/0.18", "line": {"width": 0}, "name": "95 % interval"}
    band |= {"hoverinfo": "skip", "mode": "lines"}
    what = "rank IC" if ic is not None else "gain in log loss"
    return Figure(
        "rolling",
        f"Rolling {what}",
        [band, _line(days, rolling.mean, f"mean of {length} sessions", "--c1", width=2)],
        {"yaxis": {"zeroline": True, "tickformat": ".3f"}},
        f"Mean of the {length} sessions up to each date. Where the band includes 0, those sessions alone show nothing; "
        "that it leaves 0 out somewhere shows nothing either, because chance does so too where there are many dates. "
        "The interval allows for the overlap of the outcomes (equal-weighted cosines).",
        320,
    )


def reliability_figure(evidence: VersionEvidence) -> Figure | None:
    """Draw how often the likeliest class happened against how likely it was said to be."""
    curve = (evidence.scorecard.get("calibration") or {}).get("curve")
    if not curve:
        return None
    said, happened, rows = (list(column) for column in zip(*curve, strict=True))
    largest = max(rows)
    sizes = [8 + 22 * (count / largest) ** 0.5 for count in rows]
    texts = [f"{count:,} rows" for count in rows]
    dots: Trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": said,
        "y": happened,
        "name": "stream",
        "text": texts,
    }
    dots |= {"marker": {"color": "--c1", "size": sizes, "opacity": 0.8}, "line": {"color": "--c1", "width": 1}}
    dots |= {"hovertemplate": "said %{x:.1%}, happened %{y:.1%}, %{text}<extra></extra>"}
    ideal = _line([0, 1], [0, 1], "said = happened", "--c5", dash="dash", width=1)
    axis: dict[str, Any] = {"tickformat": ".0%", "range": [0, 1]}
    return Figure(
        "reliability",
        "Reliability",
        [ideal, dots],
        {
            "xaxis": {**axis, "title": {"text": "probability that was said"}},
            "yaxis": {**axis, "title": {"text": "share that happened"}},
            "hovermode": "closest",
        },
        "On the dashed line 60 % means 60 %. Below it the model is too sure of itself, above it too modest. "
        "The size of a point is the number of rows behind it: " + ", ".join(
            f"{count:,} at {100 * p:.0f} %" for p, count in zip(said, rows, strict=True)
        ) + ".",
        360,
    )  # fmt: skip


def stability_figures(evidence: VersionEvidence) -> tuple[Figure, ...]:
    """Draw the figures of each window of three blocks: the lead in accuracy, and the rank IC."""
    if evidence.timeline is None or evidence.sessions is None or len(evidence.timeline.windows) < 2:
        return ()
    windows = evidence.timeline.windows
    days = dates_of(evidence.sessions, np.array([window.first for window in windows]))
    lead = np.array([100 * (window.accuracy - window.no_skill) for window in windows])
    accuracy = [f"accuracy {points(window.accuracy)}, no skill {points(window.no_skill)}" for window in windows]
    ic = np.array([window.rank_ic for window in windows])
    found = []
    if np.isfinite(lead).any():
        what = "Stability: points of accuracy beyond no skill, by window"
        found.append(_window_bars("stability", what, days, lead, form=".1f", texts=accuracy))
    if np.isfinite(ic).any():
        texts = [f"mean rank IC {number(value, 4)}" for value in ic.tolist()]
        found.append(
            _window_bars("stability-ic", "Stability: mean rank IC by window", days, ic, form=".3f", texts=texts)
        )
    return tuple(found)


def _window_bars(name: str, title: str, days: list[str], values: Array, *, form: str, texts: Sequence[str]) -> Figure:
    colours = ["--c1/0.8" if value >= 0 else "--c2/0.8" for value in values.tolist()]
    bars: Trace = {"type": "bar", "x": days, "y": values, "marker": {"color": colours}, "text": list(texts)}
    bars |= {"hovertemplate": "%{text}<extra></extra>", "textposition": "none"}
    note = (
        "One bar for every three blocks of sessions, dated by its first session; below 0 in orange. The first and the "
        "last may hold fewer sessions and jump further. A model that works "
        "is above 0 in most windows; bars that jump mean that the average hides luck."
    )
    layout = {"yaxis": {"tickformat": form, "zeroline": True}, "bargap": 0.25, "showlegend": False}
    return Figure(name, title, [bars], {**layout, "xaxis": {"type": "date"}}, note, 280)


def regime_figure(evidence: VersionEvidence) -> tuple[Figure, ...]:
    """Draw what was said of the market's regime, what came of it, and what its persistence alone would have said."""
    regimes = None if evidence.timeline is None else evidence.timeline.regimes
    if regimes is None or evidence.sessions is None or len(regimes.session) == 0:
        return ()
    days = dates_of(evidence.sessions, regimes.session)
    names = [label(name) for name in evidence.classes]
    said = _stacked(days, regimes.probabilities, names)
    usual = _stacked(days, regimes.persistence, names)
    layout = {"yaxis": {"tickformat": ".0%", "range": [0, 1]}}
    return (
        Figure(
            "regimes",
            "Probabilities of the regimes, and what was realised",
            [*said, *_realised(days, regimes, names)],
            {"yaxis": {"tickformat": ".0%", "range": [0, 1.12], "tickvals": [0, 0.25, 0.5, 0.75, 1]}},
            f"Stacked to 100 %. The marks above are the regimes of the {evidence.horizon} sessions that followed each "
            "date; a model with skill says much of a colour where that colour is marked.",
            380,
        ),
        Figure(
            "persistence",
            "What persistence alone would have said",
            usual,
            layout,
            "Shares given the last regime that was known by then and recent volatility. Regimes persist, so this "
            "is what a model has to beat; the majority class would be too easy.",
            280,
        ),
    )


def importance_figures(evidence: VersionEvidence) -> tuple[Figure, ...]:
    """Draw the largest features by each of the three measures."""
    found = []
    for key, title, form, note in IMPORTANCE:
        known = [f for f in evidence.importance if f.get(key) is not None]
        largest = sorted(known, key=lambda f, key=key: -abs(f[key]))[:SHOWN]  # type: ignore[misc]
        if largest:
            found.append(_bars(f"importance-{key}", title, largest[::-1], key, form=form, note=note))
    return tuple(found)


def _bars(name: str, title: str, features: Sequence[Any], key: str, *, form: str, note: str) -> Figure:
    names = [label(str(f["name"])) for f in features]
    bars = {"type": "bar", "orientation": "h", "y": names, "x": [f[key] for f in features], "name": title}
    layout = {
        "xaxis": {"tickformat": form, "zeroline": True},
        "yaxis": {"type": "category", "dtick": 1},
        "showlegend": False,
        "hovermode": "closest",
        "bargap": 0.3,
    }
    height = 80 + 24 * len(names)
    return Figure(
        name, f"{title}: the largest {len(names)}", [{**bars, "marker": {"color": "--c1/0.8"}}], layout, note, height
    )


def _stacked(days: list[str], shares: Array, names: Sequence[str]) -> list[Trace]:
    return [
        {
            **_line(days, shares[:, code], name, colour, width=0.5),
            "stackgroup": "said",
            "fillcolor": f"{colour}/0.55",
            "hovertemplate": "%{y:.0%}",
        }
        for code, (name, colour) in enumerate(zip(names, CLASS_COLOURS, strict=False))
    ]


def _realised(days: list[str], regimes: Regimes, names: Sequence[str]) -> list[Trace]:
    symbols = ("triangle-down", "circle", "triangle-up")
    found = []
    for code, (name, colour) in enumerate(zip(names, CLASS_COLOURS, strict=False)):
        here = [day for day, known in zip(days, regimes.label.tolist(), strict=True) if known == code]
        if here:
            marks = {"color": colour, "size": 5, "symbol": symbols[code % 3]}
            found.append(
                {"type": "scatter", "mode": "markers", "x": here, "y": [1.03 + 0.03 * code] * len(here)}
                | {"name": f"{name}, realised", "marker": marks, "hoverinfo": "skip"}
            )
    return found


def _line(x: Sequence[Any], y: Any, name: str, colour: str, **style: Any) -> Trace:
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": y, "name": name, "line": {"color": colour, **style}}


def _vertical(day: str) -> dict[str, Any]:
    line = {"color": "--muted", "width": 1, "dash": "dot"}
    return {"type": "line", "x0": day, "x1": day, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _note(day: str, text: str) -> dict[str, Any]:
    place = {"x": day, "y": 1, "yref": "paper", "xanchor": "right", "yanchor": "top", "showarrow": False}
    return {**place, "text": text, "font": {"color": "--muted"}}
