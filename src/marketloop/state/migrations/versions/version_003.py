"""Version 3: requests, events, alarms, rollouts, keys, sightings of leases; scoreboards know their version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from marketloop.state.dialects import append_only

revision = "003"
down_revision = "002"


def upgrade_ledger(op: Operations) -> None:
    """Add what a loop that runs by itself keeps."""
    _requests(op)
    _events(op)
    op.create_table(
        "rollouts",
        sa.Column("family", sa.String(64), primary_key=True),
        sa.Column("config_key", sa.String(128), primary_key=True),
        sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.String(32), nullable=False),
    )
    append_only(op.get_bind(), "rollouts")
    op.create_table(
        "keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.String(32)),
        sa.Column("revoked_at", sa.String(32)),
    )
    op.create_table(
        "sightings",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("boot_id", sa.String(64), nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("heartbeat_at", sa.String(32), nullable=False),
        sa.Column("tick", sa.Float, nullable=False),
        sa.Column("seen_at", sa.String(32), nullable=False),
    )


def upgrade_scores(op: Operations) -> None:
    """Let the scoreboards say which version they have, as the ledger does."""
    op.create_table("schema", sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))


def _requests(op: Operations) -> None:
    op.create_table(
        "requests",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("trigger", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("families", sa.Text, nullable=False),
        sa.Column("force", sa.Boolean, nullable=False),
        sa.Column("choices", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("claimed_at", sa.String(32)),
        sa.Column("cycle_id", sa.String(64)),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("ended_at", sa.String(32)),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("why_not", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("boot_id", sa.String(64), nullable=False),
        sa.Column("process_start", sa.String(64), nullable=False),
    )
    op.create_index("requests_by_state", "requests", ["state", "requested_at"])
    op.create_index("requests_by_trigger", "requests", ["trigger", "requested_at"])


def _events(op: Operations) -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "events",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(255), nullable=False, unique=True),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("published_at", sa.String(32), nullable=False),
        sa.Column("handled_at", sa.String(32)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("trouble", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
    )
    op.create_index("events_pending", "events", ["handled_at", "id"])
    op.create_table(
        "alarms",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("raised_at", sa.String(32), nullable=False),
        sa.Column("repeats", sa.Integer, nullable=False),
        sa.Column("last_at", sa.String(32), nullable=False),
    )
    op.create_index("alarms_by_key", "alarms", ["key", "last_at"])
