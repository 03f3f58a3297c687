"""Speaks to MLflow; the only module that imports it, at its one door."""

from __future__ import annotations

import functools
import importlib
import json
import logging
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from marketloop.runtime.faults import step
from marketloop.runtime.files import delete, ensure_folder, rename
from marketloop.tracking.entries import (
    files_of,
    lineage_of,
    metrics_of,
    note_of,
    params_of,
    read_manifest,
    shown_of,
    tags_of,
)
from marketloop.tracking.snapshot import Snapshot

__all__ = ["create_database", "experiment_name", "mlflow", "model_name", "put_back", "send"]

_ABOUT: Final = (
    "A mirror: the ledger of MarketLoop decides who serves, and puts the aliases champion, previous and challenger "
    "back where it says. Change them with `marketloop promote` and `marketloop rollback`."
)
_SET: Final = "marketloop.aliases"
"""Tag of a registered model: the aliases as they were set last, so that one moved by hand is told from a late one."""
_ENVIRONMENT: Final = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}
_PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""A server that is away is asked again by the next cycle; MLflow's own seven tries keep one waiting for minutes."""


@functools.cache
def mlflow() -> Any:
    """Import MLflow and return it: the door, because the import takes seconds that a quiet cycle need not spend."""
    os.environ.update(_ENVIRONMENT)  # MLflow reads it while it is imported
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    guest = importlib.import_module("mlflow")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return guest


def send(uri: str, artifact_root: Path, models: Path, seen: Snapshot) -> tuple[str, ...]:
    """Copy one version into MLflow: its run, its model version, and the aliases of its slot.

    Return a sentence for each alias that somebody had moved by hand; they are where they belong again.
    """
    client, manifest = _client(uri), read_manifest(models, seen)
    experiment = _experiment(client, experiment_name(seen), artifact_root)
    run = _run(client, experiment, seen)
    tags = tags_of(seen, models, manifest)
    _log(client, run, seen, tags)
    dataset = mlflow().entities.Dataset(**lineage_of(seen, manifest))
    role = mlflow().entities.InputTag("mlflow.data.context", "training")
    client.log_inputs(run, datasets=[mlflow().entities.DatasetInput(dataset, [role])])
    for name, text in files_of(seen, manifest).items():
        client.log_text(run, text, name)
    ended = seen.decision.decided_at if seen.decision else seen.version.trained_at
    client.set_terminated(run, end_time=_milliseconds(ended))
    _model_version(client, run, (models / seen.version.path).resolve().as_uri(), seen, tags)
    return _aliases(client, seen)


def _log(client: Any, run: str, seen: Snapshot, tags: Mapping[str, str]) -> None:
    """Write parameters, metrics and tags; those under ``mlflow.`` are what its pages show in columns of their own."""
    guest, at = mlflow().entities, _milliseconds(seen.version.trained_at)
    shown = {
        "mlflow.note.content": note_of(seen),
        "mlflow.source.name": "marketloop",
        "mlflow.source.type": "JOB",
        "mlflow.user": "marketloop",
    }
    if "git_commit" in tags:
        shown["mlflow.source.git.commit"] = tags["git_commit"]
    client.log_batch(
        run,
        metrics=[guest.Metric(name, value, at, 0) for name, value in metrics_of(seen).items()],
        params=[guest.Param(name, value) for name, value in params_of(seen).items()],
        tags=[guest.RunTag(name, value) for name, value in {**tags, **shown}.items()],
    )


def put_back(uri: str, seen: Snapshot) -> tuple[str, ...]:
    """Put the aliases of a slot where they belong; return a sentence for each that somebody had moved by hand."""
    client = _client(uri)
    try:
        client.get_registered_model(model_name(seen))
    except mlflow().MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return ()  # nothing was sent yet: the outbox will
    return _aliases(client, seen)


def experiment_name(seen: Snapshot) -> str:
    """Return the experiment of a version: one per family."""
    return f"marketloop/{seen.version.slot.family}"


def model_name(seen: Snapshot) -> str:
    """Return the registered model of a version: one per slot, since versions are numbered per slot."""
    return f"{seen.version.slot.family}.{seen.version.slot.config_key}"


@functools.cache
def _client(uri: str) -> Any:
    if uri.startswith("sqlite:///"):
        create_database(Path(uri.removeprefix("sqlite:///")))
    return mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)


def create_database(path: Path) -> None:
    """Create MLflow's SQLite database unless it exists.

    MLflow runs some seventy migrations, each flushed to disk; here they run in memory, and the result is written once
    and takes its name in one step.
    """
    if path.exists():
        return
    ensure_folder(path.parent)
    name = f"file:marketloop-{os.getpid()}?mode=memory&cache=shared"
    beside = path.with_name(f".{path.name}.partial")
    delete(beside)
    with closing(sqlite3.connect(name, uri=True)) as memory, closing(sqlite3.connect(beside)) as disk:
        uri = f"sqlite:///{name}&uri=true"
        mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)
        with step("mirror.make"):
            memory.backup(disk)
    rename(beside, path)


def _experiment(client: Any, name: str, artifact_root: Path) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        place = (artifact_root / name).resolve().as_uri()
        return str(client.create_experiment(name, artifact_location=place))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _run(client: Any, experiment: str, seen: Snapshot) -> str:
    slot, version = seen.version.slot, seen.version.version
    wanted = f"tags.version = '{version}' and tags.config_key = '{slot.config_key}'"
    runs = client.search_runs([experiment], filter_string=wanted, max_results=1)
    if runs:
        return str(runs[0].info.run_id)
    run = client.create_run(
        experiment,
        start_time=_milliseconds(seen.version.trained_at),
        tags={"version": str(version), "config_key": slot.config_key},
        run_name=f"v{version} {slot.config_key}",
    )
    return str(run.info.run_id)


def _model_version(client: Any, run: str, source: str, seen: Snapshot, tags: dict[str, str]) -> None:
    name, tags = model_name(seen), shown_of(tags)
    number = _number(client, name, seen.version.version)
    if number is None:
        _ensure_model(client, name)
        client.create_model_version(name, source, run_id=run, tags=tags, description=note_of(seen))
        return
    client.update_model_version(name, number, description=note_of(seen))
    for key, value in tags.items():
        client.set_model_version_tag(name, number, key, value)


def _ensure_model(client: Any, name: str) -> None:
    try:
        client.get_registered_model(name)
    except mlflow().MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name, description=_ABOUT)


def _number(client: Any, name: str, version: int) -> str | None:
    """Return MLflow's own number for our version; it has none for versions that never came to an examination."""
    found = client.search_model_versions(f"name = '{name}' and tags.version = '{version}'", max_results=1)
    return str(found[0].version) if found else None


def _aliases(client: Any, seen: Snapshot) -> tuple[str, ...]:
    """Set the aliases of a slot and its tag ``best``; return what had been moved by hand since they were set last."""
    name = model_name(seen)
    model = client.get_registered_model(name)
    there = {role: str(number) for role, number in model.aliases.items()}
    wanted = {role: None if v is None else _number(client, name, v) for role, v in seen.roles.items()}
    for role, number in wanted.items():
        if number is not None and there.get(role) != number:
            client.set_registered_model_alias(name, role, number)
        elif number is None and role in there:
            client.delete_registered_model_alias(name, role)
    before = _read_aliases(model.tags.get(_SET))
    if before != wanted:
        client.set_registered_model_tag(name, _SET, json.dumps(wanted, sort_keys=True))
    _tag_best(client, name, seen.best)
    if before is None:
        return ()
    # One that stands where it belongs was set by a process that died before it could say so.
    moved = sorted(role for role in wanted if there.get(role) not in {before.get(role), wanted[role]})
    return tuple(
        f'the alias "{role}" of {name} stood at {there.get(role) or "nothing"} in MLflow instead of '
        f"{before.get(role) or 'nothing'}: it is at {wanted[role] or 'nothing'} again"
        for role in moved
    )


def _read_aliases(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _tag_best(client: Any, name: str, best: int | None) -> None:
    for version in client.search_model_versions(f"name = '{name}' and tags.best = 'true'"):
        if version.tags.get("version") != str(best):
            client.delete_model_version_tag(name, version.version, "best")
    number = None if best is None else _number(client, name, best)
    if number is not None:
        client.set_model_version_tag(name, number, "best", "true")


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
