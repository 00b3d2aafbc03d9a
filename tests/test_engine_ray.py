"""Shards as tasks of a Ray cluster: what is asked for, and a worker that is killed."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest

from jaxcam import engine_ray, evaluation, results, storage

IMAGES, SHARD = 24, 8


class TaskError(Exception):
    """As Ray wraps what a task raises."""

    def __init__(self, cause):
        super().__init__("ray::_compute() (pid=1) Traceback (most recent call last): ")
        self.cause = cause


def fake_ray(asked, cancelled):
    """Ray's functions, which run a task when its result is asked for."""
    ray = types.ModuleType("ray")
    ray.exceptions = types.SimpleNamespace(RayTaskError=TaskError)
    ray.is_initialized = lambda: True
    ray.cancel = cancelled.append

    def remote(fn):
        def task(*arguments):
            asked.append(arguments[1])
            return fn, arguments

        made = types.SimpleNamespace(remote=task)
        made.options = lambda **options: made
        return made

    def get(reference):
        fn, arguments = reference
        try:
            fn(*arguments)
        except Exception as error:
            raise TaskError(error) from error

    ray.remote, ray.get = remote, get
    ray.wait = lambda references, timeout: (references[:1], references[1:])
    return ray


class Writing:
    """A command whose shards are empty."""

    def __init__(self, out):
        self.out, self.folders = out, []

    def compute(self, share, stop, *, show_progress):
        self.folders.append(os.getcwd())
        storage.write_shard(self.out, share.index, {"index": []})


@pytest.fixture
def asked(monkeypatch):
    found = types.SimpleNamespace(shards=[], cancelled=[])
    fake = fake_ray(found.shards, found.cancelled)
    monkeypatch.setitem(sys.modules, "ray", fake)
    return found


RANGES = evaluation.shard_ranges(10, 4)


def run(command, out, **options):
    engine_ray.run(command, RANGES, out, show_progress=False, **options)


def test_what_is_there_is_not_asked_for(asked, tmp_path):
    command = Writing(tmp_path)
    storage.write_shard(tmp_path, 1, {"index": []})
    run(command, tmp_path)
    assert asked.shards == [0, 2]
    assert command.folders == [os.getcwd()] * 2
    run(command, tmp_path)  # One makes sure of the settings.
    assert asked.shards == [0, 2, 0]


def test_a_tasks_own_error_is_raised(asked, tmp_path):
    class Refusing:
        def compute(self, share, stop, *, show_progress):
            raise ValueError("holds a run of other settings")

    with pytest.raises(ValueError, match=r"^holds a run of other settings$"):
        run(Refusing(), tmp_path)


def test_a_request_to_end_gives_up_the_shards_at_hand(asked, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(Writing(tmp_path), tmp_path, stop=lambda: True)
    assert list(storage.finished_shards(tmp_path)) == [0]
    assert len(asked.cancelled) == 2


def test_without_ray_a_line_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"jaxcam-eval\[ray\]"):
        run(Writing(tmp_path), tmp_path)


def tasks_of(mark):
    """Processes of a cluster that are at a task, by their titles."""
    for folder in Path("/proc").iterdir():
        try:
            title = (folder / "cmdline").read_bytes()
            if b"ray::_compute" in title and mark in (folder / "environ").read_bytes():
                yield int(folder.name)
        except (OSError, ValueError):
            continue


@pytest.mark.slow
@pytest.mark.scale
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is absent")
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes cannot be listed")
def test_a_worker_killed_in_the_middle_costs_nothing(tmp_path):
    """By the command, on a cluster of its own: the task is done again."""
    command = (
        f"evaluate --engine ray --data shapes:test,n={IMAGES} --shard-size {SHARD} "
        "--methods cam --metrics energy_pointing_game --out run --no-report"
    )
    driver = subprocess.Popen(
        [sys.executable, "-m", "jaxcam", *command.split()],
        cwd=tmp_path,  # The tasks find what the command names by a relative path.
        env=os.environ
        | {
            "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "programs"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "RAY_ADDRESS": "local",
            "RAY_USAGE_STATS_ENABLED": "0",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        mark, victim = str(tmp_path).encode(), None
        while victim is None:
            assert driver.poll() is None, driver.stdout.read()
            victim = next(tasks_of(mark), None)
            time.sleep(0.05)
        os.kill(victim, signal.SIGKILL)
        said, _ = driver.communicate(timeout=600)
    finally:
        driver.terminate()  # Its cluster ends with it.
        driver.wait(60)
    assert driver.returncode == 0, said
    assert f"{IMAGES}/{IMAGES} images" in said
    out = tmp_path / "run"
    assert set(storage.finished_shards(out)) == set(range(IMAGES // SHARD))
    result = results.load_run(out)
    for method in result.methods:
        index = result.columns["index"][result.rows_of(method)]
        np.testing.assert_array_equal(index, np.arange(IMAGES))
    assert (out / storage.SUMMARY).is_file()


def test_ranges_are_those_of_the_shards():
    assert evaluation.shard_ranges(10, 4, 9) == (range(4), range(4, 8), range(8, 9))
