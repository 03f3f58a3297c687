"""The tables: what happened, one row per fact; rows of the append-only tables are never changed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from marketloop.state.columns import Document, Moment

__all__ = [
    "APPEND_ONLY",
    "LEDGER",
    "SCORES",
    "VERSION",
    "alarms",
    "blocks",
    "champions",
    "cycles",
    "decisions",
    "drift_scans",
    "events",
    "heartbeats",
    "keys",
    "leases",
    "outbox",
    "outcomes",
    "requests",
    "rollouts",
    "schema_version",
    "scoreboards",
    "scores_version",
    "sightings",
    "skill_events",
    "skill_years",
    "streams",
    "trials",
    "tunings",
    "versions",
]

VERSION: Final = 4
"""Version of these tables. A database with a greater one was written by a newer MarketLoop and is left alone.

2 added `tunings`, `trials` and the interval of a prediction; 3 added `requests`, `events`, `alarms`, `rollouts`,
`sightings`, `keys`, and the version to the scoreboards; 4 added `outcomes`, `drift_scans`, the label of a
prediction, and the indexes of long lists. A change of this file needs a new version and its script in
`migrations/versions`; a test compares both ways to the same tables.
"""

LEDGER: Final = MetaData()
SCORES: Final = MetaData()

_Id = BigInteger().with_variant(Integer, "sqlite")


def _slot(*, key: bool = False) -> tuple[Column[str], Column[str]]:
    return (
        Column("family", String(64), primary_key=key, nullable=False),
        Column("config_key", String(128), primary_key=key, nullable=False),
    )


def _process() -> tuple[Column[int], Column[str], Column[str], Column[str]]:
    return (
        Column("pid", Integer, nullable=False),
        Column("host", String(255), nullable=False),
        Column("boot_id", String(64), nullable=False),
        Column("process_start", String(64), nullable=False),
    )


schema_version: Final = Table(
    "schema",
    LEDGER,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

scores_version: Final = Table(
    "schema",
    SCORES,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

cycles: Final = Table(
    "cycles",
    LEDGER,
    Column("id", String(64), primary_key=True),
    Column("trigger", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("outcome", String(32), nullable=False),
    Column("document", Document, nullable=False),
    *_process(),
)
Index("cycles_by_time", cycles.c.started_at, cycles.c.id)
Index("cycles_by_outcome", cycles.c.outcome, cycles.c.started_at)

versions: Final = Table(
    "versions",
    LEDGER,
    *_slot(key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("recipe", String(128), nullable=False),
    Column("params", Document, nullable=False),
    Column("data_version", String(128), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("trained_at", Moment, nullable=False),
    Column("metrics", Document, nullable=False),
    Column("baseline", Document, nullable=False),
    Column("scorecard", Document, nullable=False),
    *_process(),
)

decisions: Final = Table(
    "decisions",
    LEDGER,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("cycle_id", String(64), nullable=False),
    *_slot(),
    Column("version", Integer),
    Column("verdict", String(16), nullable=False),
    Column("reason_code", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("record", Document, nullable=False),
    Column("decided_at", Moment, nullable=False),
)
Index("decisions_by_slot", decisions.c.family, decisions.c.config_key, decisions.c.version)
Index("decisions_by_id", decisions.c.family, decisions.c.config_key, decisions.c.id)
Index("decisions_by_cycle", decisions.c.cycle_id)

champions: Final = Table(
    "champions",
    LEDGER,
    *_slot(key=True),
    Column("entry", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("skill_proven", Boolean, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("promoted_at", Moment, nullable=False),
    Column("trained_at", Moment, nullable=False),
    Column("data_version", String(128), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("decision_id", _Id, nullable=False),
    Column("session", Integer),
    Column("trained_through", Integer),
    Column("stream_id", String(64)),
)

streams: Final = Table(
    "streams",
    LEDGER,
    Column("id", String(64), primary_key=True),
    *_slot(),
    Column("fingerprint", String(64), nullable=False),
    Column("opened_session", Integer, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("closed_session", Integer),
    Column("closed_because", Text),
)

blocks: Final = Table(
    "blocks",
    LEDGER,
    Column("stream_id", String(64), primary_key=True),
    Column("first_session", Integer, primary_key=True, autoincrement=False),
    Column("last_session", Integer, nullable=False),
    Column("block", Integer, nullable=False),
    Column("nominee", Text, nullable=False),
    Column("params", Document, nullable=False),
    Column("train_through", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("model_path", Text, nullable=False),
    Column("written_at", Moment, nullable=False),
)

skill_years: Final = Table(
    "skill_years",
    LEDGER,
    Column("stream_id", String(64), primary_key=True),
    Column("start_session", Integer, primary_key=True, autoincrement=False),
    *_slot(),
    Column("n0", Integer, nullable=False),
    Column("k", Integer, nullable=False),
    Column("alpha", Float, nullable=False),
    Column("z_star", Float, nullable=False),
    Column("opened_at", Moment, nullable=False),
)

skill_events: Final = Table(
    "skill_events",
    LEDGER,
    Column("stream_id", String(64), primary_key=True),
    Column("session", Integer, primary_key=True, autoincrement=False),
    *_slot(),
    Column("state", String(16), nullable=False),
    Column("z", Float, nullable=False),
    Column("n", Integer, nullable=False),
    Column("recorded_at", Moment, nullable=False),
)

tunings: Final = Table(
    "tunings",
    LEDGER,
    *_slot(key=True),
    Column("entry", Integer, primary_key=True, autoincrement=False),
    Column("study", String(64), nullable=False),
    Column("recipe", String(128), nullable=False),
    Column("params", Document, nullable=False),
    Column("objective", String(32), nullable=False),
    Column("value", Float, nullable=False),
    Column("trials", Integer, nullable=False),
    Column("data_version", String(128), nullable=False),
    Column("tuned_through", Integer, nullable=False),
    Column("tuned_at", Moment, nullable=False),
    Column("evidence", Document, nullable=False),
)

trials: Final = Table(
    "trials",
    LEDGER,
    Column("study", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    *_slot(),
    Column("recipe", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("value", Float),
    Column("sharpe", Float),
    Column("params", Document, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recorded_at", Moment, nullable=False),
)
Index("trials_by_slot", trials.c.family, trials.c.config_key)

outbox: Final = Table(
    "outbox",
    LEDGER,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("topic", String(32), nullable=False),
    Column("key", String(255), nullable=False, unique=True),
    Column("payload", Document, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("sent_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("trouble", Text, nullable=False),
)
Index("outbox_pending", outbox.c.topic, outbox.c.sent_at, outbox.c.id)

leases: Final = Table(
    "leases",
    LEDGER,
    Column("name", String(64), primary_key=True),
    Column("token", Integer, nullable=False),
    Column("acquired_at", Moment, nullable=False),
    Column("heartbeat_at", Moment, nullable=False),
    Column("released_at", Moment),
    *_process(),
)

sightings: Final = Table(
    "sightings",
    LEDGER,
    Column("name", String(64), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("boot_id", String(64), nullable=False),
    Column("token", Integer, nullable=False),
    Column("heartbeat_at", Moment, nullable=False),
    Column("tick", Float, nullable=False),
    Column("seen_at", Moment, nullable=False),
)

keys: Final = Table(
    "keys",
    LEDGER,
    Column("id", String(32), primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
)

requests: Final = Table(
    "requests",
    LEDGER,
    Column("id", String(64), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("trigger", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("families", Document, nullable=False),
    Column("force", Boolean, nullable=False),
    Column("choices", Document, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("claimed_at", Moment),
    Column("cycle_id", String(64)),
    Column("progress", Document, nullable=False),
    Column("ended_at", Moment),
    Column("outcome", String(32), nullable=False),
    Column("why_not", Text, nullable=False),
    *_process(),
)
Index("requests_by_state", requests.c.state, requests.c.requested_at)
Index("requests_by_trigger", requests.c.trigger, requests.c.requested_at)
Index("requests_by_time", requests.c.requested_at, requests.c.id)
Index("requests_by_claim", requests.c.claimed_at)

events: Final = Table(
    "events",
    LEDGER,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("key", String(255), nullable=False, unique=True),
    Column("type", String(64), nullable=False),
    Column("payload", Document, nullable=False),
    Column("source", String(128), nullable=False),
    Column("published_at", Moment, nullable=False),
    Column("handled_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("trouble", Text, nullable=False),
    Column("result", Document, nullable=False),
)
Index("events_pending", events.c.handled_at, events.c.id)
Index("events_by_type", events.c.type, events.c.id)

alarms: Final = Table(
    "alarms",
    LEDGER,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("key", String(255), nullable=False),
    Column("title", Text, nullable=False),
    Column("document", Document, nullable=False),
    Column("raised_at", Moment, nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
)
Index("alarms_by_key", alarms.c.key, alarms.c.last_at)

drift_scans: Final = Table(
    "drift_scans",
    LEDGER,
    Column("id", _Id, primary_key=True, autoincrement=True),
    *_slot(),
    Column("version", Integer, nullable=False),
    Column("as_of", Date, nullable=False),
    Column("scanned_at", Moment, nullable=False),
    Column("cycle_id", String(64)),
    Column("action", String(16), nullable=False),
    Column("document", Document, nullable=False),
)
Index("drift_scans_by_slot", drift_scans.c.family, drift_scans.c.config_key, drift_scans.c.id)

rollouts: Final = Table(
    "rollouts",
    LEDGER,
    *_slot(key=True),
    Column("entry", Integer, primary_key=True, autoincrement=False),
    Column("mode", String(16), nullable=False),
    Column("version", Integer),
    Column("share", Float, nullable=False),
    Column("salt", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recorded_at", Moment, nullable=False),
)

heartbeats: Final = Table(
    "heartbeats",
    LEDGER,
    Column("name", String(64), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("document", Document, nullable=False),
    *_process(),
)

scoreboards: Final = Table(
    "scoreboards",
    SCORES,
    *_slot(key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("as_of", Date, primary_key=True),
    Column("ticker", String(32), primary_key=True),
    Column("probability", Float),
    Column("class", String(32), key="class_name"),
    Column("signal", String(16), nullable=False),
    Column("classes", Document, nullable=False),
    Column("score", Float, nullable=False),
    Column("low", Float),
    Column("high", Float),
    Column("written_at", Moment, nullable=False),
    Column("label", String(64)),
)
Index("scoreboards_by_session", scoreboards.c.family, scoreboards.c.config_key, scoreboards.c.as_of)

outcomes: Final = Table(
    "outcomes",
    SCORES,
    Column("label", String(64), primary_key=True),
    Column("as_of", Date, primary_key=True),
    Column("ticker", String(32), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("value", Float, nullable=False),
    Column("class", String(32), key="class_name"),
    Column("known_on", Date, nullable=False),
    Column("data_version", String(128), nullable=False),
    Column("recorded_at", Moment, nullable=False),
)

APPEND_ONLY: Final = (
    decisions,
    champions,
    blocks,
    skill_years,
    skill_events,
    tunings,
    trials,
    rollouts,
    drift_scans,
    scoreboards,
    outcomes,
)
"""Tables whose rows the database itself refuses to change or delete."""
