"""A run made up without a network, and a browser if there is one."""

import base64
import json
import math
import re
import shutil
import subprocess

import numpy as np
import pytest

import jaxcam
from jaxcam import results

METHODS = ("cam", "grad_cam", "layer_cam", "uniform", "truth")
EVIL = "<script>document.title='broken'</script>&\"'"
IMAGES = 12


def made_up(seed=0, images=IMAGES, methods=METHODS, model="shapes_net", evil=True):
    """Results over the first procedural images, with every kind of column."""
    rng = np.random.default_rng(seed)
    dataset = jaxcam.data.open_dataset(f"shapes:test,n={images}")
    shape = images, len(methods)
    quality = np.array([0.75, 0.6, 0.5, 0.2, 1.0])[: len(methods)]
    base = np.clip(quality + 0.1 * rng.normal(size=shape), 0, 1)
    error = 1 - base + 0.02 * rng.random(shape)
    undefined = base.copy()
    undefined[:3] = np.nan
    thresholds = np.clip(base[..., None] - np.abs(np.linspace(-0.3, 0.7, 20)), 0, 1)
    curve = np.clip(np.linspace(0, 1, 15) + 0.2 * base[..., None], 0, 1)
    values = {
        "energy_pointing_game": base,
        "energy_pointing_game[region=box]": np.clip(base + 0.1, 0, 1),
        "pointing_game": (base > 0.55).astype(float),
        "localization_error": error,
        "dice": undefined,
        "average_drop": np.full(shape, math.nan),
        "insertion": curve.mean(axis=-1),
        "insertion_curve": curve,
        "max_box_accuracy": thresholds,
    }
    index = np.repeat(np.arange(images), len(methods))
    ids = np.array([dataset.records[i].id for i in range(images)], object)
    names = np.array(["disc", "a star"] * images, object)[:images]
    if evil:
        ids[0], names[0] = EVIL, EVIL
    correct = np.ones(images)
    correct[[1, 2]] = 0
    valid = np.ones(len(index), bool)
    valid[index == 5] = False
    reason = np.where(valid, "", f"cannot be read: {EVIL}").astype(object)
    columns = {
        "index": index,
        "id": ids[index],
        "method": list(methods) * images,
        "valid": valid,
        "reason": reason,
        "target": index % 8,
        "target_name": names[index],
        "predicted_class": (index + (correct[index] == 0)) % 8,
        "correct": correct[index].astype(np.float32),
        "probability": rng.random(len(index)).astype(np.float32),
    }
    for name, value in values.items():
        flat = value.reshape(len(index), *value.shape[2:]).astype(np.float32)
        flat[~valid] = np.nan
        columns[name] = flat
    maps = [rng.random(16).astype(np.float32) for _ in index]
    stored = [m not in ("uniform", "truth") for m in columns["method"]]
    columns["saliency"] = [m if s else m[:0] for m, s in zip(maps, stored, strict=True)]
    side = np.where(stored, 4, 0).astype(np.int32)
    columns |= {"saliency_height": side, "saliency_width": side}
    scientific = {
        "model": {"name": model, "trained": True, "input": {"size": [64, 64]}},
        "data": {
            "name": f"shapes:test,n={images}",
            "fingerprint": dataset.fingerprint(),
            "rows": images,
        },
        "preset": "paper",
        "normalization": None,
        "geometry": "squash",
        "border": "ignore",
        "explained": "label",
    }
    operational = {"note": EVIL}
    manifest = {"scientific": scientific, "operational": operational}
    return results.Result.from_columns(columns, manifest)


@pytest.fixture(scope="session")
def make():
    return made_up


@pytest.fixture(scope="session")
def evil():
    """Text that breaks a page which does not escape it."""
    return EVIL


@pytest.fixture(scope="session")
def result():
    return made_up()


@pytest.fixture(scope="session")
def page(result, tmp_path_factory):
    """A report of the made-up run."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    return jaxcam.report(result, out, pictures=2)


@pytest.fixture(scope="session")
def chromium():
    """Opens a page in a real browser without a window."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium; apt-get install chromium")

    def run(path, *options, profile):
        command = [found, "--headless", "--no-sandbox", "--disable-gpu"]
        command += ["--disable-dev-shm-usage"]  # Containers have little of it.
        command += ["--enable-logging=stderr", f"--user-data-dir={profile}"]
        command += ["--host-resolver-rules=MAP * ~NOTFOUND", *options, path.as_uri()]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=180
        )

    return run


@pytest.fixture
def asked(chromium, page, tmp_path):
    """Runs a script in the page as a user would act, and returns what it found.

    The script is an async function's body; what it returns comes back. Errors in the
    page come back as an exception.
    """

    def ask(script, *options, width=1280):
        text = page.read_text(encoding="utf-8")
        probe = (
            "<script>window.problems = []; addEventListener('error', e => "
            "problems.push(String(e.message)));</script>"
        )
        asking = (
            # Virtual time leaps to its end where nothing is due, and pictures are
            # decoded in real time: a timer keeps it ticking.
            "<script>addEventListener('load', async () => { setInterval(() => 0, 1);"
            f"const found = await (async () => {{{script}}})().catch(String);"
            "parent.postMessage(JSON.stringify({found, problems}), '*');});</script>"
        )
        inner = text.replace("<head>", "<head>" + probe, 1) + asking
        (tmp_path / "inner.html").write_text(inner, encoding="utf-8")
        frame = f"width:{width}px;height:3000px;border:0"
        outer = (
            "<script>addEventListener('message', e => { document.getElementById("
            "'answer').textContent = btoa(unescape(encodeURIComponent(e.data))); });"
            "</script><p id=answer></p>"
            f"<iframe src=inner.html style='{frame}'></iframe>"
        )
        (tmp_path / "outer.html").write_text(outer, encoding="utf-8")
        for seconds in (20, 60, 180):  # A busy machine may need more of it.
            done = chromium(
                tmp_path / "outer.html",
                "--dump-dom",
                f"--virtual-time-budget={1000 * seconds}",
                *options,
                profile=tmp_path / f"profile{seconds}",
            )
            answer = re.search(r'<p id="answer">([^<]+)</p>', done.stdout)
            if answer:
                break
        assert answer, done.stderr[-2000:]
        told = json.loads(base64.b64decode(answer[1]))
        assert told["problems"] == []
        assert "CONSOLE" not in done.stderr
        return told["found"]

    return ask
