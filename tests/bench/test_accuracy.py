from __future__ import annotations

import numpy as np
import pytest

from marketloop.bench.accuracy import CASES, Case, draw, run
from marketloop.core.errors import UsageError


def test_simulated_journal_hits_as_often_as_it_says_and_scores_know_nothing() -> None:
    case = Case(2000, 5, tickers=20)
    journal = draw(case, 1)
    assert journal.hit.mean() == pytest.approx(journal.chance.mean(), abs=0.02)
    assert (journal.move**2).mean() == pytest.approx(journal.square.mean(), abs=0.1)
    assert abs(np.corrcoef(journal.score, journal.move)[0, 1]) < 0.03
    assert len(journal.hit) == (2000 + 5) * 20


def test_bench_of_accuracy_tells_coverage_of_every_figure() -> None:
    document = run(seeds=3)
    assert document["name"] == "accuracy"
    assert set(document["figures"]) == {case.name for case in CASES}
    for found in document["figures"].values():
        assert {"accuracy", "accuracy, long run", "accuracy, naive", "rmse", "rank_ic"} <= set(found)
        assert found["accuracy"]["trials"] == 3


def test_bench_of_accuracy_wants_two_journals() -> None:
    with pytest.raises(UsageError, match="at least 2"):
        run(seeds=1)
