"""Benchmarks run, small, with their correctness gates."""

import importlib
import os

import pytest


def tiny(name):
    """What a small run of a benchmark makes; the cores it takes are given back."""
    before = os.sched_getaffinity(0)
    try:
        return importlib.import_module(f"benchmarks.{name}").main(tiny=True)
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.slow
def test_paper_columns():
    made = tiny("bench_paper_columns")
    assert made["results"][0]["ratio"] > 0


@pytest.mark.slow
def test_methods():
    """Against the peers too, where `JAXCAM_METHOD_PEERS` says where they are."""
    made = tiny("bench_methods")
    assert len(made["results"]) == (6 if made.get("peers") else 2)
    assert all(result["ratio"] > 0 for result in made["results"])


@pytest.mark.slow
def test_probes():
    """Against the peers too, where `JAXCAM_METHOD_PEERS` says where they are."""
    made = tiny("bench_probes")
    assert len(made["results"]) == (5 if made.get("peers") else 3)
    assert all(result.get("ratio", 1) > 0 for result in made["results"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bench_selection", "bench_model_free_suite"])
def test_pixels_ranked_and_suites(name):
    made = tiny(name)
    ratios = [line["ratio"] for line in made["results"] if "ratio" in line]
    assert len(ratios) > 2
    assert min(ratios) > 0


@pytest.mark.slow
def test_zoo():
    """Folding replaces every normalisation, and the logits stay: its gate holds."""
    made = tiny("bench_zoo")
    assert made["results"][-1]["replaced"] == {"folded": 4, "grouped": 0}
    assert all(min(result["ms"].values()) > 0 for result in made["results"])


@pytest.mark.slow
def test_throughput():
    """Every stage of the whole takes its time; the columns' gate holds."""
    (made,) = tiny("bench_throughput")["results"]
    assert made["images_per_s"] > 0
    assert min(made["ms"].values()) > 0


@pytest.mark.slow
def test_scaling():
    """Every run has the same first shard to the bit, which is its gate."""
    *runs, whole = tiny("bench_scaling")["results"]
    assert [run["case"]["images"] for run in runs[:3]] == [24, 48, 24]
    assert min(run["ms"] for run in runs) > 0
    assert whole["loop_memory"] > 0
