"""Benchmarks: one question a file, both sides in one run."""
