"""Brings a database of an earlier MarketLoop up to date, one script per version; Alembic is loaded only then."""

from __future__ import annotations

import importlib
from typing import Literal

from sqlalchemy import Connection

__all__ = ["Which", "upgrade"]

Which = Literal["ledger", "scores"]


def upgrade(db: Connection, which: Which, *, version: int) -> None:
    """Run every script later than `version` on a database, in order, inside the open transaction of `db`.

    Both databases know transactional DDL: a crash in the middle leaves the tables of `version`.

    Parameters
    ----------
    which : {"ledger", "scores"}
        Which of the two databases `db` is.
    version : int
        What it holds now; 0 for nothing.
    """
    importlib.import_module("marketloop.state.migrations.running").run(db, which, version=version)
