"""Drift, decay, calibration and freshness as pure functions of frames and arrays."""
