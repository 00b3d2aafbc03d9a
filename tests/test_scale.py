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
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxcam import results, storage

pytestmark = [pytest.mark.slow, pytest.mark.scale]

IMAGES, SHARD, THREADS, KILLS = 20, 8, 8, 20

LIBRARY = """
import sys, jaxcam
out, images, shard = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
model = jaxcam.models.load("shapes_net")
dataset = jaxcam.data.open_dataset(f"shapes:test,n={images}")
print("ready", flush=True)
jaxcam.evaluate(
    model, dataset, out=out, shard_size=shard, methods=["cam"], floors=False,
    metrics=["energy_pointing_game", "dice", "average_drop"],
)
"""
METRICS = "energy_pointing_game,average_drop,deletion[steps=2]"
COMMAND = ("-m", "jaxcam", "evaluate", "--no-compile-cache", "--metrics", METRICS)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts a Python process; all share one cache of compiled programs."""
    cache = tmp_path_factory.mktemp("programs")
    started = []

    def process(*arguments, devices=1, **variables):
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "PJRT_NPROC": str(THREADS),
        }
        pipe = subprocess.PIPE
        made = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=environment | variables,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(made)
        return made

    yield process
    for made in started:
        made.kill()
        made.wait()
        made.stdout.close()


@pytest.fixture(scope="module")
def command(start):
    def process(out, *more, images=IMAGES, **options):
        data = ("--data", f"shapes:test,n={images}", "--shard-size", SHARD)
        return start(*COMMAND, *data, "--out", out, *more, **options)

    return process


def finished(*processes):
    for process in processes:
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def reference(command, tmp_path_factory):
    out = tmp_path_factory.mktemp("one") / "run"
    finished(command(out))
    return out


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


@pytest.mark.parametrize(
    ("devices", "batch"), [(1, 1), (1, 7), (2, 7), (4, 1), (8, 16)]
)
def test_devices_and_batches(command, reference, tmp_path, devices, batch):
    finished(command(tmp_path / "run", "--batch-size", batch, devices=devices))
    same(tmp_path / "run", reference)


@pytest.mark.parametrize("together", [True, False], ids=["one folder", "merged"])
def test_shares(command, start, reference, tmp_path, together):
    runs = [tmp_path / ("run" if together else f"part{i}") for i in range(3)]
    shares = [command(runs[i], "--shard", f"{i}/3") for i in range(3)]
    finished(*shares)
    if not together:
        out = ("--out", tmp_path / "run")
        finished(start("-m", "jaxcam", "merge", *runs, *out))
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
    """The one that serves the others; what it left is done by the same command."""
    first, second = group(command, tmp_path / "run", images=6 * SHARD)
    wait_for(lambda: storage.finished_shards(tmp_path / "run"), first)
    first.kill()
    said = finished(second)
    assert "Not every process came to the end" in said
    assert {1, 3, 5} <= set(storage.finished_shards(tmp_path / "run"))
    finished(command(tmp_path / "run", images=6 * SHARD))
    assert results.load_run(tmp_path / "run").n_missing == 0


def wait_for(condition, process):
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_in_good_order(command, tmp_path, number):
    out, images = tmp_path / "run", 40 * SHARD
    process = command(out, images=images)
    wait_for(lambda: storage.finished_shards(out), process)
    process.send_signal(number)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert "Finishing the batch" in said
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert 0 < len(storage.finished_shards(out)) < 40
    assert not storage.unfinished_shards(out)


def test_the_second_signal_stops_at_once(command, tmp_path):
    out, images = tmp_path / "run", 40 * SHARD
    process = command(out, images=images)
    wait_for(lambda: storage.finished_shards(out), process)
    process.send_signal(signal.SIGTERM)
    assert any("Finishing the batch" in line for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_killed_twenty_times_nothing_is_lost_and_nothing_is_there_twice(
    start, tmp_path
):
    """At random moments after the network is loaded; a whole run is begun anew."""
    images, moment = 100 * SHARD, random.Random(0)

    def process(out):
        made = start("-c", LIBRARY, out, images, SHARD)
        assert made.stdout.readline() == "ready\n"
        return made

    finished(process(tmp_path / "first"))  # Compiles: no later one takes as long.
    whole = tmp_path / "whole"
    began = time.monotonic()
    finished(process(whole))
    longest = time.monotonic() - began
    killed, run, shards = 0, 0, []
    while killed < KILLS:
        out = tmp_path / f"run{run}"
        made = process(out)
        try:
            made.wait(moment.uniform(0, longest))
        except subprocess.TimeoutExpired:
            made.kill()
            made.wait()
            killed += 1
            shards.append(len(storage.finished_shards(out)))
            assert not storage.unfinished_shards(out)
        else:
            same(out, whole)
            run += 1
    assert any(0 < count < 100 for count in shards), shards
    finished(process(tmp_path / f"run{run}"))
    same(tmp_path / f"run{run}", whole)
