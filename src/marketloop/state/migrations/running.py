"""Runs the scripts of the versions by Alembic; which version a database has is told by its own table, not Alembic's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection

from marketloop.state import dialects
from marketloop.state.migrations import Which

__all__ = ["run", "scripts"]

_FOLDER = Path(__file__).parent


def scripts() -> tuple[Script, ...]:
    """Return the scripts in order; the revision of each is the number of its version."""
    found = ScriptDirectory(_FOLDER, version_locations=[_FOLDER / "versions"]).walk_revisions()
    return tuple(reversed(tuple(found)))


def run(db: Connection, which: Which, *, version: int) -> None:
    """Run every script later than `version`: its function ``upgrade_ledger`` or ``upgrade_scores``."""
    dialects.use_schema(db)
    operations = Operations(MigrationContext.configure(db))
    for script in scripts():
        if int(script.revision) > version:
            module: Any = script.module
            getattr(module, f"upgrade_{which}")(operations)
