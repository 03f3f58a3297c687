"""The model that serves: where it lies, its figures, its features, and where it came from."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from marketloop.state import champions, versions
from marketloop.web.premises import Premises, premises_of
from marketloop.web.problems import described
from marketloop.web.standing import champion_of

__all__ = ["router"]

router = APIRouter(prefix="/api/ml/model", tags=["model"])
LINEAGE = ("data_version", "recipe", "params", "feature_set", "seed", "threads", "git_commit", "libraries", "python")


class ModelDocument(BaseModel):
    """The model that serves a family, and where it came from."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    model_path: str
    backup_path: str | None
    metrics: dict[str, Any]
    baseline: dict[str, Any]
    features: list[str]
    feature_count: int
    family: str
    version: int
    status: str
    lineage: dict[str, Any]


@router.get(
    "/info", response_model=ModelDocument, responses=described(401, 404, 422, 503), summary="The model that serves"
)
async def info(
    request: Request, family: Annotated[str | None, Query(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")] = None
) -> Response:
    """Return path, figures beside those of no skill, features and lineage of a family's champion."""
    premises = premises_of(request)
    document = await asyncio.to_thread(model_document, premises, family or premises.settings.serve.primary)
    return Response(json.dumps(document, allow_nan=False, default=str).encode(), media_type="application/json")


def model_document(premises: Premises, family: str) -> dict[str, Any]:
    """Return the document of A5.

    Raises
    ------
    ProblemError
        The family has no champion.
    FailedError
        Its artefact is damaged.
    """
    registry = premises.registry
    with premises.state.read() as db:
        champion = champion_of(db, premises, family)
        row = versions.require(db, champion.slot, champion.version)
        before = champions.previous(db, champion.slot)
        backup = None if before is None else versions.get(db, champion.slot, before.version)
    manifest = registry.load(champion.slot, champion.version).manifest
    return {
        "model_path": str(registry.root / row.path),
        "backup_path": None if backup is None or backup.state != "complete" else str(registry.root / backup.path),
        "metrics": row.metrics,
        "baseline": row.baseline,
        "features": list(manifest["features"]),
        "feature_count": len(manifest["features"]),
        "family": family,
        "config_key": champion.slot.config_key,
        "version": champion.version,
        "status": champion.status,
        "skill_proven": champion.skill_proven,
        "pinned": champion.pinned,
        "promoted_at": champion.promoted_at.isoformat(),
        "trained_at": champion.trained_at.isoformat(),
        "sha256": champion.sha256,
        "lineage": {name: manifest.get(name) for name in LINEAGE},
    }
