from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from marketloop.core.errors import UsageError
from marketloop.registry import Registry, Ruling
from marketloop.state import Slot, State, lease, outbox, this_process
from marketloop.tracking import Drained, MlflowMirror, drain, put_back

NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)
SLOT = Slot("price_predictor", "rsi10_vol20_support20")
MODEL = "price_predictor.rsi10_vol20_support20"
MANIFEST = {
    "data_version": "17",
    "features": ["rsi"],
    "recipe": "xgboost",
    "seed": 7,
    "threads": 2,
    "params": {"n_estimators": 500, "max_depth": 7},
}
Promote = Callable[[], int]

pytestmark = [pytest.mark.xdist_group("mlflow"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database fresh from its migrations, made once."""
    client = pytest.importorskip("marketloop.tracking.client")
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    client.create_database(path)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State.open(f"sqlite:///{tmp_path}/state.db") as opened:
        yield opened


@pytest.fixture
def registry(tmp_path: Path, state: State) -> Registry:
    return Registry(tmp_path / "models" / "registry", state)


@pytest.fixture
def mirror(tmp_path: Path, template: Path, registry: Registry) -> MlflowMirror:
    shutil.copy(template, tmp_path / "mlflow.db")
    return MlflowMirror(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "mlartifacts", registry.root)


@pytest.fixture
def promote(registry: Registry, state: State) -> Promote:
    """Write, examine and promote a version."""

    def go() -> int:
        with state.write() as db:
            held = lease.acquire(db, "cycle", process=this_process(), at=NOON)
        assert held is not None
        made = registry.write_candidate(SLOT, parts={"model.ubj": b"trees"}, manifest=MANIFEST, at=NOON)
        registry.examined(
            SLOT,
            made.version,
            metrics={"accuracy": 0.52, "rank_ic": 0.021, "auc": None},
            baseline={"accuracy": 0.545},
            scorecard={},
            at=NOON,
        )
        now = registry.champion(SLOT)
        ruling = Ruling("promoted", "superior" if now else "first", "z 2.5 >= 2.34", skill_proven=True)
        registry.promote(SLOT, made.version, ruling, expected=now.entry if now else 0, held=held, at=NOON)
        with state.write() as db:
            lease.release(db, held, at=NOON)
        return made.version

    return go


def aliases(client: Any) -> dict[str, int]:
    return {role: int(number) for role, number in client.get_registered_model(MODEL).aliases.items()}


def test_mirror_shows_run_version_and_aliases(
    state: State, mirror: MlflowMirror, registry: Registry, promote: Promote
) -> None:
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - the import takes seconds; only this test needs it

    promote()
    assert drain(state, mirror, at=NOON) == Drained(sent=2)
    promote()
    made = registry.write_candidate(SLOT, parts={"model.ubj": b"trees"}, manifest=MANIFEST, at=NOON)
    registry.refuse(SLOT, made.version, Ruling("refused", "not_better", "z 0.3 < 2.5"), at=NOON)
    assert drain(state, mirror, at=NOON) == Drained(sent=3)

    client = MlflowClient(tracking_uri=mirror.uri, registry_uri=mirror.uri)
    experiment = client.get_experiment_by_name("marketloop/price_predictor")
    assert experiment is not None
    runs = {run.data.tags["version"]: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["1", "2", "3"]
    first = runs["1"]
    assert first.data.params == {"recipe": "xgboost", "n_estimators": "500", "max_depth": "7"}
    assert first.data.metrics == {"accuracy": 0.52, "rank_ic": 0.021, "baseline.accuracy": 0.545}
    assert (first.data.tags["verdict"], first.data.tags["data_version"]) == ("promoted", "17")
    assert first.info.status == "FINISHED"
    assert runs["3"].data.tags["reason_code"] == "not_better"

    versions = {v.tags["version"]: v for v in client.search_model_versions(f"name = '{MODEL}'")}
    assert sorted(versions) == ["1", "2", "3"]
    assert versions["1"].source == (registry.root / "price_predictor/rsi10_vol20_support20/v1").as_uri()
    assert aliases(client) == {"champion": 2, "previous": 1, "challenger": 3}

    registry.rollback(SLOT, reason="live IC turned bad", at=NOON)
    drain(state, mirror, at=NOON)
    assert aliases(client) == {"champion": 1, "challenger": 3}


def test_runs_are_found_by_what_a_person_would_search_for(
    state: State, mirror: MlflowMirror, registry: Registry, promote: Promote
) -> None:
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    promote()
    lineage = {"git_commit": "a" * 40, "rows": 9000, "trained_through_date": "2025-12-31", "tables": {"bars": 17}}
    made = registry.write_candidate(SLOT, parts={"model.ubj": b"trees"}, manifest={**MANIFEST, **lineage}, at=NOON)
    importance = {"gain": {"rsi": 0.7, "roc_10": 0.3}, "contribution": {"rsi": 0.6, "roc_10": 0.4}, "permutation": {}}
    registry.examined(
        SLOT,
        made.version,
        metrics={"accuracy": 0.41},
        baseline={"accuracy": 0.545},
        scorecard={"rows": 8000, "tickers": 4, "importance": importance},
        at=NOON,
    )
    registry.refuse(SLOT, made.version, Ruling("refused", "not_better", "z 0.3 < 2.5"), at=NOON)
    for key in ("once", "twice"):
        assert drain(state, mirror, at=NOON).failed == 0
        payload = {"family": SLOT.family, "config_key": SLOT.config_key, "version": made.version}
        with state.write() as db:
            outbox.append(db, "mlflow", key=key, payload=payload, at=NOON)

    client = MlflowClient(tracking_uri=mirror.uri, registry_uri=mirror.uri)
    experiment = client.get_experiment_by_name("marketloop/price_predictor")
    assert experiment is not None

    def versions(wanted: str) -> list[str]:
        return sorted(run.data.tags["version"] for run in client.search_runs([experiment.experiment_id], wanted))

    assert versions("metrics.accuracy > 0.5") == ["1"]
    assert versions("params.n_estimators = '500' and params.recipe = 'xgboost'") == ["1", "2"]
    assert versions("tags.verdict = 'refused' and tags.reason_code = 'not_better'") == ["2"]
    assert versions(f"tags.git_commit = '{'a' * 40}'") == ["2"]
    assert versions("metrics.`baseline.accuracy` > 0.5 and metrics.rows > 5000") == ["2"]
    assert versions("metrics.`importance.rsi` > 0.5") == ["2"]
    assert versions("dataset.digest = '17'") == ["1", "2"]

    run = next(run for run in client.search_runs([experiment.experiment_id]) if run.data.tags["version"] == "2")
    assert run.inputs is not None
    assert [one.dataset.digest for one in run.inputs.dataset_inputs] == ["17"]
    assert run.data.tags["mlflow.note.content"] == "refused: z 0.3 < 2.5"
    assert run.data.tags["mlflow.source.git.commit"] == "a" * 40
    names = sorted(one.path for one in client.list_artifacts(run.info.run_id))
    assert names == ["importance.csv", "manifest.json", "scorecard.json"]
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    table = (folder / "importance.csv").read_text(encoding="utf-8")
    assert table == "feature,gain,contribution,permutation\nrsi,0.7,0.6,\nroc_10,0.3,0.4,\n"
    found = client.get_model_version_by_alias(MODEL, "challenger")
    assert (found.tags["version"], found.description) == ("2", "refused: z 0.3 < 2.5")
    assert set(found.tags) <= {"version", "verdict", "reason_code", "recipe", "data_version", "sha256", "best"}
    assert found.run_id == run.info.run_id
    assert "marketloop rollback" in client.get_registered_model(MODEL).description


def test_version_whose_files_are_gone_is_mirrored_from_the_ledger(
    state: State, mirror: MlflowMirror, registry: Registry, promote: Promote
) -> None:
    promote()
    shutil.rmtree(registry.root / "price_predictor")
    assert drain(state, mirror, at=NOON) == Drained(sent=2)


def test_mirror_sends_the_same_message_twice_without_a_second_run(
    state: State, mirror: MlflowMirror, promote: Promote
) -> None:
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    promote()
    drain(state, mirror, at=NOON)
    with state.write() as db:
        payload = {"family": SLOT.family, "config_key": SLOT.config_key, "version": 1}
        outbox.append(db, "mlflow", key="again", payload=payload, at=NOON)
    assert drain(state, mirror, at=NOON) == Drained(sent=1)
    client = MlflowClient(tracking_uri=mirror.uri, registry_uri=mirror.uri)
    experiment = client.get_experiment_by_name("marketloop/price_predictor")
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 1
    assert len(client.search_model_versions(f"name = '{MODEL}'")) == 1


def test_mirror_that_is_away_fails_nothing_and_catches_up(
    state: State, mirror: MlflowMirror, promote: Promote, tmp_path: Path
) -> None:
    promote()
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 100)
    away = MlflowMirror(f"sqlite:///{broken}", tmp_path, tmp_path)
    drained = drain(state, away, at=NOON)
    assert (drained.sent, drained.failed) == (0, 1)
    assert drained.reason.startswith("mlflow: ")
    assert drain(state, mirror, at=NOON) == Drained(sent=2)


def test_drain_imports_no_mlflow_when_nothing_waits(tmp_path: Path) -> None:
    script = f"""
import datetime as dt, sys
from pathlib import Path
from marketloop.state import State
from marketloop.tracking import Drained, MlflowMirror, drain, put_back
with State.open("sqlite:///{tmp_path}/state.db") as state:
    mirror = MlflowMirror("sqlite:///{tmp_path}/mlflow.db", Path("{tmp_path}"), Path("{tmp_path}"))
    assert drain(state, mirror, at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC)) == Drained()
assert not [name for name in sys.modules if name.partition(".")[0] == "mlflow"]
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns"])
def test_mirror_refuses_a_file_store(uri: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected sqlite:///path/to/mlflow\.db"):
        MlflowMirror(uri, tmp_path, tmp_path)


def test_alias_that_somebody_moved_is_put_back_and_said(
    state: State, mirror: MlflowMirror, registry: Registry, promote: Promote
) -> None:
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    promote()
    promote()
    said: list[str] = []
    assert drain(state, mirror, at=NOON, on_repair=said.append).failed == 0
    assert put_back(state, mirror, on_repair=said.append) == Drained(sent=1)
    assert said == []
    client = MlflowClient(tracking_uri=mirror.uri, registry_uri=mirror.uri)
    client.set_registered_model_alias(MODEL, "champion", "1")
    client.delete_registered_model_alias(MODEL, "previous")
    put_back(state, mirror, on_repair=said.append)
    assert said == [
        f'the alias "champion" of {MODEL} stood at 1 in MLflow instead of 2: it is at 2 again',
        f'the alias "previous" of {MODEL} stood at nothing in MLflow instead of 1: it is at 1 again',
    ]
    assert aliases(client) == {"champion": 2, "previous": 1, "challenger": 1}

    client.set_registered_model_alias(MODEL, "champion", "1")
    said.clear()
    registry.rollback(SLOT, reason="bad", at=NOON)
    drain(state, mirror, at=NOON, on_repair=said.append)
    assert said == []  # it stands where it belongs now
    assert aliases(client)["champion"] == 1


def test_alias_that_is_late_is_not_called_moved(state: State, mirror: MlflowMirror, promote: Promote) -> None:
    said: list[str] = []
    promote()
    drain(state, mirror, at=NOON, on_repair=said.append)
    promote()
    put_back(state, mirror, on_repair=said.append)
    drain(state, mirror, at=NOON, on_repair=said.append)
    assert said == []


def test_best_version_bears_the_tag(state: State, mirror: MlflowMirror, registry: Registry, promote: Promote) -> None:
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    client = MlflowClient(tracking_uri=mirror.uri, registry_uri=mirror.uri)

    def best() -> list[str]:
        drain(state, mirror, at=NOON)
        found = client.search_model_versions(f"name = '{MODEL}' and tags.best = 'true'")
        return [version.tags["version"] for version in found]

    promote()
    second = promote()
    assert best() == ["2"]
    figures = {"accuracy": 0.9, "rank_ic": 0.001}
    registry.examined(SLOT, second, metrics=figures, baseline={}, scorecard={}, at=NOON)
    with state.write() as db:
        outbox.append(
            db,
            "mlflow",
            key="again",
            payload={"family": SLOT.family, "config_key": SLOT.config_key, "version": 2},
            at=NOON,
        )
    assert best() == ["1"]


def test_putting_back_asks_no_mlflow_where_nothing_was_sent(tmp_path: Path, state: State, promote: Promote) -> None:
    promote()
    away = MlflowMirror(f"sqlite:///{tmp_path}/gone.db", tmp_path, tmp_path)
    assert put_back(state, away) == Drained()
    assert not (tmp_path / "gone.db").exists()
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 100)
    assert put_back(state, MlflowMirror(f"sqlite:///{broken}", tmp_path, tmp_path)).failed == 1
