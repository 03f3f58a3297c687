"""A search that is interrupted, resumed and shared, on objectives so simple that a test can say what must come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from marketloop.core.catalog import Dimension
from marketloop.core.errors import FailedError
from marketloop.models.tuning import Search, Step, Study, Trial
from marketloop.runtime.journal import FileJournal

SPACE = (Dimension("depth", 1, 9, "int"), Dimension("rate", 0.001, 1.0, log=True))
SEARCH = Search(SPACE, maximise=False, seed=3)
Params = Mapping[str, Any]


def journal(folder: Path) -> FileJournal:
    return FileJournal(folder / "a.journal", {"study": "a"}).open()


def study(folder: Path, search: Search = SEARCH) -> Study:
    return Study(search, journal(folder))


def parabola(params: Params) -> Iterator[Step]:
    """Best at depth 4 and rate 0.03; the second fold is easier for all."""
    loss = (params["depth"] - 4) ** 2 + abs(params["rate"] - 0.03)
    yield Step(loss + 5, (0.1, 0.2))
    yield Step(loss + 1, (0.3,), {"accuracy": 0.5})


def tried(trials: Iterable[Trial]) -> list[tuple[str, Params]]:
    return [(t.state, t.params) for t in trials if not t.was_interrupted]


def test_search_finds_the_best_and_keeps_what_each_trial_told(tmp_path: Path) -> None:
    found = study(tmp_path)
    assert found.run(parabola, count=40) == 40
    best = found.best()
    assert best is not None
    assert best.params["depth"] == 4
    assert best.value == min(t.value for t in found.finished() if t.value is not None and t.state == "complete")
    assert (best.returns, dict(best.figures)) == ((0.1, 0.2, 0.3), {"accuracy": 0.5})
    assert best.seconds is not None
    pruned = [t for t in found.trials() if t.state == "pruned"]
    assert pruned
    assert all(t.returns == (0.1, 0.2) for t in pruned)
    assert [t.number for t in found.finished()] == list(range(40))


def test_search_maximises_when_more_is_better(tmp_path: Path) -> None:
    found = study(tmp_path, Search(SPACE, maximise=True))
    found.run(lambda params: [Step(-abs(params["depth"] - 7))], count=25)
    best = found.best()
    assert best is not None
    assert (best.params["depth"], best.value) == (7, 0.0)


def test_same_seed_gives_the_same_trials_and_another_one_others(tmp_path: Path) -> None:
    runs = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        found = study(tmp_path / name, Search(SPACE, maximise=False, seed=seed))
        found.run(parabola, count=20)
        runs.append(tried(found.trials()))
    assert runs[0] == runs[1] != runs[2]


def test_study_begins_with_the_given_settings_moved_into_their_ranges(tmp_path: Path) -> None:
    found = study(tmp_path)
    found.prepare([{"depth": 30, "rate": 0.05, "other": 1}, {"depth": 2, "rate": 0.5}])
    found.run(parabola, count=3)
    first, second, _ = found.trials()
    assert (first.params, second.params) == ({"depth": 9, "rate": 0.05}, {"depth": 2, "rate": 0.5})
    found.prepare([{"depth": 1, "rate": 0.1}])
    assert len(found.trials()) == 3  # only a new study is begun


@pytest.mark.parametrize("killed_at", [0, 4, 15])
def test_interrupted_study_goes_on_as_if_nothing_had_happened(tmp_path: Path, killed_at: int) -> None:
    whole = study(tmp_path / "whole")
    whole.prepare([{"depth": 6, "rate": 0.1}])
    whole.run(parabola, count=20)

    begun = study(tmp_path / "cut")
    begun.prepare([{"depth": 6, "rate": 0.1}])
    with pytest.raises(KeyboardInterrupt):
        begun.run(interrupted(after=killed_at), count=20)
    again = study(tmp_path / "cut")
    assert [t.state for t in again.trials()].count("running") == 1
    again.prepare([{"depth": 6, "rate": 0.1}])
    assert sum(t.was_interrupted for t in again.finished()) == 1
    again.run(parabola, count=20 - killed_at)
    assert tried(again.trials()) == tried(whole.trials())
    assert again.best() is not None


def interrupted(*, after: int) -> Callable[[Params], Iterator[Step]]:
    calls = iter(range(1000))

    def evaluate(params: Params) -> Iterator[Step]:
        if next(calls) == after:
            raise KeyboardInterrupt
        yield from parabola(params)

    return evaluate


def test_processes_that_share_a_study_draw_other_settings(tmp_path: Path) -> None:
    drawn = []
    for lane in (0, 1):
        found = study(tmp_path / str(lane))
        found.run(parabola, count=3, lane=lane)
        drawn.append([tuple(t.params.values()) for t in found.trials()])
    assert not set(drawn[0]) & set(drawn[1])


def test_setting_that_raises_is_a_failed_trial_and_the_study_goes_on(tmp_path: Path) -> None:
    def evaluate(params: Params) -> Iterator[Step]:
        if params["depth"] > 4:
            raise ZeroDivisionError("no trees")
        yield Step(1.0)

    found = study(tmp_path)
    found.run(evaluate, count=12)
    states = {t.state for t in found.finished()}
    assert states == {"complete", "failed"}
    failed = next(t for t in found.trials() if t.state == "failed")
    assert (failed.reason, failed.value) == ("ZeroDivisionError: no trees", None)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_value_that_is_no_number_fails_the_trial(tmp_path: Path, value: float) -> None:
    found = study(tmp_path)
    found.run(lambda _: [Step(0.1), Step(value)], count=1)
    (trial,) = found.trials()
    assert (trial.state, trial.reason) == ("failed", f"the objective is {value} in fold 2")


def test_study_in_which_everything_fails_ends_early_and_has_no_best(tmp_path: Path) -> None:
    found = study(tmp_path)
    assert found.run(lambda _: [], count=50) == 10
    assert found.best() is None
    assert {t.reason for t in found.finished()} == {"there is no fold to try it on"}


def test_stop_is_asked_before_each_trial_but_the_first(tmp_path: Path) -> None:
    answers = iter([False, False, True])
    assert study(tmp_path).run(parabola, count=10, stop=lambda: next(answers)) == 3
    assert study(tmp_path / "b").run(parabola, count=10, stop=lambda: True) == 1


def test_trial_worse_than_the_median_after_a_fold_is_pruned_though_its_first_fold_was_easy(tmp_path: Path) -> None:
    def evaluate(params: Params) -> Iterator[Step]:
        yield Step(0.0)  # easy, and the same for all
        yield Step(5.0 if params["depth"] == 9 else 1.0)
        yield Step(1.0)

    found = study(tmp_path)
    found.prepare([{"depth": 1, "rate": 0.001 * n} for n in range(1, 9)] + [{"depth": 9, "rate": 0.5}])
    found.run(evaluate, count=9)
    assert [t.state for t in found.trials()] == ["complete"] * 8 + ["pruned"]
    assert found.trials()[-1].value == 5.0


def test_two_processes_see_each_others_trials(tmp_path: Path) -> None:
    mine, other = study(tmp_path), study(tmp_path)
    mine.run(parabola, count=2)
    other.run(parabola, count=3)
    assert [t.number for t in mine.finished()] == [t.number for t in other.finished()] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "record",
    [
        {"nothing": 1},
        {"op_code": 99, "worker_id": "x"},
        {"op_code": 0, "worker_id": "x", "study_name": "study", "directions": ["up"]},
    ],
)
def test_journal_with_foreign_records_is_refused(tmp_path: Path, record: dict[str, Any]) -> None:
    journal(tmp_path).append([record])
    with pytest.raises(FailedError, match=r"journal of the study cannot be read .*: move it away"):
        study(tmp_path)
