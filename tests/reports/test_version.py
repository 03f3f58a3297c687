"""The report on a version: the verdict first, every kind of family, nothing that a reader's browser would run."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from marketloop.core.values import Sessions
from marketloop.evaluation.rank_ic import SessionSeries
from marketloop.evaluation.timeline import Regimes, Timeline, Window
from marketloop.reports.evidence import Nominee, VersionEvidence, figure, interval, points
from marketloop.reports.version import version_report
from marketloop.reports.version_tables import figures_table

CLASSES = ("SELL", "HOLD", "BUY")
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>"
YEAR = {"start": 220, "n0": 250, "alpha": 0.025, "k": 0, "z_star": 2.46}


class Reader(HTMLParser):
    """What a browser would see: text, tags, and addresses that it would ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.figures = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = "figures" if ("id", "figures") in attrs else tag
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self._inside == "figures":
            self.figures += data
        elif self._inside not in {"script", "style"}:
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._inside = ""

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    @property
    def names(self) -> list[str]:
        return [found["name"] for found in json.loads(self.figures)] if self.figures else []


def read(evidence: VersionEvidence) -> Reader:
    reader = Reader()
    # The plotting library is megabytes that hold no word of ours.
    reader.feed(re.sub(r"<script>/\*\*.*?</script>", "<script></script>", version_report(evidence), flags=re.DOTALL))
    return reader


def sessions() -> Sessions:
    return Sessions("EVERYDAY", np.datetime64("2015-01-01") + np.arange(400), first=0)


def course(*, accuracy: float = 0.5) -> Timeline:
    rng = np.random.default_rng(0)
    numbers = np.arange(20, 300, dtype=np.int32)
    x = SessionSeries(numbers, rng.normal(0.02, 0.2, len(numbers)))
    windows = tuple(Window(first, first + 62, 630, accuracy, 0.47, 0.02) for first in (21, 84, 147, 210))
    return Timeline(x, SessionSeries(numbers, rng.normal(0.04, 0.2, len(numbers))), windows, None)


def classifier(**changes: Any) -> VersionEvidence:
    """A provisional classifier with everything that an examination gives."""
    figures = {"accuracy": 0.512, "roc_auc": 0.53, "log_loss": 1.02, "rank_ic": 0.021, "z": 1.4}
    evidence = VersionEvidence(
        family="price_predictor",
        description="which way the price moves",
        config_key="rsi10_vol20_support20",
        version=7,
        verdict="provisional",
        reason_code="first",
        reason="no skill shown yet (z 1.40 over 280 sessions; needs 2.46 over at least 250)",
        recommendation="serve it as provisional, with signals HOLD",
        facts={"data version": "3", "learned from": "12,000 rows of 40 tickers"},
        nominees=(Nominee(dt.date(2015, 1, 21), dt.date(2015, 10, 27), 14, "rank_ridge(penalty=1.5)"),),
        inner={"rank_ridge": 0.021, "xgboost": 0.004},
        metrics=figures,
        baseline={"accuracy": 0.48, "roc_auc": 0.5, "log_loss": 1.05},
        scorecard={
            "skill": {"z": 1.4, "terms": 280, "mean_ic1": 0.017},
            "rank_ic": {"mean": 0.021, "interval": [-0.004, 0.046], "t": 1.7, "p_value": 0.05, "icir": 0.1},
            "rank_ic_raw": {"mean": 0.019, "interval": None, "t": None, "p_value": None},
            "direction_hit_rate": {"mean": 0.513, "interval": [0.49, 0.53]},
            "per_class": {name: {"precision": 0.4, "recall": 0.3, "f1_score": 0.34, "rows": 310} for name in CLASSES},
            "confusion": [[120, 30, 10], [25, 180, 15], [10, 35, 105]],
            "calibration": {"score": 0.97, "curve": [[0.45, 0.44, 300], [0.62, 0.6, 90]]},
            "sessions": 285,
        },
        record={
            "year": YEAR,
            "skill_proven": False,
            "to_pass": "a mean ic1 of 0.0290 over 280 sessions",
            "z_by": "sum",
        },
        classes=CLASSES,
        checks=[
            {"name": "leak", "value": 0.0, "threshold": 0.0, "passed": True, "hard": True, "detail": "75 features"},
            {"name": "skill", "value": 1.4, "threshold": 2.46, "passed": False, "hard": False, "detail": "z 1.40"},
        ],
        grades=[
            {"name": "calibration", "value": 0.97, "threshold": 0.85, "grade": "good"},
            {"name": "overfit", "value": 0.18, "threshold": 0.15, "grade": "poor"},
        ],
        parts=[
            {"part": "seen", "rows": 900, "figures": {"accuracy": 0.69}, "baseline": {"accuracy": 0.48}},
            {"part": "unseen", "rows": 900, "figures": {"accuracy": 0.51}, "baseline": {"accuracy": 0.48}},
        ],
        importance=[
            {"name": "rsi", "share": 0.4, "contribution": 0.35, "permutation": -0.002},
            {"name": "mom", "share": 0.1, "contribution": None, "permutation": 0.004},
        ],
        trials={"trials": 53, "deflated_sharpe": 0.62, "pbo": 0.41, "sharpe_annual": 0.8, "of": "stream"},
        warnings=("survivorship: the universe is today's list",),
        timeline=course(),
        sessions=sessions(),
    )
    return replace(evidence, **changes)


def regressor() -> VersionEvidence:
    card = {**classifier().scorecard, "per_class": {}, "confusion": [], "calibration": None}
    card["prediction_interval"] = {"level": 0.9, "coverage": 0.904, "coverage_interval": None, "mean_width": 0.1265}
    return classifier(
        family="price_regressor",
        classes=(),
        unit="return",
        metrics={"rmse": 0.0384, "mae": 0.0283, "r2": 0.0011, "rank_ic": 0.05},
        baseline={"rmse": 0.0391, "mae": 0.0285, "r2": -0.0019},
        scorecard=card,
        grades=[{"name": "overfit", "value": 0.27, "threshold": 0.15, "grade": "poor"}],
        parts=[
            {"part": "seen", "rows": 900, "figures": {"rmse": 0.030}, "baseline": {"rmse": 0.039}},
            {"part": "unseen", "rows": 900, "figures": {"rmse": 0.038}, "baseline": {"rmse": 0.039}},
        ],
        timeline=course(accuracy=np.nan),
    )


def regime() -> VersionEvidence:
    numbers = np.arange(20, 300, dtype=np.int32)
    shares = np.tile([0.2, 0.3, 0.5], (280, 1))
    label = np.where(numbers < 280, numbers // 40 % 3, -1).astype(np.intp)
    gain = SessionSeries(numbers[:260], np.random.default_rng(1).normal(0, 0.3, 260))
    return classifier(
        family="regime_classifier",
        classes=("Risk-Off", "Neutral", "Risk-On"),
        statistic="log_loss",
        overlap=20,
        horizon=20,
        scorecard={"skill": {"z": -0.3, "terms": 260, "mean_ic1": -0.01}, "lead_on_last_known_label": {"mean": -0.02}},
        timeline=Timeline(gain, None, course().windows, Regimes(numbers, shares, shares[:, ::-1], label)),
    )


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({}, "Provisional: no skill is shown"),
        ({"verdict": "refused", "reason_code": "no_skill"}, "Refused: this version does not serve"),
        ({"verdict": "promoted", "reason_code": "first", "record": {"skill_proven": True}}, "Promoted: its recipe has"),
        ({"verdict": "promoted", "reason_code": "forced"}, "Promoted by force"),
        ({"verdict": None, "reason_code": None, "record": {}, "checks": ()}, "Not examined"),
    ],
)
def test_report_begins_with_the_verdict_why_and_what_to_do(changes: dict[str, Any], first: str) -> None:
    text = read(classifier(**changes)).text
    places = [
        text.index(part) for part in (first, "Why: no skill shown yet", "What to do: serve it", "What was examined")
    ]
    assert places == sorted(places)


def test_report_of_a_classifier_has_all_its_evidence() -> None:
    page = read(classifier())
    assert page.names == [
        *("decision", "cumulative", "rolling", "reliability", "stability", "stability-ic"),
        *("importance-share", "importance-contribution", "importance-permutation"),
    ]
    for words in (
        *("z* 2.46", "250", "95 % interval \u22120.0040 to 0.0460", "51.2 %", "48.0 %", "1.0200 nats", "1.0500 nats"),
        *("was SELL", "said BUY", "120 (75 %)", "18.0 points of accuracy are lost", "a mean ic1 of 0.0290"),
        *("FAILED", "53", "62.0 %", "41.0 %", "Survivorship", "rank_ridge(penalty=1.5) (blocks: 14)"),
    ):
        assert words in page.text + page.figures, words


def test_decision_chart_shows_the_bar_and_where_the_year_begins() -> None:
    (chart, *_) = json.loads(read(classifier()).figures)
    by_name = {trace["name"]: trace for trace in chart["data"]}
    assert by_name["z* 2.46 of this year"]["x"][0] == "2015-08-09"  # session 220
    assert by_name["z* 2.46 of this year"]["y"] == [2.46, 2.46]
    x = course().x.value
    assert by_name["z of the stream"]["y"][-1] == pytest.approx(x.sum() / np.sqrt((x**2).sum()))
    assert chart["layout"]["shapes"][0]["x0"] == "2015-08-09"


def test_report_of_a_regressor_speaks_of_errors_in_percent_and_of_coverage() -> None:
    page = read(regressor())
    for words in (
        "3.84 %",
        "3.91 %",
        "90.4 %",
        "too few sessions for an interval",
        "12.7 %",
        "the error grows by 27.0 %: poor",
    ):
        assert words in page.text, words
    assert "reliability" not in page.names
    assert "stability-ic" in page.names
    assert "accuracy" not in page.text.split("What it leans on")[0].split("Figures beside no skill")[1]


def row_of(evidence: VersionEvidence, name: str) -> list[str]:
    table = figures_table(evidence)
    assert table is not None
    return next([cell.text for cell in row] for row in table.rows if row[0].text == name)


def test_rank_ic_whose_interval_includes_zero_is_not_called_better() -> None:
    assert row_of(classifier(), "rank IC")[-1] == "not told from 0"
    assert row_of(classifier(), "z")[-1] == "not shown to be better"
    card = {**classifier().scorecard, "rank_ic": {"mean": 0.03, "interval": [0.01, 0.05]}}
    shown = classifier(scorecard=card, record={"skill_proven": True})
    assert row_of(shown, "rank IC")[-1] == "better"
    assert row_of(shown, "z")[-1] == "shown to be better"


def test_area_below_that_of_a_coin_is_worse_also_where_drifting_shares_have_even_less() -> None:
    evidence = classifier(metrics={"roc_auc": 0.476}, baseline={"roc_auc": 0.453})
    assert row_of(evidence, "ROC-AUC")[-1] == "worse"


def test_report_of_a_classifier_says_that_a_better_figure_is_no_skill_in_direction() -> None:
    assert "no sign of skill in direction" in read(classifier()).text
    assert "no sign of skill in direction" not in read(regressor()).text


def test_sessions_with_too_few_tickers_are_counted_where_the_test_is_read() -> None:
    assert "do not count" not in read(classifier()).text
    record = {**classifier().record, "sessions_dropped": 1427}
    assert "1,427 more had fewer than 10 tickers in common and do not count" in read(classifier(record=record)).text


def test_comparison_with_the_champion_shows_its_variance_and_what_it_would_take() -> None:
    pair = {"n": 58, "mean": 0.002, "interval": [-0.01, 0.014], "z": 0.4, "boundary": 3.11, "alpha": 0.0125}
    pair |= {"variance_share_first_look": 0.31, "first_look": 40, "mean_to_pass": 0.0152}
    text = read(classifier(record={**classifier().record, "pair": pair})).text
    for words in ("31.0 %", "after 40 sessions", "a mean difference of 0.0152"):
        assert words in text, words


def test_report_of_a_regime_shows_probabilities_what_came_and_persistence() -> None:
    page = read(regime())
    assert {"regimes", "persistence", "decision"} <= set(page.names)
    charts = {chart["name"]: chart for chart in json.loads(page.figures)}
    said = [trace["name"] for trace in charts["regimes"]["data"]]
    assert said == [*regime().classes, *(f"{name}, realised" for name in regime().classes)]
    realised = [len(trace["x"]) for trace in charts["regimes"]["data"][3:]]
    assert sum(realised) == 260  # the newest twenty outcomes are not known yet
    assert "\u22122.0 points" in page.text


def test_report_of_a_version_that_was_only_trained_shows_its_holdout() -> None:
    parts = [
        {"part": part, "rows": 100, "figures": {"accuracy": 0.5}, "baseline": {"accuracy": 0.4}}
        for part in ("train", "validation", "test")
    ]
    page = read(
        classifier(
            verdict=None, record={}, scorecard={"holdout": {"figures": {}}}, parts=parts, timeline=None, nominees=(),
            inner={}, trials=None, checks=(), grades=(),
        )
    )  # fmt: skip
    for words in ("train", "validation", "test", "purged at both edges"):
        assert words in page.text
    assert "decision" not in page.names


def test_nothing_is_asked_of_any_host_and_no_script_but_the_pages_own_runs() -> None:
    page = read(classifier())
    addresses = [value for _, given in page.tags for key, value in given.items() if key in {"src", "href"}]
    assert addresses == []
    policies = [given["content"] for tag, given in page.tags if tag == "meta" and "http-equiv" in given]
    assert policies
    assert "default-src 'none'" in str(policies[0])


def test_words_of_people_and_data_are_shown_and_never_run() -> None:
    evidence = classifier(
        family=HOSTILE,
        reason=HOSTILE,
        recommendation=HOSTILE,
        facts={HOSTILE: HOSTILE},
        warnings=(HOSTILE,),
        classes=(HOSTILE, "HOLD", "BUY"),
        checks=[{"name": HOSTILE, "value": 1.0, "threshold": 1.0, "passed": True, "hard": True, "detail": HOSTILE}],
        importance=[{"name": HOSTILE, "share": 0.4, "contribution": 0.1, "permutation": 0.1}],
        nominees=(Nominee(dt.date(2015, 1, 1), dt.date(2015, 2, 1), 1, HOSTILE),),
        inner={HOSTILE: 0.1},
        harm={"reason": HOSTILE},
    )
    page, plain = read(evidence), read(classifier())
    assert [tag for tag, _ in page.tags].count("script") == [tag for tag, _ in plain.tags].count("script")
    assert "img" not in {tag for tag, _ in page.tags}
    assert not any(key.startswith("on") for _, given in page.tags for key in given)
    assert page.text.count("alert('x')") >= 9
    assert "<" not in page.figures  # neither a tag for the browser nor one for the plotting library
    (bars,) = (c for c in json.loads(page.figures) if c["name"] == "importance-share")
    assert bars["data"][0]["y"][0].startswith("&lt;script&gt;")


def test_every_figure_says_how_to_read_it_and_has_a_name_of_its_own() -> None:
    for evidence in (classifier(), regressor(), regime()):
        page = read(evidence)
        plots = [given for tag, given in page.tags if tag == "div" and given.get("role") == "img"]
        assert [plot["id"] for plot in plots] == page.names
        assert len(set(page.names)) == len(page.names)
        assert all(len(str(plot["aria-label"])) > 60 for plot in plots)


@pytest.mark.parametrize(
    ("name", "value", "unit", "text"),
    [
        ("accuracy", 0.4321, "", "43.2 %"),
        ("log_loss", 1.05, "", "1.0500 nats"),
        ("rmse", 0.0384, "return", "3.84 %"),
        ("rmse", 0.2887, "rank", "0.2887"),
        ("own_figure", 0.5, "", "0.5000"),
        ("accuracy", None, "", "-"),
        ("accuracy", float("nan"), "", "-"),
    ],
)
def test_figures_are_written_with_their_unit(name: str, value: float | None, unit: str, text: str) -> None:
    assert figure(name, value, unit) == text


def test_interval_says_when_there_are_too_few_sessions() -> None:
    assert interval(None, points) == "too few sessions for an interval"
    assert interval([0.01, 0.02], points) == "95 % interval 1.0 % to 2.0 %"
