"""train, retrain, validate, models, champion, predict and status on one small simulated project."""

from __future__ import annotations

import io
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Ask

from marketloop.cli import main
from marketloop.cli.render import Screen
from marketloop.cli.train import show_trained

pytestmark = pytest.mark.xdist_group("commands")

FAST = ("--algorithm", "ridge", "--feature-set", "basic")
FIGURES = {"accuracy", "precision", "recall", "f1_score", "roc_auc", "log_loss", "brier", "mcc"}


@pytest.fixture
def copy(project: Path, tmp_path: Path) -> Path:
    """Return a copy of the shared project, to change."""
    return Path(shutil.copytree(project, tmp_path / "copy"))


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [n for inner in value.values() for n in numbers(inner)]
    if isinstance(value, list):
        return [n for inner in value for n in numbers(inner)]
    return [value] if isinstance(value, float) else []


def test_retrain_document_has_the_promised_keys(copy: Path, ask: Ask) -> None:
    flags = ("--force", "--reason", "a test")
    done = ask("--project", copy, "retrain", "price_predictor", *FAST, *flags)
    assert tuple(done) == ("cycle_id", "outcome", "duration_s", "families")
    (family,) = done["families"]
    assert tuple(family)[:11] == (
        *("family", "version", "verdict", "reason_code", "reason", "rows", "tickers"),
        *("metrics", "baseline", "checks", "error"),
    )
    for check in family["checks"]:
        assert tuple(check) == ("name", "value", "threshold", "passed", "hard", "detail")
    assert all(math.isfinite(n) for n in numbers(done))
    assert (done["outcome"], family["verdict"], family["reason_code"]) == ("promoted", "promoted", "forced")
    assert family["version"] == 2
    (champion,) = ask("--project", copy, "champion")["champions"]
    assert (champion["version"], champion["status"], champion["skill_proven"]) == (2, "provisional", False)


def test_retrain_is_skipped_when_nothing_new_is_known(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(copy), "retrain", "price_predictor", *FAST]) == 0
    said = capsys.readouterr().out
    assert "price_predictor: skipped" in said
    assert "0 labels have become known since the last training" in said


def test_retrain_with_force_demands_a_reason(project: Path, ask: Ask) -> None:
    assert '--force needs --reason "why"' in ask("--project", project, "retrain", "--force", code=2)["error"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("price_predicto",), 'Did you mean "price_predictor"?'),
        (("--feature-set", "extendet"), 'Did you mean "extended"?'),
        (("--algorithm", "xgbost"), 'Did you mean "xgboost"?'),
        (("--algorithm", "ridge", "--set", "penalti=3"), 'Did you mean "penalty"?'),
        (("--algorithm", "ridge", "--set", "penalty=much"), "expected a value of type float"),
        (
            ("--algorithm", "ridge", "--set", "penalty=-1"),
            "penalty = -1.0 for the recipe rank_ridge: expected 1e-06 to",
        ),
        (("--algorithm", "xgboost", "--set", "max_depth=99"), "expected 1 to 16"),
        (("--algorithm", "ridge", "--set", "calibrate=isotonik"), 'Did you mean "isotonic"?'),
        (("--set", "max_depth=3"), "name one with --algorithm"),
        (("--threshold", "2"), "expected a fraction between 0 and 1"),
        (("--target-days", "0"), "--target-days"),
        (("--source", "smaple"), 'Did you mean "sample"?'),
    ],
)
@pytest.mark.parametrize("command", ["retrain", "train"])
def test_wrong_names_are_wrong_use_and_change_nothing(
    command: str, flags: tuple[str, ...], words: str, project: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    family = () if not flags[0].startswith("--") else ("price_predictor",)
    assert main(["--project", str(project), command, *family, *flags]) == 2
    assert words in capsys.readouterr().err
    assert len(ask("--project", project, "models")["models"]) == 1


def test_train_keeps_a_candidate_and_promotes_nothing(copy: Path, ask: Ask) -> None:
    flags = ("--set", "penalty=3", "--threshold", "0.03", "--target-days", "10", "--sample-size", "0.5")
    made = ask("--project", copy, "train", "price_predictor", *FAST, *flags)
    assert (made["family"], made["version"], made["recipe"]) == ("price_predictor", 2, "rank_ridge")
    assert made["params"]["penalty"] == 3
    assert made["nominee"] == made["figures_of"] == "rank_ridge(penalty=3.0)"
    assert set(made["figures"]) == set(made["baseline"]) == {"train", "validation", "test"}
    assert set(made["figures"]["test"]) == set(made["baseline"]["test"]) == FIGURES | {"rank_ic"}
    assert sum(made["class_shares"].values()) == pytest.approx(1)
    assert sum(made["regime_sessions"].values()) > 100
    assert len(made["features"]) == 20
    assert Path(made["path"], "manifest.json").is_file()
    (champion,) = ask("--project", copy, "champion")["champions"]
    assert champion["version"] == 1
    statuses = {model["version"]: model["status"] for model in ask("--project", copy, "models")["models"]}
    assert statuses == {1: "provisional", 2: "candidate"}
    found = ask("--project", copy, "validate", "--version", 2)
    assert (found["verdict"], found["checks"]) == (None, [])
    assert [grade["name"] for grade in found["grades"]] == ["overfit"]
    assert "retrain price_predictor" in found["recommendation"]


def test_train_says_whose_figures_it_shows_and_why_the_best_mean_was_not_nominated() -> None:
    figures = {part: {"accuracy": 0.5, "rank_ic": 0.01} for part in ("train", "validation", "test")}
    document = {
        "family": "price_predictor",
        "version": 2,
        "tickers": 12,
        "sessions": 400,
        "rows": 4000,
        "features": ["rsi"],
        "data_version": "0",
        "figures": figures,
        "baseline": figures,
        "part_rows": dict.fromkeys(figures, 100),
        "nominee": "rank_ridge",
        "figures_of": "xgboost",
        "inner_rank_ic": {"rank_ridge": 0.01, "xgboost": 0.02},
        "class_shares": {},
        "regime_sessions": {},
        "warnings": [],
        "path": "v2",
    }
    stream = io.StringIO()
    show_trained(Screen(stream), document)
    said = " ".join(stream.getvalue().split())
    assert "these figures are of xgboost, which was nominated before the validation part began" in said
    assert "nominated: rank_ridge" in said
    assert "xgboost has the best mean, but its lead over the family's first recipe is within one standard error" in said
    stream.truncate(0)
    show_trained(Screen(stream), {**document, "figures_of": "rank_ridge", "inner_rank_ic": {}})
    assert "these figures are of" not in stream.getvalue()
    assert "recipe: rank_ridge (one was asked for, or the history is too short" in stream.getvalue()


def test_train_warns_when_one_class_holds_nearly_all_rows(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(copy), "train", "price_predictor", *FAST, "--threshold", "0.12"]) == 0
    said = capsys.readouterr().out
    assert "warning: one class holds 9" in said
    assert "promoted nothing; next: marketloop retrain price_predictor" in said


def test_train_says_what_to_do_when_the_classes_are_one(copy: Path, ask: Ask) -> None:
    said = ask("--project", copy, "train", "price_predictor", *FAST, "--threshold", "0.95", code=2)
    assert "choose a smaller threshold" in said["error"]


def test_validate_shows_checks_features_and_a_recommendation(
    project: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    found = ask("--project", project, "validate", "price_predictor")
    assert (found["version"], found["verdict"], found["reason_code"]) == (1, "provisional", "first")
    names = [check["name"] for check in found["checks"]]
    assert {"schema", "leak", "round_trip", "smoke", "plausibility", "skill"} <= set(names)
    assert len(found["features"]) == 5
    shares = [feature["share"] for feature in found["features"]]
    assert shares == sorted(shares, reverse=True)
    assert found["recommendation"].startswith("serve it as provisional")
    assert main(["--project", str(project), "validate"]) == 0
    assert "recommendation: serve it as provisional" in capsys.readouterr().out


def test_validate_names_the_versions_that_exist(project: Path, ask: Ask) -> None:
    assert "known are 1" in ask("--project", project, "validate", "--version", "9", code=2)["error"]


def test_models_and_champion_have_the_promised_keys(project: Path, ask: Ask) -> None:
    (model,) = ask("--project", project, "models", "price_predictor")["models"]
    assert tuple(model) == (
        *("family", "config_key", "version", "verdict", "status", "metrics", "baseline", "trained_at"),
    )
    (champion,) = ask("--project", project, "champion", "price_predictor")["champions"]
    assert tuple(champion) == (
        *("family", "config_key", "version", "status", "pinned", "skill_proven", "promoted_at", "trained_at"),
        *("data_version", "sha256"),
    )
    assert (champion["version"], champion["status"]) == (1, "provisional")


def test_champion_at_an_earlier_day_is_who_served_then(project: Path, ask: Ask) -> None:
    assert ask("--project", project, "champion", "--at", "2001-01-01") == {"champions": []}
    assert len(ask("--project", project, "champion", "--at", "2999-01-01")["champions"]) == 1
    assert "YYYY-MM-DD" in ask("--project", project, "champion", "--at", "yesterday", code=2)["error"]


def test_models_sort_by_a_figure_best_first(copy: Path, ask: Ask) -> None:
    for penalty in ("1", "50"):
        ask("--project", copy, "train", "price_predictor", *FAST, "--set", f"penalty={penalty}")
    ranked = ask("--project", copy, "models", "--sort", "log_loss")["models"]
    losses = [model["metrics"]["log_loss"] for model in ranked if "log_loss" in model["metrics"]]
    assert losses == sorted(losses)
    assert [m["version"] for m in ask("--project", copy, "models", "--sort", "version")["models"]] == [3, 2, 1]
    (best,) = ask("--project", copy, "models", "--best", "--sort", "log_loss")["models"]
    assert best["metrics"]["log_loss"] == losses[0]
    assert 'unknown figure "f1"' in ask("--project", copy, "models", "--sort", "f1", code=2)["error"]


def test_predict_answers_with_the_promised_keys(project: Path, ask: Ask) -> None:
    said = ask("--project", project, "predict", "SYN002", "SYN001")
    assert tuple(said) == ("as_of", "predictions")
    assert [p["ticker"] for p in said["predictions"]] == ["SYN002", "SYN001"]
    for prediction in said["predictions"]:
        assert {
            *("ticker", "family", "model_version", "config_key", "fallback", "probability", "class", "signal"),
            *("classes", "provisional", "abstained", "stale"),
        } <= set(prediction)
        assert sum(prediction["classes"].values()) == pytest.approx(1, abs=1e-5)
        assert prediction["probability"] == max(prediction["classes"].values())
        assert (prediction["signal"], prediction["provisional"], prediction["stale"]) == ("HOLD", True, True)
    assert len(ask("--project", project, "predict")["predictions"]) == 12


def test_predict_falls_back_to_the_configuration_that_has_a_champion(project: Path, ask: Ask) -> None:
    (answer,) = ask("--project", project, "predict", "SYN001", "--rsi-period", "14")["predictions"]
    assert (answer["fallback"], answer["config_key"]) == (True, "rsi10_vol20_support20")


def test_predict_names_the_nearest_ticker(project: Path, ask: Ask) -> None:
    assert 'Did you mean "SYN001"?' in ask("--project", project, "predict", "SYN0001", code=2)["error"]


def test_predict_without_champion_names_the_command(ask: Ask) -> None:
    main(["init", "fresh"])
    assert "run `marketloop retrain price_predictor`" in ask("--project", "fresh", "predict", code=2)["error"]


def test_status_shows_the_project_and_why_not(project: Path, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    said = ask("--project", project, "status")
    assert {
        *("running", "current_metrics", "next_retraining", "scheduled_jobs", "model_path", "backup_path", "families"),
    } <= set(said)
    assert [row["family"] for row in said["families"]] == ["price_predictor", "momentum_ranker", "regime_classifier"]
    family = said["families"][0]
    assert {
        *("family", "champion", "candidate_age_h", "champion_age_h", "next_run", "can_retrain_now", "why_not"),
    } <= set(family)
    # The recipe of the settings has not been trained yet: the champion was made by another.
    assert (said["running"], family["champion"], family["can_retrain_now"]) == (False, 1, True)
    assert "no loop is running" in family["why_no_run"]
    regimes = said["families"][2]
    assert regimes["can_retrain_now"] is (regimes["why_not"] is None)
    main(["init", "fresh"])
    assert "marketloop collect" in ask("--project", "fresh", "status")["families"][0]["why_not"]
    assert main(["--project", str(project), "status"]) == 0
    assert "price_predictor" in capsys.readouterr().out
