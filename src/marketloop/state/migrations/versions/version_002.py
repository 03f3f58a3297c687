"""Version 2: tunings and their trials; scoreboards know the interval of a prediction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from marketloop.state.dialects import append_only

revision = "002"
down_revision = "001"


def upgrade_ledger(op: Operations) -> None:
    """Add `tunings` and `trials`."""
    op.create_table(
        "tunings",
        sa.Column("family", sa.String(64), primary_key=True),
        sa.Column("config_key", sa.String(128), primary_key=True),
        sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("study", sa.String(64), nullable=False),
        sa.Column("recipe", sa.String(128), nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("objective", sa.String(32), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("trials", sa.Integer, nullable=False),
        sa.Column("data_version", sa.String(128), nullable=False),
        sa.Column("tuned_through", sa.Integer, nullable=False),
        sa.Column("tuned_at", sa.String(32), nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
    )
    op.create_table(
        "trials",
        sa.Column("study", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("family", sa.String(64), nullable=False),
        sa.Column("config_key", sa.String(128), nullable=False),
        sa.Column("recipe", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("sharpe", sa.Float),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.String(32), nullable=False),
    )
    op.create_index("trials_by_slot", "trials", ["family", "config_key"])
    for name in ("tunings", "trials"):
        append_only(op.get_bind(), name)


def upgrade_scores(op: Operations) -> None:
    """Add the interval, unknown for the rows that are there."""
    for name in ("low", "high"):
        op.add_column("scoreboards", sa.Column(name, sa.Float))
