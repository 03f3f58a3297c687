"""Version 1: cycles, versions, decisions, champions, streams, skill, outbox, leases, heartbeats, scoreboards."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations

from marketloop.state.dialects import append_only

revision = "001"
down_revision = None


def upgrade_ledger(op: Operations) -> None:
    """Create the first tables of the ledger."""
    _loop(op)
    _registry(op)
    _streams(op)
    for name in ("decisions", "champions", "blocks", "skill_years", "skill_events"):
        append_only(op.get_bind(), name)


def upgrade_scores(op: Operations) -> None:
    """Create the scoreboards."""
    op.create_table(
        "scoreboards",
        *_slot(key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("as_of", sa.Date, primary_key=True),
        sa.Column("ticker", sa.String(32), primary_key=True),
        sa.Column("probability", sa.Float),
        sa.Column("class", sa.String(32)),
        _needed("signal", sa.String(16)),
        _needed("classes", sa.Text),
        _needed("score", sa.Float),
        _needed("written_at", sa.String(32)),
    )
    append_only(op.get_bind(), "scoreboards")


def _loop(op: Operations) -> None:
    op.create_table("schema", sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
    op.create_table(
        "cycles",
        sa.Column("id", sa.String(64), primary_key=True),
        _needed("trigger", sa.String(32)),
        _needed("reason", sa.Text),
        _needed("started_at", sa.String(32)),
        sa.Column("ended_at", sa.String(32)),
        _needed("outcome", sa.String(32)),
        _needed("document", sa.Text),
        *_process(),
    )
    op.create_table(
        "outbox",
        _id(),
        _needed("topic", sa.String(32)),
        sa.Column("key", sa.String(255), nullable=False, unique=True),
        _needed("payload", sa.Text),
        _needed("created_at", sa.String(32)),
        sa.Column("sent_at", sa.String(32)),
        _needed("attempts", sa.Integer),
        _needed("trouble", sa.Text),
    )
    op.create_index("outbox_pending", "outbox", ["topic", "sent_at", "id"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), primary_key=True),
        _needed("token", sa.Integer),
        _needed("acquired_at", sa.String(32)),
        _needed("heartbeat_at", sa.String(32)),
        sa.Column("released_at", sa.String(32)),
        *_process(),
    )
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.String(64), primary_key=True),
        _needed("at", sa.String(32)),
        _needed("document", sa.Text),
        *_process(),
    )


def _registry(op: Operations) -> None:
    op.create_table(
        "versions",
        *_slot(key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        _needed("state", sa.String(16)),
        _needed("verdict", sa.String(16)),
        _needed("recipe", sa.String(128)),
        _needed("params", sa.Text),
        _needed("data_version", sa.String(128)),
        _needed("sha256", sa.String(64)),
        _needed("path", sa.Text),
        _needed("trained_at", sa.String(32)),
        _needed("metrics", sa.Text),
        _needed("baseline", sa.Text),
        _needed("scorecard", sa.Text),
        *_process(),
    )
    op.create_table(
        "decisions",
        _id(),
        _needed("cycle_id", sa.String(64)),
        *_slot(),
        sa.Column("version", sa.Integer),
        _needed("verdict", sa.String(16)),
        _needed("reason_code", sa.String(32)),
        _needed("reason", sa.Text),
        _needed("record", sa.Text),
        _needed("decided_at", sa.String(32)),
    )
    op.create_index("decisions_by_slot", "decisions", ["family", "config_key", "version"])
    op.create_table(
        "champions",
        *_slot(key=True),
        sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
        _needed("version", sa.Integer),
        _needed("action", sa.String(16)),
        _needed("status", sa.String(16)),
        _needed("skill_proven", sa.Boolean),
        _needed("pinned", sa.Boolean),
        _needed("recorded_at", sa.String(32)),
        _needed("promoted_at", sa.String(32)),
        _needed("trained_at", sa.String(32)),
        _needed("data_version", sa.String(128)),
        _needed("sha256", sa.String(64)),
        _needed("decision_id", _number()),
        sa.Column("session", sa.Integer),
        sa.Column("trained_through", sa.Integer),
        sa.Column("stream_id", sa.String(64)),
    )


def _streams(op: Operations) -> None:
    op.create_table(
        "streams",
        sa.Column("id", sa.String(64), primary_key=True),
        *_slot(),
        _needed("fingerprint", sa.String(64)),
        _needed("opened_session", sa.Integer),
        _needed("opened_at", sa.String(32)),
        sa.Column("closed_session", sa.Integer),
        sa.Column("closed_because", sa.Text),
    )
    op.create_table(
        "blocks",
        sa.Column("stream_id", sa.String(64), primary_key=True),
        sa.Column("first_session", sa.Integer, primary_key=True, autoincrement=False),
        _needed("last_session", sa.Integer),
        _needed("block", sa.Integer),
        _needed("nominee", sa.Text),
        _needed("params", sa.Text),
        _needed("train_through", sa.Integer),
        _needed("rows", sa.Integer),
        _needed("path", sa.Text),
        _needed("sha256", sa.String(64)),
        _needed("model_path", sa.Text),
        _needed("written_at", sa.String(32)),
    )
    op.create_table(
        "skill_years",
        sa.Column("stream_id", sa.String(64), primary_key=True),
        sa.Column("start_session", sa.Integer, primary_key=True, autoincrement=False),
        *_slot(),
        _needed("n0", sa.Integer),
        _needed("k", sa.Integer),
        _needed("alpha", sa.Float),
        _needed("z_star", sa.Float),
        _needed("opened_at", sa.String(32)),
    )
    op.create_table(
        "skill_events",
        sa.Column("stream_id", sa.String(64), primary_key=True),
        sa.Column("session", sa.Integer, primary_key=True, autoincrement=False),
        *_slot(),
        _needed("state", sa.String(16)),
        _needed("z", sa.Float),
        _needed("n", sa.Integer),
        _needed("recorded_at", sa.String(32)),
    )


def _needed(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _number() -> Any:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _number(), primary_key=True, autoincrement=True)


def _slot(*, key: bool = False) -> tuple[sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("family", sa.String(64), primary_key=key, nullable=False),
        sa.Column("config_key", sa.String(128), primary_key=key, nullable=False),
    )


def _process() -> tuple[sa.Column[Any], ...]:
    return (
        _needed("pid", sa.Integer),
        _needed("host", sa.String(255)),
        _needed("boot_id", sa.String(64)),
        _needed("process_start", sa.String(64)),
    )
