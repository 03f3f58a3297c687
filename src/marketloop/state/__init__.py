"""Remembers what happened, in SQL: cycles, versions, decisions, champions, streams, skill, scoreboards, outbox."""

from sqlalchemy import Connection

from marketloop.state.columns import Slot
from marketloop.state.process import Process, this_process
from marketloop.state.store import Database, State

__all__ = ["Connection", "Database", "Process", "Slot", "State", "this_process"]
