"""Figures of a classifier, against SPEC's table and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk
from tests.evaluation.builders import Array

from marketloop.core.errors import UsageError
from marketloop.evaluation.metrics import calibration, classifier_metrics, from_confusion

CLASSES = ("SELL", "HOLD", "BUY")
Codes = np.ndarray[tuple[int], np.dtype[np.int64]]


def drawn(seed: int, rows: int = 400) -> tuple[Codes, Array]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([2.0, 3.0, 2.0], rows)
    truth = np.array([rng.choice(3, p=0.5 * p + 0.5 / 3) for p in probabilities])
    return truth, probabilities


def test_confusion_matrix_of_the_specification_has_its_figures() -> None:
    # Rows are the true classes, in the order BUY, HOLD, SELL; columns what was said.
    figures = from_confusion(np.array([[120, 30, 10], [25, 180, 15], [10, 35, 105]]), ("BUY", "HOLD", "SELL"))
    assert round(figures.accuracy, 3) == 0.764
    assert round(figures.per_class["SELL"]["recall"], 3) == 0.700
    assert round(figures.per_class["SELL"]["precision"], 3) == 0.808
    assert round(figures.per_class["BUY"]["precision"], 3) == 0.774
    assert figures.per_class["BUY"]["rows"] == 160
    assert figures.rows == 530


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_metrics_equal_those_of_scikit_learn(seed: int) -> None:
    truth, probabilities = drawn(seed)
    said = probabilities.argmax(axis=1)
    own = classifier_metrics(truth, probabilities, CLASSES)
    expected = {
        "accuracy": sk.accuracy_score(truth, said),
        "precision": sk.precision_score(truth, said, average="weighted"),
        "recall": sk.recall_score(truth, said, average="weighted"),
        "f1_score": sk.f1_score(truth, said, average="weighted"),
        "mcc": sk.matthews_corrcoef(truth, said),
        "log_loss": sk.log_loss(truth, probabilities),
        "roc_auc": sk.roc_auc_score(truth, probabilities, multi_class="ovr", average="weighted"),
        "brier": float(((probabilities - np.eye(3)[truth]) ** 2).sum(axis=1).mean()),
    }
    assert own.figures() == pytest.approx(expected)
    assert own.confusion == sk.confusion_matrix(truth, said).tolist()
    for code, name in enumerate(CLASSES):
        precision, recall, f1, rows = (v[code] for v in sk.precision_recall_fscore_support(truth, said))
        assert own.per_class[name] == pytest.approx(
            {"precision": precision, "recall": recall, "f1_score": f1, "rows": rows}
        )


def test_brier_score_is_half_of_it_twice_for_two_classes() -> None:
    truth = np.array([0, 1, 1, 0])
    p = np.array([0.2, 0.9, 0.4, 0.3])
    own = classifier_metrics(truth, np.column_stack([1 - p, p]), ("down", "up"))
    assert own.brier == pytest.approx(2 * sk.brier_score_loss(truth, p))


def test_no_skill_probabilities_have_no_auc_and_no_correlation() -> None:
    truth, _ = drawn(0)
    own = classifier_metrics(truth, np.tile([0.2, 0.5, 0.3], (len(truth), 1)), CLASSES)
    assert own.roc_auc == pytest.approx(0.5)
    assert own.mcc == 0.0
    assert own.accuracy == pytest.approx((truth == 1).mean())


def test_metrics_live_with_classes_that_never_occur() -> None:
    truth = np.ones(20, np.int64)
    own = classifier_metrics(truth, np.tile([0.1, 0.8, 0.1], (20, 1)), CLASSES)
    assert own.accuracy == 1.0
    assert own.mcc == 0.0
    assert math.isnan(own.roc_auc)
    assert own.per_class["BUY"] == {"precision": 0.0, "recall": 0.0, "f1_score": 0.0, "rows": 0}


def test_certain_and_wrong_costs_a_finite_log_loss() -> None:
    own = classifier_metrics(np.array([0, 2]), np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), CLASSES)
    assert math.isfinite(own.log_loss)
    assert own.log_loss > 15


def test_metrics_of_no_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="no rows to examine"):
        classifier_metrics(np.zeros(0, np.int64), np.zeros((0, 3)), CLASSES)


def test_calibration_error_by_hand() -> None:
    # Ten times 0.65 said, seven right: off by 0.05. Ten times 0.95 said, eight right: off by 0.15.
    top = np.repeat([0.65, 0.95], 10)
    probabilities = np.column_stack([top, 1 - top])
    truth = np.array([0] * 7 + [1] * 3 + [0] * 8 + [1] * 2)
    found = calibration(truth, probabilities)
    assert found.ece == pytest.approx(0.5 * 0.05 + 0.5 * 0.15)
    assert found.score == pytest.approx(0.90)
    assert np.array(found.curve) == pytest.approx(np.array([[0.65, 0.7, 10], [0.95, 0.8, 10]]))


@pytest.mark.parametrize(("right", "grade"), [(80, "good"), (70, "good"), (66, "acceptable"), (60, "poor")])
def test_calibration_grades(right: int, grade: str) -> None:
    truth = np.array([0] * right + [1] * (100 - right))
    assert calibration(truth, np.tile([0.79, 0.21], (100, 1))).grade == grade


def test_honest_probabilities_are_well_calibrated_and_sharpened_ones_are_not() -> None:
    rng = np.random.default_rng(4)
    probabilities = rng.dirichlet([2.0, 3.0, 2.0], 20_000)
    truth = (rng.random(20_000)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    assert calibration(truth, probabilities).ece < 0.015
    sharp = probabilities**4 / (probabilities**4).sum(axis=1, keepdims=True)
    assert calibration(truth, sharp).grade == "poor"


def test_certainty_falls_into_the_last_bin() -> None:
    assert calibration(np.array([0, 0]), np.array([[1.0, 0.0], [1.0, 0.0]])).ece == 0.0
