"""Everything that a project can fall ill with: each function breaks a healthy one in one way."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sqlite3
from contextlib import closing

import polars as pl
from tests.cli.ward import FAMILY, Ward, dead_process, reopened

from marketloop.data.quality import QUARANTINE_SCHEMA
from marketloop.data.store import DeltaBarStore
from marketloop.registry import Back, Demotion
from marketloop.serving.keeping import create_key
from marketloop.state import alarms, events, lease, outbox, requests, this_process
from marketloop.state.requests import Wish

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def plugin_without_register(ward: Ward) -> None:
    (ward.root / "mine.py").write_text("def regster(catalog): ...\n", encoding="utf-8")
    ward.settings(plugins=["mine.py"])


def folder_is_a_file(ward: Ward) -> None:
    shutil.rmtree(ward.root / "reports")
    (ward.root / "reports").write_text("a file", encoding="utf-8")


def no_database(ward: Ward) -> None:
    for ending in ("", "-wal", "-shm"):
        (ward.root / f"state.db{ending}").unlink(missing_ok=True)


def not_a_database(ward: Ward) -> None:
    no_database(ward)
    (ward.root / "state.db").write_bytes(b"not a database at all" * 50)


def damaged_database(ward: Ward) -> None:
    """Overwrite pages of the scoreboards behind the first one."""
    path = ward.root / "scoreboard.db"
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)


def newer_database(ward: Ward) -> None:
    with closing(sqlite3.connect(ward.root / "state.db")) as db, db:
        db.execute("INSERT INTO schema VALUES (99)")


def older_database(ward: Ward) -> None:
    with closing(sqlite3.connect(ward.root / "state.db")) as db, db:
        db.execute("DELETE FROM schema")
        db.execute("INSERT INTO schema VALUES (2)")


def other_configuration(ward: Ward) -> None:
    ward.settings(strategy__rsi_period=14)


def damaged_artefact(ward: Ward) -> None:
    (ward.root / f"models/registry/{FAMILY}/rsi10_vol20_support20/v2/model.ubj").write_bytes(b"other trees")


def artefact_without_manifest(ward: Ward) -> None:
    (ward.root / f"models/registry/{FAMILY}/rsi10_vol20_support20/v2/manifest.json").unlink()


def edited_view(ward: Ward) -> None:
    (ward.root / "models" / "prod_model.ubj").write_bytes(b"mine")


def deleted_view(ward: Ward) -> None:
    (ward.root / "models" / "training_metrics.json").unlink()


def orphan_folder(ward: Ward) -> None:
    (ward.root / f"models/registry/{FAMILY}/rsi10_vol20_support20/v77").mkdir()


def quarantined(ward: Ward) -> None:
    store = DeltaBarStore(ward.root / "data")
    rows = (
        store.read()
        .head(400)
        .with_columns(
            origin=pl.lit("a.csv"), date_text=pl.lit(None, pl.String), rule=pl.lit("bad"), reason=pl.lit("bad")
        )
    )
    store.put_quarantine(rows.select(pl.col(name).cast(kind) for name, kind in QUARANTINE_SCHEMA.items()))


def stale_bars(ward: Ward) -> None:
    path = ward.root / "data" / "collection.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    bars = ward.root.parent / "bars.parquet"
    DeltaBarStore(ward.root / "data").read().write_parquet(bars)
    path.write_text(json.dumps({**kept, "source": "folder", "path": str(bars), "options": {}}), encoding="utf-8")


def no_index(ward: Ward) -> None:
    for part in ("series",):
        folder = ward.root / "data" / part
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()


def stray_data(ward: Ward) -> None:
    (ward.root / "data" / "bars" / "part-0-dead.parquet").write_bytes(b"half")


def mismatch(ward: Ward) -> None:
    """Make a champion whose feature came from a plugin that the settings name no longer."""
    with reopened(ward.root) as shop:
        at = shop.helm.clock.now()
        about = {"data_version": "1", "features": ["rsi", "moon_phase"], "recipe": "ridge", "seed": 7, "threads": 1}
        made = shop.registry.write_candidate(shop.slot(), parts={"model.ubj": b"trees"}, manifest=about, at=at)
        shop.promote(made.version)


def near_chance(ward: Ward) -> None:
    ward.crown(proven=False, rank_ic={"mean": 0.001, "interval": [-0.02, 0.022]}, metrics={"accuracy": 0.401})


def poor(ward: Ward) -> None:
    ward.crown(rank_ic={"mean": -0.03, "interval": [-0.05, -0.01]}, metrics={"accuracy": 0.35})


def unexamined(ward: Ward) -> None:
    ward.crown(proven=False, rank_ic={}, metrics={"accuracy": None})


def overfitted(ward: Ward) -> None:
    ward.crown(seen_and_unseen={"figures": {"seen": {"accuracy": 0.98}, "unseen": {"accuracy": 0.41}}})


def harmed(ward: Ward) -> None:
    with reopened(ward.root) as shop:
        now = shop.registry.champion(shop.slot())
        assert now is not None
        why = Demotion(session=6001, reason="z -3.4 over 63 sessions", z=-3.4, n=63, record={}, cycle_id="c")
        shop.registry.demote(shop.slot(), why, expected=now.entry, held=shop.held, at=shop.helm.clock.now())


def guarded_back(ward: Ward) -> None:
    with reopened(ward.root) as shop:
        why = Back("worse than bad luck explains", by="guard")
        shop.registry.rollback(shop.slot(), reason=why, at=shop.helm.clock.now())


def forced_worse(ward: Ward) -> None:
    ward.force(metrics={"rank_ic": 0.001})


def said_nothing(ward: Ward) -> None:
    with reopened(ward.root) as shop:
        shop.promote(shop.candidate((), as_of=dt.date(2020, 1, 2)))


def said_something_old(ward: Ward) -> None:
    with reopened(ward.root) as shop:
        shop.promote(shop.candidate(("SYN001", "SYN002"), as_of=dt.date(2013, 6, 3)))


def said_little(ward: Ward) -> None:
    with reopened(ward.root) as shop:
        newest = DeltaBarStore(ward.root / "data").coverage()["last"].max()
        assert isinstance(newest, dt.date)
        shop.promote(shop.candidate(("SYN001", "SYN002"), as_of=newest))


def server_errors(ward: Ward) -> None:
    now = dt.datetime.now(dt.UTC).isoformat()
    line = json.dumps({"level": "error", "event": "the answer could not be made", "timestamp": now})
    (ward.root / "logs" / "server.log").write_text(f"{line}\n", encoding="utf-8")


def no_key_off_loopback(ward: Ward) -> None:
    ward.settings(serve__host="0.0.0.0")  # noqa: S104 -- nothing listens


def ending_key(ward: Ward) -> None:
    with ward.open() as helm:
        create_key(helm.state, "desk", role="read", at=helm.clock.now(), lifetime=3 * DAY)


def ended_keys(ward: Ward) -> None:
    with ward.open() as helm:
        create_key(helm.state, "desk", role="read", at=helm.clock.now() - 9 * DAY, lifetime=3 * DAY)


def dead_loop(ward: Ward) -> None:
    ward.beat(ago=3 * HOUR, process=dead_process())


def nobody_runs_it(ward: Ward) -> None:
    ward.cycle("promoted", ago=30 * DAY)


def unplanned_loop(ward: Ward) -> None:
    ward.beat(ago=dt.timedelta(0), trouble="UsageError: a plugin is gone")


def waiting_request(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        requests.ask(db, Wish("manual", "please"), process=this_process(), at=helm.clock.now() - HOUR)


def skipped_requests(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        for n in range(4):
            why = "price_predictor is pinned to version 2; unpin it first: `marketloop pin price_predictor --off`"
            at = helm.clock.now() - (5 - n) * DAY
            requests.ask(db, Wish("schedule", "nightly", (FAMILY,)), process=this_process(), at=at, why_not=why)


def unheard_event(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        events.publish(db, "MARKET_SHOCK", key="1", payload={"vix": 50}, source="cli", at=helm.clock.now())


def failing(ward: Ward) -> None:
    for n in range(3):
        ward.cycle("failed", ago=(3 - n) * DAY, error="the disk is full: nothing was written")


def failing_family(ward: Ward) -> None:
    entry = {"family": "momentum_ranker", "verdict": "failed", "error": "recipe mine raised ValueError"}
    ward.cycle("refused", ago=HOUR, families=[entry])


def too_frequent(ward: Ward) -> None:
    for n in range(9):
        ward.cycle("refused", ago=(n + 1) * HOUR, trigger="event")


def every_event(ward: Ward) -> None:
    ward.settings(retraining__on_events=True, retraining__min_interval_hours=0)


def slow(ward: Ward) -> None:
    ward.cycle("refused", ago=2 * DAY, took_s=40)
    ward.cycle("refused", ago=1 * DAY, took_s=45)
    ward.cycle("refused", ago=3 * HOUR, took_s=3000)


def hanging(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        lease.acquire(db, "cycle", process=this_process(), at=helm.clock.now() - DAY)


def stuck_outbox(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        outbox.append(db, "mlflow", key="1", payload={}, at=helm.clock.now() - DAY)
        outbox.troubled(db, outbox.pending(db, "mlflow")[0], "connection refused")


def alarmed(ward: Ward) -> None:
    with ward.open() as helm, helm.state.write() as db:
        at = helm.clock.now()
        alarms.raise_alarm(db, "error", key="x", title="a cycle died", document={}, at=at, quiet=HOUR)
