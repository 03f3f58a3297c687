"""The tables and words of a version's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marketloop.reports.evidence import MEASURES, VersionEvidence, figure, interval, measure, number, points
from marketloop.reports.page import Card, Cards, Cell, Table, Text

__all__ = [
    "cards",
    "checks_table",
    "classes_table",
    "confusion_table",
    "facts_table",
    "figures_table",
    "inner_table",
    "interval_table",
    "meanings_table",
    "nominees_table",
    "pair_table",
    "parts_table",
    "skill_table",
    "trials_table",
    "verdict_texts",
]

VERDICTS: Mapping[str | None, str] = {
    "promoted": "Promoted: its recipe has shown skill, so this version serves and its signals are live.",
    "provisional": "Provisional: no skill is shown, and nothing better serves. Every signal is HOLD; do not trade it.",
    "refused": "Refused: this version does not serve. What served before goes on.",
    "failed": "Failed: the examination did not come to an end. What served before goes on.",
    None: "Not examined: this version was trained, and the gate was not asked. It does not serve.",
}
FORCED = (
    "Promoted by force: somebody overruled the gate, and no skill is proven. Every signal is HOLD; do not trade it."
)
GRADES = {"calibration": "calibration score", "stability": "spread of the windows", "overfit": "lost on unseen rows"}
PARTS = {"seen": "learned from", "unseen": "not seen before"}
ORDER = frozenset({"rank_ic", "rank_ic_raw", "icir"})
"""Figures with 0 for no skill: their interval says whether they can be told from it."""
NO_SKILL = {"rank_ic": 0.0, "rank_ic_raw": 0.0, "icir": 0.0, "z": 0.0}
SHARES = frozenset({"deflated_sharpe", "probabilistic_sharpe", "pbo"})
TRIALS: Mapping[str, str] = {
    "trials": "settings that were tried or compared",
    "recipes_compared": "of them recipes that nominations compared",
    "sharpe_annual": "Sharpe ratio a year, long-short by score, before costs",
    "luck_annual": "Sharpe ratio a year that luck alone gives the best of as many",
    "deflated_sharpe": "probability that the true ratio beats that luck (deflated Sharpe ratio)",
    "probabilistic_sharpe": "probability that the true ratio is above 0, luck not counted",
    "pbo": "probability of backtest overfitting: how often the best of one half is below the median in the other",
    "pbo_trials": "settings behind that probability",
    "pbo_sessions": "sessions behind that probability",
}


def verdict_texts(evidence: VersionEvidence) -> tuple[Text, ...]:
    """Say first what came of the version, why, and what to do."""
    forced = evidence.reason_code == "forced" and not evidence.record.get("skill_proven")
    word = FORCED if forced else VERDICTS.get(evidence.verdict, str(evidence.verdict))
    texts = [Text(word, "lead")]
    if evidence.harm:
        texts.append(Text(f"Harm alarm: {evidence.harm.get('reason', '')}", "warning"))
    if evidence.reason:
        texts.append(Text(f"Why: {_sentence(evidence.reason)}"))
    return (*texts, Text(f"What to do: {_sentence(evidence.recommendation)}"))


def cards(evidence: VersionEvidence) -> Cards:
    """Put the handful of figures that matter most in large letters."""
    found = [_z_card(evidence), _ic_card(evidence)]
    for name in ("accuracy", "log_loss", "rmse"):
        if name in evidence.metrics:
            usual = figure(name, evidence.baseline.get(name), evidence.unit)
            said = figure(name, evidence.metrics[name], evidence.unit)
            found.append(Card(measure(name).label.capitalize(), said, f"no skill {usual}"))
    for grade in evidence.grades:
        good = grade["grade"] != "poor"
        name = GRADES.get(str(grade["name"]), str(grade["name"]))
        value = number(grade["value"], 3) if grade["name"] == "calibration" else _lost(evidence, float(grade["value"]))
        found.append(Card(name.capitalize(), value, str(grade["grade"]), "good" if good else "bad"))
    sessions = evidence.scorecard.get("sessions")
    if sessions:
        found.append(Card("Out of sample", f"{sessions:,}", "sessions, each scored before its outcome"))
    return Cards(tuple(card for card in found if card is not None))


def _lost(evidence: VersionEvidence, value: float) -> str:
    """Write a loss: points of accuracy, or percent of an error."""
    return f"{number(100 * value, 1)} {'points' if evidence.classes else '%'}"


def _z_card(evidence: VersionEvidence) -> Card | None:
    skill, year = evidence.scorecard.get("skill") or {}, evidence.record.get("year") or {}
    if not skill:
        return None
    z, bar = skill.get("z"), year.get("z_star")
    note = "no bar: not looked at" if bar is None else f"needs {number(bar)} over at least {year['n0']} sessions"
    passed = bool(evidence.record.get("skill_proven"))
    return Card("Skill, z", number(z), f"{note}; {'proven' if passed else 'not proven'}", "good" if passed else "bad")


def _ic_card(evidence: VersionEvidence) -> Card | None:
    ic = evidence.scorecard.get("rank_ic") or {}
    if ic.get("mean") is None:
        return None
    return Card("Rank IC", number(ic["mean"], 4), interval(ic.get("interval"), _four))


def facts_table(evidence: VersionEvidence) -> Table:
    """Say what was examined."""
    return Table.of(("what", "which"), [list(item) for item in evidence.facts.items()], prose=True)


def nominees_table(evidence: VersionEvidence) -> Table | None:
    """Say which recipe spoke for the family when."""
    if not evidence.nominees:
        return None
    rows = [[f"{n.first} to {n.last}", f"{n.name} (blocks: {n.blocks})"] for n in evidence.nominees]
    title = "Who spoke for the family: nominated for each block by inner, purged validation on what was known before it"
    return Table.of(("sessions", "nominee"), rows, title=title, prose=True)


def inner_table(evidence: VersionEvidence) -> Table | None:
    """Say how the contenders did in inner validation."""
    if not evidence.inner:
        return None
    what = "mean inner rank IC" if evidence.by_order else "mean inner log probability, nats"
    ranked = sorted(evidence.inner.items(), key=lambda item: -item[1])
    return Table.of(("contender", what), [[name, number(value, 4)] for name, value in ranked])


def skill_table(evidence: VersionEvidence) -> Table | None:
    """Put every number of the skill test in one table."""
    card, record = evidence.scorecard, evidence.record
    skill, year = card.get("skill") or {}, record.get("year") or {}
    if not skill:
        return None
    mean = "mean ic1" if evidence.by_order else "mean gain in log loss, nats"
    bounds = record.get("mean_ic1_interval") or record.get("mean_gain_interval")
    dropped = record.get("sessions_dropped") or 0
    left_out = f"; {dropped:,} more had fewer than 10 tickers in common and do not count" if dropped else ""
    rows = [
        ["z", "not known" if skill.get("z") is None else number(skill["z"]), str(record.get("z_by", ""))],
        ["boundary z*", number(year.get("z_star")), "fixed when the year of looks was opened"],
        ["alpha of the year", points(year.get("alpha"), 2), "chance of a false claim that the year may cost"],
        ["sessions seen", f"{skill.get('terms', 0):,}", f"needs at least {number(year.get('n0'), 0)}{left_out}"],
        [mean, number(skill.get("mean_ic1"), 4), f"{interval(bounds, _four)}; {_decides(evidence)}"],
    ]
    for name, title in (("rank_ic", "rank IC"), ("rank_ic_raw", "rank IC, raw returns")):
        ic = card.get(name) or {}
        if ic.get("mean") is not None:
            text = f"{interval(ic.get('interval'), _four)}; t {number(ic.get('t'))}, "
            rows.append([title, number(ic["mean"], 4), f"{text}p {number(ic.get('p_value'), 4)} (one-sided)"])
            if "icir" in ic:
                rows.append(["ICIR", number(ic["icir"], 3), "mean over standard deviation, per session"])
    hit, lead = card.get("direction_hit_rate") or {}, card.get("lead_on_last_known_label") or {}
    if hit.get("mean") is not None:
        meaning = "of the larger moves, those that had the sign of the score"
        rows.append(["direction hit rate", points(hit["mean"]), f"{interval(hit.get('interval'), points)}; {meaning}"])
    if lead.get("mean") is not None:
        text = interval(lead.get("interval"), points)
        lost = f"{number(100 * lead['mean'], 1)} points"
        rows.append(["accuracy less that of the last known label", lost, text])
    rows.append(["what the skill test would take", "", _sentence(str(record.get("to_pass") or "-"))])
    return _read_with("skill", rows)


def _decides(evidence: VersionEvidence) -> str:
    """Say what a term of the series is that decides."""
    if not evidence.by_order:
        return "log probability given to what happened, less that of no skill"
    return (
        f"rank correlation of the scores of the last {evidence.horizon} sessions, averaged, with the neutralised "
        "return of the next session alone"
    )


def figures_table(evidence: VersionEvidence) -> Table | None:
    """Put each figure beside that of no skill on the same rows."""
    if not evidence.metrics:
        return None
    rows = []
    for name in _ordered(evidence.metrics):
        value, usual = evidence.metrics[name], {**NO_SKILL, **evidence.baseline}.get(name)
        pair = [figure(name, side, evidence.unit) for side in (value, usual)]
        lead = "equal" if pair[0] == pair[1] else _lead(evidence, name, value, usual)
        rows.append([measure(name, evidence.unit).label, *pair, lead])
    return Table.of(("figure", "stream", "no skill", "stream is"), rows)


def meanings_table(evidence: VersionEvidence) -> Table | None:
    """Say what each figure means."""
    names = [name for name in _ordered(evidence.metrics) if measure(name, evidence.unit).meaning]
    rows = [[measure(name, evidence.unit).label, measure(name, evidence.unit).meaning] for name in names]
    return Table.of(("figure", "what it means"), rows, title="How to read the figures", prose=True) if rows else None


def _ordered(figures: Mapping[str, Any]) -> list[str]:
    """Return the names in the order of `MEASURES`, others last: the ledger sorts them by letter."""
    known = [name for name in MEASURES if name in figures]
    return [*known, *(name for name in figures if name not in MEASURES)]


def _lead(evidence: VersionEvidence, name: str, value: Any, usual: Any) -> str:
    """Say which side is better; of what has an interval or a bar, only where these tell it from no skill."""
    if not isinstance(value, int | float) or not isinstance(usual, int | float):
        return ""
    if name == "z":
        return "shown to be better" if evidence.record.get("skill_proven") else "not shown to be better"
    if name in ORDER:
        found = evidence.scorecard.get("rank_ic_raw" if name == "rank_ic_raw" else "rank_ic") or {}
        bounds = found.get("interval")
        if not bounds or bounds[0] <= 0 <= bounds[1]:
            return "not told from 0"
    if name == "roc_auc":  # shares that drift may have less than a coin, which is no skill either
        usual = max(usual, 0.5)
    return "better" if (value < usual) == measure(name).low else "worse"


def classes_table(evidence: VersionEvidence) -> Table | None:
    """Say how each class was hit."""
    found = evidence.scorecard.get("per_class") or {}
    rows = [
        [name, points(of["precision"]), points(of["recall"]), points(of["f1_score"]), f"{of['rows']:,}"]
        for name in evidence.classes
        if (of := found.get(name)) is not None
    ]
    columns = ("class", "precision", "recall", "F1", "rows")
    return Table.of(columns, rows, title="Figures of each class") if rows else None


def confusion_table(evidence: VersionEvidence) -> Table | None:
    """Show what was said against what happened, each row as shares of what happened."""
    counts = evidence.scorecard.get("confusion") or []
    if not counts:
        return None
    rows = []
    for name, row in zip(evidence.classes, counts, strict=True):
        total = sum(row) or 1
        cells = [Cell(f"{count:,} ({100 * count / total:.0f} %)", count / total) for count in row]
        rows.append((Cell(f"was {name}"), *cells, Cell(f"{sum(row):,}")))
    columns = ("", *(f"said {name}" for name in evidence.classes), "rows")
    title = "Confusion matrix: rows that were a class, by the likeliest class that was said; percent of the row"
    return Table(columns, tuple(rows), title)


def parts_table(evidence: VersionEvidence) -> Table | None:
    """Put seen and unseen rows side by side, and what is lost between them."""
    parts = evidence.parts
    if not parts:
        return None
    names = _ordered(parts[0]["figures"])
    columns = ["figure"]
    for part in parts:
        columns += [PARTS.get(str(part["part"]), str(part["part"])), "no skill"]
    rows = [["rows", *(text for part in parts for text in (f"{part['rows']:,}", ""))]]
    for name in names:
        row = [measure(name, evidence.unit).label]
        for part in parts:
            row += [figure(name, part[side].get(name), evidence.unit) for side in ("figures", "baseline")]
        rows.append(row)
    return Table.of(columns, rows)


def checks_table(evidence: VersionEvidence) -> Table | None:
    """List every check with value and threshold."""
    if not evidence.checks:
        return None
    rows = [
        [
            str(c["name"]),
            "passed" if c["passed"] else "FAILED",
            number(c["value"], 4),
            number(c["threshold"], 4),
            "hard" if c["hard"] else "counted",
            str(c.get("detail", "")),
        ]
        for c in evidence.checks
    ]
    return Table.of(("check", "result", "value", "threshold", "kind", "detail"), rows, prose=True)


def pair_table(evidence: VersionEvidence) -> Table | None:
    """Show the comparison with the champion that the version would have replaced."""
    pair = evidence.record.get("pair") or {}
    if not pair or not pair.get("n"):
        return None
    bounds = pair.get("interval")
    rows = [
        ["sessions that neither side had seen", f"{pair['n']:,}", ""],
        ["mean difference", number(pair.get("mean"), 4), interval(bounds, _four)],
        ["z", number(pair.get("z")), f"boundary {number(pair.get('boundary'))}, in variance time"],
        ["alpha", points(pair.get("alpha"), 3), "halved by each promotion for being better within the year"],
    ]
    if pair.get("mean_to_pass") is not None:
        gathered = f"after {number(pair.get('first_look'), 0)} sessions; the boundary grows with what came since"
        rows.append(["variance gathered by the first look", points(pair.get("variance_share_first_look")), gathered])
        rows.append(["what being better would take", f"a mean difference of {number(pair['mean_to_pass'], 4)}", ""])
    return _read_with("against the champion", rows)


def interval_table(evidence: VersionEvidence) -> Table | None:
    """Show how often outcomes fell inside the prediction intervals."""
    found = evidence.scorecard.get("prediction_interval") or {}
    if not found:
        return None
    write = points if evidence.unit == "return" else _four
    rows = [
        ["promised", points(found.get("level"), 0), "of the outcomes inside"],
        [
            "coverage",
            points(found.get("coverage")),
            interval(found.get("coverage_interval"), points),
        ],
        ["mean width", write(found.get("mean_width") or 0.0), f"on {found.get('sessions', 0):,} later sessions"],
    ]
    return _read_with("prediction interval", rows)


def trials_table(evidence: VersionEvidence) -> Table | None:
    """Show how many settings were tried, and how much of the best one is luck."""
    if not evidence.trials:
        return None
    rows = []
    for name, text in TRIALS.items():
        value = evidence.trials.get(name)
        if value is not None:
            whole = isinstance(value, int)
            rows.append([text, points(value) if name in SHARES else f"{value:,}" if whole else number(value)])
    return Table.of(("how much is luck", "value"), rows) if rows else None


def _read_with(name: str, rows: Sequence[Sequence[str]]) -> Table:
    """Return a table of two columns: names, and values with what they are to be read with."""
    joined = [[first, "; ".join(text for text in rest if text)] for first, *rest in rows]
    return Table.of((name, "value"), joined, prose=True)


def _four(value: float) -> str:
    return number(value, 4)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


def texts(warnings: Sequence[str]) -> tuple[Text, ...]:
    """Return warnings as paragraphs."""
    return tuple(Text(f"{warning[:1].upper()}{warning[1:]}", "warning") for warning in warnings)


def present(*blocks: Any) -> tuple[Any, ...]:
    """Leave out what there is nothing of."""
    return tuple(block for block in blocks if block is not None)
