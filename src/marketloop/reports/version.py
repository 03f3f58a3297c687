"""The report on one version: the verdict first, then all the evidence, for somebody who has money at stake."""

from __future__ import annotations

from marketloop.reports import version_figures as figures
from marketloop.reports import version_tables as tables
from marketloop.reports.evidence import VersionEvidence, number
from marketloop.reports.page import Block, Page, Section, Text, render

__all__ = ["version_report"]

SEEN = (
    "The same rows twice: as the finished model says them, which has learned from them, and as its recipe said them "
    "before. What is lost between the two is what the model remembers and does not understand."
)
HOLDOUT = "The oldest 80 % of the sessions, the next 10 % and the newest 10 %, purged at both edges."
NO_PATH = "There is no chart of the decision: too few sessions are known for a z, so nothing can be decided by it."
DECIDE_NOTHING = (
    "None of these figures decides. A classifier that foresees how far prices move, and not which way, has a better "
    "log loss, Brier score, ROC-AUC and MCC than the shares of the classes; whoever names rarer classes at random has "
    "a better precision and F1. Better figures here are no sign of skill in direction: z beyond its boundary is."
)
UNLUCKY = (
    "Whoever tries many settings finds a good one by luck. These figures say how much of it that may be; both are "
    "noisy, are recorded, and decide nothing."
)


def version_report(evidence: VersionEvidence) -> str:
    """Return the report as one HTML document that needs no network."""
    sections = (
        Section("", (*tables.verdict_texts(evidence), tables.cards(evidence))),
        Section("What was examined", tables.present(tables.facts_table(evidence))),
        Section("Is there skill?", _skill(evidence)),
        Section("Figures beside no skill", _figures(evidence)),
        Section("Regimes", figures.regime_figure(evidence)),
        Section("Does it remember or understand?", _parts(evidence)),
        Section("What it leans on", figures.importance_figures(evidence)),
        Section("How much is luck?", _trials(evidence)),
        Section("Every check", tables.present(tables.checks_table(evidence))),
        Section("Warnings", tables.texts(evidence.warnings)),
    )
    page = Page(
        kind="Examination of a version",
        title=f"{evidence.family} version {evidence.version}: {evidence.verdict or 'not examined'}",
        subtitle=f"{evidence.description}; configuration {evidence.config_key}",
        sections=tuple(section for section in sections if section.blocks),
        footer="Figures are out of sample unless they say otherwise: each session was scored by a model that knew only "
        "outcomes known before. No skill is what the shares of the classes, or the usual value, would have said on the "
        "same rows. Skill in rank is not profit: costs, capacity and borrowing are not in it. Past sessions are no "
        "promise.",
    )
    return render(page)


def _skill(evidence: VersionEvidence) -> tuple[Block, ...]:
    drawn = tables.present(
        figures.decision_figure(evidence), figures.cumulative_figure(evidence), figures.rolling_figure(evidence)
    )
    found: tuple[Block, ...] = (
        *(() if not drawn or drawn[0].name == "decision" else (Text(NO_PATH, "note"),)),
        *drawn,
        *tables.present(
            tables.skill_table(evidence),
            tables.pair_table(evidence),
            tables.nominees_table(evidence),
            tables.inner_table(evidence),
        ),
    )
    if found or evidence.scorecard.get("holdout"):
        return found
    return (Text("There is no walk-forward stream of this version, so nothing is known of its skill.", "note"),)


def _figures(evidence: VersionEvidence) -> tuple[Block, ...]:
    table = tables.figures_table(evidence)
    note = Text(DECIDE_NOTHING, "note") if table is not None and evidence.classes and evidence.by_order else None
    return tables.present(
        note,
        table,
        tables.classes_table(evidence),
        tables.confusion_table(evidence),
        figures.reliability_figure(evidence),
        *figures.stability_figures(evidence),
        tables.interval_table(evidence),
        tables.meanings_table(evidence),
    )


def _parts(evidence: VersionEvidence) -> tuple[Block, ...]:
    table = tables.parts_table(evidence)
    if table is None:
        return ()
    told = HOLDOUT if evidence.scorecard.get("holdout") else SEEN
    grade = next((g for g in evidence.grades if g["name"] == "overfit"), None)
    lost = () if grade is None else (Text(_lost(evidence, float(grade["value"]), str(grade["grade"]))),)
    return (Text(told, "note"), *lost, table)


def _lost(evidence: VersionEvidence, gap: float, word: str) -> str:
    if "accuracy" in evidence.parts[0]["figures"]:
        text = f"From the first column to the last {number(100 * gap, 1)} points of accuracy are lost"
    else:
        text = f"From the first column to the last the error grows by {number(100 * gap, 1)} %"
    return f"{text}: {word} (above 15 is poor)."


def _trials(evidence: VersionEvidence) -> tuple[Block, ...]:
    table = tables.trials_table(evidence)
    return () if table is None else (Text(UNLUCKY, "note"), table)
