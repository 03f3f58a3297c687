"""Databases as earlier versions left them (`old/`, dumped from what those versions wrote) are brought up to date."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from marketloop.core.errors import FailedError
from marketloop.state import Database, Slot, State, requests, scoreboards, this_process, versions
from marketloop.state.dialects import create_schema, open_engine, parse_url
from marketloop.state.migrations import upgrade
from marketloop.state.migrations.running import scripts
from marketloop.state.preparing import version_of
from marketloop.state.requests import Wish
from marketloop.state.schema import VERSION, champions, rollouts, schema_version, scores_version
from marketloop.state.scoreboards import Prediction

OLD = Path(__file__).with_name("old")
ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {"ledger": "marketloop", "scores": "marketloop_scores"}
ROLLOUT = {"family": "f", "config_key": "c", "entry": 1, "mode": "shadow", "share": 0.5, "salt": "s", "reason": "r"}
Rows = dict[str, list[dict[str, Any]]]


def make_old(url: str, version: int) -> None:
    """Fill the empty database of `url` with what MarketLoop wrote when its tables had `version`."""
    parsed = parse_url(url)
    kind = parsed.get_backend_name()
    content = (OLD / f"version_{version}.{kind}.sql").read_text(encoding="utf-8")
    if kind == "sqlite":
        folder = Path(str(parsed.database)).parent
        ledger, scores = content.split("-- scoreboard.db\n")
        for name, part in (("state.db", ledger), ("scoreboard.db", scores)):
            connection = sqlite3.connect(folder / name)
            connection.executescript(part)
            connection.close()
        return
    engine = open_engine(parsed, schema="public", durability="FULL", timeout_s=5.0)
    with engine.begin() as db:
        raw: Any = db.connection.driver_connection
        raw.execute(content)
    engine.dispose()


def databases(url: str) -> list[Database]:
    """Return both databases without looking at their versions."""
    first = parse_url(url)
    path = None if first.database is None else Path(first.database)
    second = first.set(database=str(path.with_name("scoreboard.db"))) if path and path.suffix == ".db" else first
    return [
        Database(first, open_engine(first, schema=SCHEMAS["ledger"], durability="FULL", timeout_s=30.0), "ledger"),
        Database(second, open_engine(second, schema=SCHEMAS["scores"], durability="FULL", timeout_s=30.0), "scores"),
    ]


def place(db: Connection) -> str | None:
    found: str | None = db.get_execution_options().get("schema")
    return found


def described(db: Connection) -> dict[str, Any]:
    """Return tables, columns, keys, indexes and triggers, whatever order they were made in."""
    look, where = inspect(db), place(db)
    tables: dict[str, Any] = {}
    for name in look.get_table_names(schema=where):
        columns = look.get_columns(name, schema=where)
        indexes = look.get_indexes(name, schema=where)
        unique = look.get_unique_constraints(name, schema=where)
        tables[name] = {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], str(c.get("default"))) for c in columns},
            "key": look.get_pk_constraint(name, schema=where)["constrained_columns"],
            "indexes": {(i["name"], tuple(i["column_names"]), i["unique"]) for i in indexes},
            "unique": {tuple(u["column_names"]) for u in unique},
        }
    if where is None:
        query = text("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
    else:
        query = text(
            "SELECT tgname, relname, pg_get_triggerdef(t.oid) || prosrc FROM pg_trigger t "
            "JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace "
            "JOIN pg_proc p ON p.oid = tgfoid WHERE nspname = :schema AND NOT tgisinternal"
        ).bindparams(schema=where)
    return {"tables": tables, "triggers": {tuple(row) for row in db.execute(query)}}


def rows(db: Connection) -> Rows:
    """Return every row of every table but `schema`, as stored."""
    where = place(db)
    prefix = "" if where is None else f"{where}."
    found: Rows = {}
    for name in sorted(inspect(db).get_table_names(schema=where)):
        if name != "schema":
            stored = db.exec_driver_sql(f'SELECT * FROM {prefix}"{name}"').mappings()  # noqa: S608 - our own tables
            found[name] = sorted((dict(row) for row in stored), key=str)
    return found


def contents(url: str) -> list[tuple[int, dict[str, Any], Rows]]:
    """Return version, description and rows of both databases."""
    found = []
    for database in databases(url):
        with database.read() as db:
            found.append((version_of(db, database.name), described(db), rows(db)))
        database.engine.dispose()
    return found


@pytest.fixture
def empty_again(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return a function that gives the URL of another empty database of the kind of `url`."""

    def make() -> str:
        if url.startswith("sqlite"):
            (tmp_path / "fresh").mkdir()
            return f"sqlite:///{tmp_path}/fresh/state.db"
        (database, _) = databases(url)
        with database.write() as db:
            for schema in SCHEMAS.values():
                db.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        database.engine.dispose()
        return url

    return make


@pytest.mark.parametrize("version", [1, 2, 3])
def test_old_database_becomes_what_a_fresh_one_is_and_keeps_every_row(
    url: str, version: int, empty_again: Callable[[], str]
) -> None:
    make_old(url, version)
    before = contents(url)
    assert [found for found, _, _ in before] == [version, version]
    assert sum(len(stored) for _, _, kept in before for stored in kept.values()) >= 36
    State.open(url).close()
    upgraded = contents(url)
    State.open(fresh := empty_again()).close()
    for (found, made, kept), (expected, described_fresh, _), (_, _, old) in zip(
        upgraded, contents(fresh), before, strict=True
    ):
        assert found == expected == VERSION
        assert made == described_fresh
        for table, stored in old.items():
            added = set(made["tables"][table]["columns"]) - set(stored[0])
            assert kept[table] == sorted(({**row, **dict.fromkeys(added)} for row in stored), key=str)


def test_every_version_has_its_script_and_all_of_them_from_nothing_give_the_fresh_tables(
    url: str, empty_again: Callable[[], str]
) -> None:
    assert [int(script.revision) for script in scripts()] == list(range(1, VERSION + 1))
    for database in databases(url):
        with database.write() as db:
            create_schema(db)
            upgrade(db, database.name, version=0)
        database.engine.dispose()
    by_scripts = [made for _, made, _ in contents(url)]
    State.open(fresh := empty_again()).close()
    assert by_scripts == [made for _, made, _ in contents(fresh)]


def test_upgraded_database_serves_what_it_knew_and_takes_what_is_new(url: str, noon: dt.datetime) -> None:
    make_old(url, 1)
    slot = Slot("price_predictor", "rsi10_vol20_support20")
    with State.open(url) as state:
        with state.write() as db:
            assert [row.version for row in versions.listing(db, slot)] == [1, 2, 3]
            assert requests.ask(db, Wish("manual", "first"), process=this_process(), at=noon)[1]
            db.execute(rollouts.insert().values(ROLLOUT | {"recorded_at": noon}))
        with state.write_scores() as db:
            new = Prediction("AAPL", dt.date(2026, 3, 2), "BUY", 0.1, low=-1.0, high=1.0)
            assert scoreboards.write(db, slot, 9, [new], at=noon) == 1
        for table in (champions, rollouts):
            with pytest.raises(FailedError, match=f"{table.name} is append-only"), state.write() as db:
                db.execute(table.update().values(family="other"))


@pytest.mark.parametrize("statement", ["CREATE TABLE marketloop.trials", "CREATE TABLE marketloop.sightings", "COMMIT"])
def test_crash_in_the_middle_leaves_the_old_version_and_the_next_start_finishes(url: str, statement: str) -> None:
    make_old(url, 1)
    before = contents(url)
    script = f"""
import os, signal, sys
from sqlalchemy import Engine, event
from marketloop.state import State
wanted = {statement!r}
if sys.argv[1].startswith("sqlite"):
    wanted = wanted.replace("marketloop.", "")

def die(*given):
    if wanted == "COMMIT" or " ".join(str(given[2]).split()).startswith(wanted):
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "commit" if wanted == "COMMIT" else "before_cursor_execute", die)
State.open(sys.argv[1])
"""
    killed = subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert contents(url) == before
    State.open(url).close()
    assert [found for found, _, _ in contents(url)] == [VERSION, VERSION]


def test_crash_between_the_two_databases_is_finished_by_the_next_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    make_old(url, 3)
    fault = {**os.environ, "MARKETLOOP_FAULT": "ledger.commit.after"}
    command = [sys.executable, "-c", "import sys; from marketloop.state import State; State.open(sys.argv[1])", url]
    assert subprocess.run(command, env=fault, check=False).returncode == -signal.SIGKILL
    assert [found for found, _, _ in contents(url)] == [VERSION, 3]
    State.open(url).close()
    assert [found for found, _, _ in contents(url)] == [VERSION, VERSION]


def test_two_processes_that_open_an_old_database_migrate_it_once(url: str, compete: Callable[[str], list[str]]) -> None:
    make_old(url, 1)
    said = compete("""
with State.open(url) as s:
    print('alembic' in sys.modules)
    with s.read() as db: print(db.exec_driver_sql('SELECT 1').scalar())
""")
    assert [answer.split()[1] for answer in said] == ["1", "1"]
    for database, table in zip(databases(url), (schema_version, scores_version), strict=True):
        with database.read() as db:
            stored = [version for (version,) in db.execute(table.select().order_by(table.c.version))]
        database.engine.dispose()
        assert stored[-1] == VERSION
        assert len(stored) == len(set(stored))


@pytest.mark.parametrize("state_of_it", ["absent", "present"])
def test_opening_a_database_of_this_version_loads_no_alembic(tmp_path: Path, state_of_it: str) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    if state_of_it == "present":
        State.open(url).close()
    script = "import sys; from marketloop.state import State; State.open(sys.argv[1]).close(); print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True, check=True).stdout
    assert "sqlalchemy" in said.split()
    assert not {"alembic", "mako"} & set(said.split())


def test_newer_scoreboards_are_refused_before_the_old_ledger_is_touched(url: str) -> None:
    make_old(url, 1)
    (_, scores) = databases(url)
    with scores.write() as db:
        db.exec_driver_sql(f"CREATE TABLE {'marketloop_scores.' if place(db) else ''}schema (version INTEGER)")
        db.execute(scores_version.insert().values(version=99))
    scores.engine.dispose()
    before = contents(url)
    with pytest.raises(FailedError, match=r"state too new: .* has schema version 99"):
        State.open(url)
    assert contents(url) == before


def test_scripts_are_in_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    names = {f"marketloop/state/migrations/versions/version_{number:03d}.py" for number in range(1, VERSION + 1)}
    assert names <= inside
