"""Simulated markets with known truth: shocks, bars, a planted signal, and what the generator itself expects."""
