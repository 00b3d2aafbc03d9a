"""One run by many devices and processes, killed and gone on with: the same to the bit.

Every run is a process of its own; the small net on procedural images. On CPU the sums
in XLA's matrix products depend on its number of threads, which is that of the cores and
at least that of the devices: here it is one number for all.
"""

import json
import os
import random
import signal
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from jaxcam import results, storage
from tests import forks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.scale,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked"),
]

IMAGES, SHARD, THREADS, KILLS = 20, 8, 8, 20

LIBRARY = """
import sys, jaxcam
out, data, shard, methods, metrics, *batches = sys.argv[1:]
model = jaxcam.models.load("shapes_net")
dataset = jaxcam.data.open_dataset(data)
print("ready", flush=True)
for batch in batches:
    jaxcam.evaluate(
        model, dataset, out=f"{out}-{batch}", shard_size=int(shard),
        methods=[methods], metrics=metrics.split(","), floors=methods != "cam",
        batch_size=int(batch),
    )
"""
METHODS = "grad_cam"
METRICS = "energy_pointing_game,average_drop,deletion[steps=2]"
COMMAND = ("evaluate", "--no-compile-cache", "--no-report", "--shard-size", SHARD)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Starts processes; all share one cache of compiled programs."""
    made = forks.Server(
        tmp_path_factory.mktemp("logs"),
        JAX_COMPILATION_CACHE_DIR=str(tmp_path_factory.mktemp("programs")),
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
        PJRT_NPROC=str(THREADS),
    )
    yield made
    made.close()


def on_devices(count):
    return {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}


@pytest.fixture(scope="module")
def library(server):
    """Evaluates by the library, into a directory for each batch size."""

    def process(out, *batches, images=IMAGES, devices=1, small=False):
        asked = ("cam", "energy_pointing_game") if small else (METHODS, METRICS)
        data = f"shapes:test,n={images}"
        arguments = (out, data, SHARD, *asked, *batches)
        return server.start("-c", LIBRARY, *arguments, **on_devices(devices))

    return process


@pytest.fixture(scope="module")
def command(server):
    """Evaluates by the command."""

    def process(out, *more, images=IMAGES, devices=1, **variables):
        asked = ("--methods", METHODS, "--metrics", METRICS)
        where = ("--data", f"shapes:test,n={images}", "--out", out)
        variables |= on_devices(devices)
        return server.start(*COMMAND, *asked, *where, *more, **variables)

    return process


def finished(*processes):
    for process in processes:
        assert process.wait() == 0, process.said()
    return process.said()


@pytest.fixture(scope="module")
def runs(library, tmp_path_factory):
    """The same run on one device, by its batch size."""
    out = tmp_path_factory.mktemp("one") / "run"
    finished(library(out, 1, 7, 16))
    return {batch: Path(f"{out}-{batch}") for batch in (1, 7, 16)}


@pytest.fixture(scope="module")
def reference(runs):
    return runs[16]


def same(out, reference):
    """Every value of every image is equal to the bit and there once; so is the end."""
    a, b = results.load_run(out), results.load_run(reference)
    assert set(a.columns) == set(b.columns)
    for name in a.columns:
        x, y = a.columns[name], b.columns[name]
        assert len(x) == len(y)
        if x.dtype == object:
            assert all(np.array_equal(p, q) for p, q in zip(x, y, strict=True)), name
        else:
            np.testing.assert_array_equal(x, y, err_msg=name)
    for method in a.methods:
        index = a.columns["index"][a.rows_of(method)]
        np.testing.assert_array_equal(
            index, np.arange(a.manifest["scientific"]["data"]["rows"])
        )
    ends = [json.loads((run / storage.SUMMARY).read_text()) for run in (out, reference)]
    assert ends[0] == ends[1]
    return a.manifest["operational"]


def test_killed_twenty_times_nothing_is_lost_and_nothing_is_there_twice(
    library, tmp_path
):
    """At random moments after the network is loaded; a whole run is begun anew."""
    shards, moment = 40, random.Random(0)

    def process(out):
        made = library(out, SHARD, images=shards * SHARD, small=True)
        wait_for(made.said, made)
        return made, Path(f"{out}-{SHARD}")

    finished(process(tmp_path / "first")[0])  # Compiles: no later one takes as long.
    made, whole = process(tmp_path / "whole")
    began = time.monotonic()
    finished(made)
    longest = time.monotonic() - began
    killed, run, found = 0, 0, []
    while killed < KILLS:
        made, out = process(tmp_path / f"run{run}")
        try:
            assert made.wait(moment.uniform(0, longest)) == 0, made.said()
        except TimeoutError:
            made.kill()
            killed += 1
            found.append(len(storage.finished_shards(out)))
            assert not storage.unfinished_shards(out)
        else:
            same(out, whole)
            run += 1
    assert any(0 < count < shards for count in found), found
    made, out = process(tmp_path / f"run{run}")
    finished(made)
    same(out, whole)


@pytest.mark.parametrize("batch", [1, 7])
def test_batches(runs, reference, batch):
    assert same(runs[batch], reference)["batch_size"] == batch


@pytest.mark.parametrize(("devices", "batch"), [(2, 7), (4, 1), (8, 16)])
def test_devices(library, reference, tmp_path, devices, batch):
    finished(library(tmp_path / "run", batch, devices=devices))
    noted = same(Path(f"{tmp_path / 'run'}-{batch}"), reference)
    assert len(noted["devices"]) == devices


def test_three_shares_are_merged(command, server, reference, tmp_path):
    parts = [tmp_path / f"part{i}" for i in range(3)]
    finished(*(command(parts[i], "--shard", f"{i}/3") for i in range(3)))
    finished(server.start("merge", *parts, "--out", tmp_path / "run"))
    same(tmp_path / "run", reference)


def group(command, out, images=IMAGES):
    """Two processes of two devices each, found by JAX."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    return [
        command(
            out,
            "--engine",
            "jax",
            images=images,
            devices=2,
            JAX_COORDINATOR_ADDRESS=f"localhost:{port}",
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(i),
        )
        for i in range(2)
    ]


def test_two_processes_of_two_devices(command, reference, tmp_path):
    finished(*group(command, tmp_path / "run"))
    same(tmp_path / "run", reference)


def test_the_others_go_on_when_the_first_process_dies(command, tmp_path):
    """It is the one that serves the others."""
    first, second = group(command, tmp_path / "run", images=6 * SHARD)
    wait_for(lambda: storage.finished_shards(tmp_path / "run"), first)
    first.kill()
    said = finished(second)
    assert "Not every process came to the end" in said
    assert {1, 3, 5} <= set(storage.finished_shards(tmp_path / "run"))


def test_more_processes_than_shards_are_refused_by_all(command, tmp_path):
    for process in group(command, tmp_path / "run", images=SHARD):
        assert process.wait() == 2
        assert "2 processes share 1 shards" in process.said()


def wait_for(condition, process):
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.said()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGINT, 2), (signal.SIGTERM, 0)]
)
def test_a_signal_ends_a_run_in_good_order(command, tmp_path, number, workers):
    """A terminal's Ctrl-C goes to the processes that decode, too."""
    out = tmp_path / "run"
    process = command(out, "--workers", workers, images=40 * SHARD)
    wait_for(lambda: storage.finished_shards(out), process)
    os.killpg(process.pid, number)
    assert process.wait() == 128 + number
    said = process.said()
    assert "Finishing the batch" in said
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert 0 < len(storage.finished_shards(out)) < 40
    assert not storage.unfinished_shards(out)


def test_the_second_signal_stops_at_once(command, tmp_path):
    """And leaves no process behind that decodes for nobody."""
    out = tmp_path / "run"
    process = command(out, "--workers", 2, images=40 * SHARD)
    wait_for(lambda: storage.finished_shards(out), process)
    os.kill(process.pid, signal.SIGTERM)
    wait_for(lambda: "Finishing the batch" in process.said(), process)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) in (-signal.SIGTERM, 128 + signal.SIGTERM)
    deadline = time.monotonic() + 60
    while process.session():
        assert time.monotonic() < deadline
        time.sleep(0.05)
