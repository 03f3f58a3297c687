"""Mirrors what the ledger says into MLflow, for people who look there."""

from marketloop.state.outbox import Drained
from marketloop.tracking.mirror import TOPIC, MlflowMirror, drain, put_back

__all__ = ["TOPIC", "Drained", "MlflowMirror", "drain", "put_back"]
