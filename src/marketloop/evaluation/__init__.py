"""Purged splits, streams, metrics, intervals, the skill test and the gate; pure functions of arrays."""
