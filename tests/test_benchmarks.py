"""Benchmarks run, small, with their correctness gates."""

import importlib
import os

import pytest


@pytest.mark.slow
def test_paper_columns():
    before = os.sched_getaffinity(0)
    try:
        bench = importlib.import_module("benchmarks.bench_paper_columns")
        made = bench.main(tiny=True)
    finally:
        os.sched_setaffinity(0, before)
    assert made["results"][0]["ratio"] > 0


@pytest.mark.slow
def test_methods():
    """Against the peers too, where `JAXCAM_METHOD_PEERS` says where they are."""
    before = os.sched_getaffinity(0)
    try:
        bench = importlib.import_module("benchmarks.bench_methods")
        made = bench.main(tiny=True)
    finally:
        os.sched_setaffinity(0, before)
    assert len(made["results"]) == (6 if made.get("peers") else 2)
    assert all(result["ratio"] > 0 for result in made["results"])


@pytest.mark.slow
def test_probes():
    """Against the peers too, where `JAXCAM_METHOD_PEERS` says where they are."""
    before = os.sched_getaffinity(0)
    try:
        bench = importlib.import_module("benchmarks.bench_probes")
        made = bench.main(tiny=True)
    finally:
        os.sched_setaffinity(0, before)
    assert len(made["results"]) == (5 if made.get("peers") else 3)
    assert all(result.get("ratio", 1) > 0 for result in made["results"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bench_selection", "bench_model_free_suite"])
def test_pixels_ranked_and_suites(name):
    before = os.sched_getaffinity(0)
    try:
        bench = importlib.import_module(f"benchmarks.{name}")
        made = bench.main(tiny=True)
    finally:
        os.sched_setaffinity(0, before)
    ratios = [line["ratio"] for line in made["results"] if "ratio" in line]
    assert len(ratios) > 2
    assert min(ratios) > 0


@pytest.mark.slow
def test_zoo():
    """Folding replaces every normalisation, and the logits stay: its gate holds."""
    before = os.sched_getaffinity(0)
    try:
        bench = importlib.import_module("benchmarks.bench_zoo")
        made = bench.main(tiny=True)
    finally:
        os.sched_setaffinity(0, before)
    assert made["results"][-1]["replaced"] == {"folded": 4, "grouped": 0}
    assert all(min(result["ms"].values()) > 0 for result in made["results"])
