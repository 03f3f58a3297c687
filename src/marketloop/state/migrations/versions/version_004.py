"""Version 4: outcomes, scans for drift, what a prediction is about, and the indexes that long lists are read by."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic.operations import Operations

from marketloop.state.dialects import append_only

revision = "004"
down_revision = "003"

_INDEXES: Final = (
    ("cycles_by_time", "cycles", ("started_at", "id")),
    ("cycles_by_outcome", "cycles", ("outcome", "started_at")),
    ("decisions_by_id", "decisions", ("family", "config_key", "id")),
    ("decisions_by_cycle", "decisions", ("cycle_id",)),
    ("requests_by_time", "requests", ("requested_at", "id")),
    ("requests_by_claim", "requests", ("claimed_at",)),
    ("events_by_type", "events", ("type", "id")),
)


def upgrade_ledger(op: Operations) -> None:
    """Add `drift_scans` and the indexes."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "drift_scans",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("family", sa.String(64), nullable=False),
        sa.Column("config_key", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("scanned_at", sa.String(32), nullable=False),
        sa.Column("cycle_id", sa.String(64)),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("drift_scans_by_slot", "drift_scans", ["family", "config_key", "id"])
    append_only(op.get_bind(), "drift_scans")
    for name, table, columns in _INDEXES:
        op.create_index(name, table, list(columns))


def upgrade_scores(op: Operations) -> None:
    """Add `outcomes`; what a prediction is about stays unknown for the rows that are there."""
    op.add_column("scoreboards", sa.Column("label", sa.String(64)))
    op.create_index("scoreboards_by_session", "scoreboards", ["family", "config_key", "as_of"])
    op.create_table(
        "outcomes",
        sa.Column("label", sa.String(64), primary_key=True),
        sa.Column("as_of", sa.Date, primary_key=True),
        sa.Column("ticker", sa.String(32), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("class", sa.String(32)),
        sa.Column("known_on", sa.Date, nullable=False),
        sa.Column("data_version", sa.String(128), nullable=False),
        sa.Column("recorded_at", sa.String(32), nullable=False),
    )
    append_only(op.get_bind(), "outcomes")
