"""The evidence about one version: the verdict in a sentence, figures beside no skill and champion, checks, charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from marketloop.web.dashboard import charts
from marketloop.web.dashboard.pieces import Text, card, chart, chip, facts, listing, plain_table, stat
from marketloop.web.dashboard.readings import Evidence
from marketloop.web.dashboard.words import FIGURES, figure, interval, moment, no_skill, number

__all__ = ["show_charts", "show_checks", "show_figures", "show_verdict"]

FIGURES_NOTE = "Each session was scored by a model that knew only earlier outcomes; the champion's are of its own rows."
CHECKS = (
    ("name", "Check", "text"),
    ("result", "Result", "chip"),
    ("value", "Value", "number"),
    ("threshold", "Threshold", "number"),
    ("hard", "Hard", "text"),
    ("detail", "Detail", "long"),
)


def show_verdict(evidence: Evidence) -> None:
    """Show the gate's word in one sentence, and the numbers that it hangs on."""
    word = evidence.ruling
    if word is None:
        with card():
            Text("p", "The gate was not asked: `train` makes candidates and promotes nothing.", "ml-lead")
        return
    record = word.record
    with card():
        with ui.element("div").classes("ml-row"):
            chip("forced" if word.reason_code == "forced" else word.verdict)
            Text("span", f"{word.reason_code}, {moment(word.decided_at)}", "ml-dim")
        Text("p", word.reason, "ml-lead")
        year = record.get("year") or {}
        pair = record.get("pair") or record.get("difference") or {}
        with ui.element("div").classes("ml-stats"):
            if record.get("n") is not None:
                stat("z of the stream", number(record.get("z"), 2), f"needs {number(year.get('z_star'), 2)}")
                stat("sessions looked at", number(record.get("n"), 0), f"at least {number(year.get('n0'), 0)}")
                bounds = interval(record.get("mean_ic1_interval"))
                stat("mean of the series", number(record.get("mean_ic1"), 4), bounds)
            rank_ic = record.get("rank_ic") or {}
            if rank_ic.get("mean") is not None:
                stat("rank IC", number(rank_ic["mean"], 4), interval(rank_ic.get("interval")))
            if isinstance(pair, Mapping) and pair.get("n"):
                stat("against the champion", number(pair.get("mean"), 4), f"{number(pair['n'], 0)} common sessions")
        if word.record.get("to_pass") not in {None, "passed"}:
            Text("p", f"To pass the skill test it would take {record['to_pass']}.", "ml-note")
        later = next((one for one in evidence.decisions if one is not word and one.decided_at > word.decided_at), None)
        if later is not None:
            Text("p", f"Since then: {later.reason}", "ml-note ml-wrap")


def show_figures(evidence: Evidence) -> None:
    """Show each figure beside that of no skill and of the champion, each on its own rows, and its uncertainty."""
    row, champion = evidence.row, evidence.champion
    names = [name for name in FIGURES if name in row.metrics]
    if not names:
        return
    other = champion if champion is not None and champion.version != evidence.version else None
    head = ["out of sample", f"version {evidence.version}", "no skill"]
    head += [f"champion v{other.version}"] if other is not None else []
    rows = []
    for name in names:
        cells = [FIGURES[name], figure(name, row.metrics[name]), figure(name, no_skill(name, row.baseline))]
        rows.append([*cells, figure(name, other.metrics.get(name))] if other is not None else cells)
    scorecard = row.scorecard
    with ui.element("div").classes("ml-grid wide"):
        with card("Figures", note=FIGURES_NOTE):
            plain_table(head, rows)
        with card("How sure is it"):
            _sureness(scorecard)


def _sureness(scorecard: Mapping[str, Any]) -> None:
    facts(_uncertainty(scorecard))
    calibration = scorecard.get("calibration") or {}
    if calibration:
        score, grade = number(calibration.get("score")), calibration.get("grade")
        Text("p", f"Calibration score {score} ({grade}); 0.90 and above is good, below 0.85 poor.", "ml-note")
    per_class = scorecard.get("per_class") or {}
    if per_class:
        plain_table(
            ["class", "precision", "recall", "F1"],
            [
                [name, *(number(told.get(what)) for what in ("precision", "recall", "f1_score"))]
                for name, told in per_class.items()
            ],
        )


def show_checks(evidence: Evidence) -> None:
    """Show every check of the gate with value and threshold."""
    word = evidence.ruling
    checks = () if word is None else word.record.get("checks") or ()
    if not checks:
        return
    rows = [
        {
            "key": place,
            "name": check["name"],
            "result": "passed" if check["passed"] else "FAILED",
            "result_tone": "good" if check["passed"] else "bad",
            "value": number(check.get("value"), 4),
            "threshold": number(check.get("threshold"), 4),
            "hard": "yes" if check.get("hard") else "",
            "detail": check.get("detail") or "",
        }
        for place, check in enumerate(checks)
    ]
    with card("Every check", note="A hard check is never overruled, by nobody and no reason."):
        listing(CHECKS, rows, label="checks", per_page=0)


def show_charts(evidence: Evidence) -> None:
    """Show the charts of a version; what the loop did not write down is left out and said so."""
    course, scorecard = evidence.course, evidence.row.scorecard
    with ui.element("div").classes("ml-grid wide"):
        chart(
            charts.decision_chart(course),
            title="The decision: z against its boundary",
            note="Skill is proven when the line passes the dashed bar within the year of looks. A high point before "
            "the year opened counts for nothing.",
        )
        chart(
            charts.rolling_chart(course),
            title=f"Walk-forward: rolling {(course.get('rolling') or {}).get('what', 'rank IC')}",
            note="Where the band includes 0, those sessions alone show nothing.",
        )
        chart(
            charts.cumulative_chart(course),
            title="Cumulative evidence",
            note="A steady rise is skill; one steep stretch is one lucky time.",
        )
        chart(
            charts.reliability_chart(scorecard),
            title="Reliability",
            note="On the dashed line, what was said to be 40 % likely happened 40 % of the time. Size is rows.",
        )
        chart(
            charts.confusion_chart(scorecard, course.get("classes") or ()),
            title="Confusion",
            note="Shares of what happened, row by row.",
        )
        chart(
            charts.windows_chart(course),
            title="Stability from window to window",
            note="Each window is three blocks of the calendar, scored by models that had not seen it.",
        )
        chart(charts.importance_chart(course), title="What it leans on", tall=True)
        chart(
            charts.account_chart(course),
            title="What it would have earned, and how far it fell",
            note=_account_note(course),
            tall=True,
        )
    if not course:
        Text(
            "p",
            f"The charts of its stream are not there. Write them: marketloop validate {evidence.slot.family} "
            f"--version {evidence.version} --report",
            "ml-note ml-wrap",
        )
    elif course.get("account_why"):
        Text("p", f"No account is shown: {course['account_why']}.", "ml-note")


def _uncertainty(scorecard: Mapping[str, Any]) -> dict[str, str]:
    rank_ic, hits = scorecard.get("rank_ic") or {}, scorecard.get("direction_hit_rate") or {}
    found = {
        "sessions, rows": f"{number(scorecard.get('sessions'), 0)}, {number(scorecard.get('rows'), 0)}",
        "tickers": number(scorecard.get("tickers"), 0),
    }
    if rank_ic.get("mean") is not None:
        found["rank IC"] = f"{number(rank_ic['mean'], 4)} {interval(rank_ic.get('interval'))}"
        found["t, p value"] = f"{number(rank_ic.get('t'), 2)}, {number(rank_ic.get('p_value'), 3)}"
    elif rank_ic.get("note"):
        found["rank IC"] = str(rank_ic["note"])
    if hits.get("mean") is not None:
        found["direction hit rate"] = f"{number(hits['mean'])} {interval(hits.get('interval'))}"
    lead = scorecard.get("lead_on_last_known_label") or {}
    if lead.get("mean") is not None:
        found["lead on the last known label"] = f"{number(lead['mean'])} {interval(lead.get('interval'))}"
    if scorecard.get("stability") is not None:
        found["spread over windows"] = number(scorecard["stability"])
    trials = scorecard.get("trials") or {}
    if trials.get("deflated_sharpe") is not None:
        found["deflated Sharpe (recorded, never deciding)"] = number(trials["deflated_sharpe"])
    return found


def _account_note(course: Mapping[str, Any]) -> str:
    told = course.get("account") or {}
    figures = told.get("figures") or {}
    bounds = told.get("sharpe_interval")
    sharpe = f"Sharpe ratio {number(figures.get('sharpe_ratio'), 2)} ({interval(bounds)})"
    return f"Next-session execution, costs paid, default plan. {sharpe}. Past sessions are no promise."
