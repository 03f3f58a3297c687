"""A search on a small simulated project: counted, resumed after a kill, shared by processes, and honest about luck."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from marketloop.core.errors import FailedError, RefusedError, UsageError
from marketloop.loop.house import House, open_house
from marketloop.loop.ingesting import CollectRequest, ingest
from marketloop.loop.preparing import Choices, choose
from marketloop.loop.training import train_family
from marketloop.loop.trials import trial_evidence
from marketloop.loop.tuned import tuned_contender, with_tuned
from marketloop.loop.tuning import TuneRequest, tune_family
from marketloop.runtime.journal import alone
from marketloop.runtime.project import create_project
from marketloop.state import streams, tunings
from marketloop.state.streams import Block
from marketloop.state.tunings import Tuning

FAMILY = "price_predictor"
SETTINGS = {"tracking.enabled": False, "features.set": "basic", "compute.threads": 1}
RIDGE = TuneRequest(algorithm="rank_ridge", n_trials=6)
PLUGIN = """
import numpy as np
from marketloop.core.catalog import Dimension, Recipe
from marketloop.models.ridge import RankRidge

class Moody(RankRidge):
    def fit(self, train):
        if self.penalty > {raises_above}:
            raise ValueError("too stiff")
        return super().fit(train)

    def predict(self, rows):
        out = super().predict(rows)
        return out * np.nan if self.penalty > {nan_above} else out

def build(params, seed, threads):
    return Moody(penalty=params["stiffness"])

def register(catalog):
    shared = dict(build=build, from_parts=RankRidge.from_parts, needs_ranks=True)
    space = (Dimension("stiffness", 1.0, 9.0),)
    catalog.add(Recipe(name="moody", defaults={{"stiffness": 2.0, "mood": "calm"}}, space=space, **shared))
    catalog.add(Recipe(name="plain", defaults={{"mood": "calm"}}, **shared))
"""


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project with bars of twelve tickers on 800 sessions."""
    root = create_project(tmp_path_factory.mktemp("tuning") / "p").root
    with open_house(root, environ={}, flags=SETTINGS) as house:
        ingest(house, CollectRequest(source="synthetic", options={"tickers": 12, "sessions": 800, "seed": 3}))
    return root


@pytest.fixture
def root(collected: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(collected, tmp_path / "p"))


@pytest.fixture
def house(root: Path) -> Iterator[House]:
    with open_house(root, environ={}, flags=SETTINGS) as opened:
        yield opened


def plugged(root: Path, *, raises_above: float = 99.0, nan_above: float = 99.0, settings: str = "") -> House:
    (root / "moody.py").write_text(PLUGIN.format(raises_above=raises_above, nan_above=nan_above))
    (root / "marketloop.toml").write_text(f'plugins = ["moody.py"]\n{settings}')
    return open_house(root, environ={}, flags=SETTINGS)


def counted(house: House) -> dict[str, int]:
    with house.state.read() as db:
        return tunings.counts(db, house.slot(FAMILY))


def test_search_counts_every_trial_and_keeps_the_best(house: House, root: Path) -> None:
    told: list[tuple[int, int]] = []
    found = tune_family(house, FAMILY, RIDGE, tell=lambda _, done, total: told.append((done, total)))
    assert sum(found.states.values()) == sum(counted(house).values()) == 6
    assert told[:2] == [(1, 6), (2, 6)]
    assert told[-1] == (6, 6)
    document = found.document()
    assert (document["recipe"], document["objective"]) == ("rank_ridge", "log_loss")
    assert document["params"].keys() == {"penalty"}
    assert document["value"] <= document["default_value"]
    assert 0 < document["accuracy"] < 1
    assert [fold["first"] < fold["last"] for fold in document["folds"]] == [True] * len(document["folds"])
    with house.state.read() as db:
        (kept,) = tunings.history(db, house.slot(FAMILY))
        trials = tunings.trials_of(db, house.slot(FAMILY))
    assert (kept.params, kept.value, kept.trials) == (document["params"], document["value"], 6)
    assert [trial.number for trial in trials] == list(range(6))
    assert all(trial.sharpe is not None for trial in trials)
    view = json.loads((root / "models" / "best_hyperparameters.json").read_text())
    assert view[FAMILY]["penalty"] == kept.params["penalty"]
    assert view[FAMILY].keys() >= {"validation_accuracy", "objective", "trials", "data_version", "tuned_at"}


def test_search_goes_on_where_it_was(house: House) -> None:
    first = tune_family(house, FAMILY, RIDGE)
    again = tune_family(house, FAMILY, RIDGE)
    assert (again.resumed, sum(again.states.values()), again.tuning) == (6, 6, first.tuning)
    more = tune_family(house, FAMILY, replace(RIDGE, n_trials=8))
    assert (more.resumed, sum(more.states.values()), sum(counted(house).values())) == (6, 8, 8)
    assert more.tuning.entry == 2


def test_search_is_the_same_each_time(house: House, root: Path) -> None:
    first = tune_family(house, FAMILY, RIDGE)
    first.path.unlink()
    again = tune_family(house, FAMILY, RIDGE)
    assert (again.tuning.params, again.tuning.value) == (first.tuning.params, first.tuning.value)
    assert sum(counted(house).values()) == 6  # the same trials of the same study


def test_search_shared_by_processes_counts_every_trial(root: Path) -> None:
    with plugged(root) as house:  # a plugin's recipe does not travel: each process loads it
        found = tune_family(house, FAMILY, TuneRequest("moody", n_trials=5, workers=2))
        assert sum(found.states.values()) == sum(counted(house).values()) == 5
        assert "failed" not in found.states


def test_search_that_was_killed_is_resumed(root: Path, house: House) -> None:
    script = (
        "import sys; from pathlib import Path; from marketloop.loop.house import open_house\n"
        "from marketloop.loop.tuning import TuneRequest, tune_family\n"
        f"house = open_house(Path(sys.argv[1]), environ={{}}, flags={SETTINGS!r})\n"
        f"tune_family(house, {FAMILY!r}, TuneRequest('rank_ridge', n_trials=400))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(root)])
    while sum(counted(house).values()) < 3 and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    found = tune_family(house, FAMILY, replace(RIDGE, n_trials=12))
    assert 3 <= found.resumed <= 12
    with house.state.read() as db:
        trials = tunings.trials_of(db, house.slot(FAMILY))
    interrupted = [trial for trial in trials if trial.reason == "interrupted"]
    assert len(interrupted) <= 1
    assert len(trials) == sum(found.states.values()) == max(12, found.resumed) + len(interrupted)
    assert found.tuning.trials == len(trials)


def test_search_about_something_else_begins_a_study_of_its_own_beside(house: House) -> None:
    first = tune_family(house, FAMILY, RIDGE)
    other = tune_family(house, FAMILY, replace(RIDGE, objective="rank_ic"))
    assert other.path != first.path
    assert other.resumed == 0
    assert "a fresh study: 1 beside it are about other data, folds or ranges" in other.warnings
    assert first.path.exists()
    assert sum(counted(house).values()) == 12
    assert other.evidence["trials"] == 12


def test_search_begins_with_the_recipes_own_settings_and_the_last_best(house: House) -> None:
    last = Tuning(house.slot(FAMILY), "s", "rank_ridge", {"penalty": 3.3}, "f1", 0.4, 9, "0", 700, house.clock.now())
    with house.state.write() as db:
        tunings.record(db, last)
    found = tune_family(house, FAMILY, RIDGE)
    with house.state.read() as db:
        first, second, *_ = tunings.trials_of(db, house.slot(FAMILY), found.tuning.study)
    assert first.params == {"penalty": house.catalog.recipe("rank_ridge").defaults["penalty"]}
    assert second.params == {"penalty": 3.3}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 an archive", b'{"marketloop_study":"another","format":1}\n'])
def test_study_file_of_something_else_is_refused_and_left_as_it_is(house: House, content: bytes) -> None:
    path = tune_family(house, FAMILY, RIDGE).path
    path.write_bytes(content)
    with pytest.raises(FailedError, match=r"is not the journal that belongs here.*move it away"):
        tune_family(house, FAMILY, RIDGE)
    assert path.read_bytes() == content


def test_second_search_of_a_family_is_refused_while_one_runs(house: House, root: Path) -> None:
    lock = tune_family(house, FAMILY, RIDGE).path.parent / ".lock"
    with alone(lock, "it is tuned"), pytest.raises(RefusedError, match="price_predictor is tuned in another process"):
        tune_family(house, FAMILY, RIDGE)


def test_trial_that_raises_or_predicts_nan_is_recorded_and_the_study_goes_on(root: Path) -> None:
    with plugged(root, raises_above=7.0, nan_above=4.0) as house:
        found = tune_family(house, FAMILY, TuneRequest("moody", n_trials=12))
        assert found.states["failed"] > 0
        assert found.tuning.params["stiffness"] <= 4.0
        with house.state.read() as db:
            reasons = {t.reason for t in tunings.trials_of(db, house.slot(FAMILY)) if t.state == "failed"}
        assert any("predicted NaN" in reason for reason in reasons)
        assert reasons <= {"ValueError: too stiff", *(r for r in reasons if "predicted NaN" in r)}
        assert any("trials failed, the first because of" in warning for warning in found.warnings)
        assert any("moody is not among the recipes of price_predictor" in warning for warning in found.warnings)


def test_search_in_which_every_trial_fails_names_the_recipe_and_the_first_reason(root: Path) -> None:
    with plugged(root, raises_above=0.0) as house:
        with pytest.raises(FailedError, match=r"all 10 trials of the recipe moody failed.*ValueError: too stiff"):
            tune_family(house, FAMILY, TuneRequest("moody", n_trials=20))
        assert counted(house) == {"complete": 0, "pruned": 0, "failed": 10}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_trials": 0}, "n_trials = 0: expected at least 1"),
        ({"timeout": 0.0}, "timeout = 0: expected a number of seconds above 0"),
        ({"timeout": float("nan")}, "expected a number of seconds"),
        ({"workers": 0}, "workers = 0"),
    ],
)
def test_wrong_numbers_are_named(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TuneRequest(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("family", "wanted", "words"),
    [
        ("price_predicto", RIDGE, 'Did you mean "price_predictor"'),
        (FAMILY, replace(RIDGE, algorithm="xgbost"), 'Did you mean "xgboost"'),
        (
            FAMILY,
            replace(RIDGE, objective="log_los"),
            'unknown objective of price_predictor .* Did you mean "log_loss"',
        ),
        (FAMILY, replace(RIDGE, objective="rmse"), "expected one of accuracy, f1, log_loss, rank_ic"),
        ("price_regressor", replace(RIDGE, objective="log_loss"), "expected one of rank_ic, rmse"),
    ],
)
def test_wrong_names_are_named(house: House, family: str, wanted: TuneRequest, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        tune_family(house, family, wanted)
    assert not (house.project.models / "tuning").exists()


def test_recipe_without_a_space_says_what_to_do(root: Path) -> None:
    with plugged(root) as house, pytest.raises(UsageError, match=r"plain names nothing to tune: .*--algorithm"):
        tune_family(house, FAMILY, TuneRequest("plain"))


@pytest.mark.parametrize(
    ("line", "algorithm", "words"),
    [
        ("max_dept = [3, 6]", "xgboost", r"marketloop.toml:3: .*\"max_dept\".* Did you mean \"max_depth\""),
        ("max_depth = [3, 6.5]", "xgboost", r"marketloop.toml:3: max_depth = \[3, 6.5\]; expected whole numbers"),
        ("penalty = [6, 3]", "rank_ridge", "expected low < high"),
    ],
)
def test_wrong_range_in_the_settings_is_named(root: Path, line: str, algorithm: str, words: str) -> None:
    settings = f"[family.price_predictor.space]\n{line}\n"
    with plugged(root, settings=settings) as house, pytest.raises(UsageError, match=words):
        tune_family(house, FAMILY, TuneRequest(algorithm))


def test_range_in_the_settings_is_what_is_searched(root: Path) -> None:
    with plugged(root, settings="[family.price_predictor.space]\npenalty = [3.0, 3.5]\n") as house:
        found = tune_family(house, FAMILY, RIDGE)
        with house.state.read() as db:
            tried = [t.params["penalty"] for t in tunings.trials_of(db, house.slot(FAMILY))]
        assert all(3.0 <= penalty <= 3.5 for penalty in tried)
        assert tried[0] in {3.0, 3.5}  # the recipe's own penalty, moved into the range
        assert found.tuning.recipe == "rank_ridge"


def test_history_too_short_for_a_fold_is_said(house: House) -> None:
    with pytest.raises(UsageError, match=r"labelled sessions are too few to tune price_predictor: .*longer history"):
        tune_family(house, FAMILY, replace(RIDGE, choices=Choices(sample_size=0.2)))


@pytest.fixture
def narrow(root: Path) -> Iterator[House]:
    """Return a house whose ranges leave out every penalty that competes anyway."""
    with plugged(root, settings="[family.price_predictor.space]\npenalty = [2.0, 2.9]\n") as opened:
        yield opened


def test_tuned_settings_compete_for_blocks_behind_what_the_search_saw(narrow: House) -> None:
    house = narrow
    found = tune_family(house, FAMILY, RIDGE)
    spec = choose(house, FAMILY)
    tuned = with_tuned(house, spec)
    (contender,) = tuned.contenders[len(spec.contenders) :]
    assert contender.since == found.tuning.tuned_through + 1
    assert contender.key == f"rank_ridge(penalty={found.tuning.params['penalty']})"
    assert tuned.fingerprint == spec.fingerprint


def test_training_compares_tuned_settings_with_the_others_on_inner_folds(narrow: House) -> None:
    found = tune_family(narrow, FAMILY, RIDGE).tuning
    trained = train_family(narrow, FAMILY, Choices(recipes=("rank_ridge",), tuned=True))
    assert f"rank_ridge(penalty={found.params['penalty']})" in trained.inner
    assert len(trained.inner) == 4


def test_settings_named_by_hand_compete_alone_unless_tuned_ones_are_wanted(narrow: House) -> None:
    house = narrow
    tune_family(house, FAMILY, RIDGE)

    def contenders(choices: Choices) -> int:
        spec = choose(house, FAMILY, choices)
        return len(with_tuned(house, spec, choices).contenders) - len(spec.contenders)

    assert contenders(Choices()) == 1
    assert contenders(Choices(recipes=("rank_ridge",))) == 0
    assert contenders(Choices(recipes=("rank_ridge",), tuned=True)) == 1
    assert contenders(Choices(recipes=("xgboost",), tuned=True)) == 0
    assert contenders(Choices(recipes=("rank_ridge",), params={"penalty": 2}, tuned=True)) == 0


def test_only_the_newest_tuning_of_a_recipe_competes(narrow: House) -> None:
    house = narrow
    tune_family(house, FAMILY, RIDGE)
    newest = tune_family(house, FAMILY, replace(RIDGE, objective="rank_ic", n_trials=7)).tuning
    spec = choose(house, FAMILY)
    added = with_tuned(house, spec).contenders[len(spec.contenders) :]
    assert [dict(c.params)["penalty"] for c in added] == [newest.params["penalty"]]


def with_block(house: House, nominee: str, *contenders: str) -> None:
    """Open the family's stream with one block, made by `nominee` after a comparison of `contenders`."""
    slot, at = house.slot(FAMILY), house.clock.now()
    folds = [{"number": 1, "contender": c, "known_on": 500, "total": 0.1, "sessions": 60} for c in contenders]
    with house.state.write() as db:
        stream = streams.open_stream(db, slot, fingerprint=choose(house, FAMILY).fingerprint, session=700, at=at)
        params = {"folds": folds}
        streams.add_block(db, Block(stream.id, 630, 650, 30, nominee, 629, 1000, "p", "s", at, params=params))


def test_settings_that_made_the_open_block_compete_until_it_is_closed(narrow: House) -> None:
    old = tune_family(narrow, FAMILY, RIDGE).tuning
    with narrow.state.write() as db:
        tunings.record(db, replace(old, study="newer", params={"penalty": 2.12345}))
    key = f"rank_ridge(penalty={old.params['penalty']})"
    with_block(narrow, key)
    spec = choose(narrow, FAMILY)
    added = with_tuned(narrow, spec).contenders[len(spec.contenders) :]
    assert [c.key for c in added] == [key, "rank_ridge(penalty=2.12345)"]


def test_recipes_that_a_nomination_compared_are_counted(house: House) -> None:
    with_block(house, "rank_ridge", "rank_ridge", "xgboost", "rank_ridge(penalty=0.4)")
    found = trial_evidence(house, house.slot(FAMILY))
    assert (found["trials"], found["recipes_compared"]) == (3, 3)


def test_tuned_settings_that_the_recipe_no_longer_takes_are_passed_over(house: House) -> None:
    tuning = tune_family(house, FAMILY, RIDGE).tuning
    assert tuned_contender(house, replace(tuning, params={"depth": 3})) is None
    assert tuned_contender(house, replace(tuning, recipe="gone")) is None


def test_evidence_of_a_slot_without_trials_says_so(house: House) -> None:
    found = trial_evidence(house, house.slot(FAMILY))
    assert (found["trials"], found["recipes_compared"], found["of"]) == (1, 0, None)
    assert found["deflated_sharpe"] is found["pbo"] is found["variance"] is None


def test_evidence_judges_the_returns_by_all_counted_trials(house: House) -> None:
    returns = np.random.default_rng(0).normal(0.001, 0.01, 500)
    alone_ = trial_evidence(house, house.slot(FAMILY), returns)
    assert (alone_["of"], alone_["variance_of"], alone_["sessions"]) == ("stream", "luck", 500)
    assert alone_["deflated_sharpe"] == alone_["probabilistic_sharpe"]  # a single trial is no choice
    tune_family(house, FAMILY, RIDGE)
    many = trial_evidence(house, house.slot(FAMILY), returns)
    assert (many["trials"], many["variance_of"]) == (6, "trials")
    assert many["deflated_sharpe"] <= many["probabilistic_sharpe"]
    own = trial_evidence(house, house.slot(FAMILY))
    assert own["of"] == "tuning"
    assert own["pbo"] is None or 0 <= own["pbo"] <= 1
    assert own["pbo_sessions"] >= 100
    json.dumps(own, allow_nan=False)
