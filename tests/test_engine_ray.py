"""Shards as tasks of a local Ray cluster, one of whose workers is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxcam import evaluation, results, storage

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.scale]

IMAGES, SHARD = 48, 8

DRIVER = """
import dataclasses, os, sys, time
from pathlib import Path
from jaxcam import engine_ray, evaluation
from jaxcam.cli import evaluate

out, images, shard = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

class Slow:
    '''The command, whose tasks say who they are and take a while.'''

    def __init__(self, command):
        self.command = command

    def compute(self, share, stop, *, show_progress):
        (out.parent / f"pid-{share.index}-{os.getpid()}").touch()
        time.sleep(2)
        self.command.compute(share, stop, show_progress=show_progress)

command = evaluate.Evaluate(
    data=f"shapes:test,n={images}", shard_size=shard, methods="cam",
    metrics="energy_pointing_game", out=out,
)
engine_ray.run(Slow(command), evaluation.shard_ranges(images, shard), out)
"""


def test_a_worker_killed_in_the_middle_costs_nothing(tmp_path):
    out = tmp_path / "run"
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    driver = subprocess.Popen(
        [sys.executable, script, out, str(IMAGES), str(SHARD)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed = None
    while killed is None:
        assert driver.poll() is None, driver.stderr.read()
        for mark in tmp_path.glob("pid-*"):
            killed = mark.name.split("-")[1:]
            os.kill(int(killed[1]), signal.SIGKILL)
            break
        time.sleep(0.05)
    said = driver.communicate(timeout=900)[1]
    assert driver.returncode == 0, said
    assert f"{IMAGES}/{IMAGES} images" in said
    tried = {mark.name for mark in tmp_path.glob(f"pid-{killed[0]}-*")}
    assert len(tried) > 1  # The killed task was done again, by another process.
    assert set(storage.finished_shards(out)) == set(range(IMAGES // SHARD))
    result = results.load_run(out)
    for method in result.methods:
        index = result.columns["index"][result.rows_of(method)]
        np.testing.assert_array_equal(index, np.arange(IMAGES))


def test_ranges_are_those_of_the_shards():
    assert evaluation.shard_ranges(10, 4, 9) == (range(4), range(4, 8), range(8, 9))
