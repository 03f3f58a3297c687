"""Benchmarks, honesty and fault runs: what the product claims, measured on the machine at hand."""
