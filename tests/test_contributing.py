"""The examples of CONTRIBUTING.md work as they stand, each from its one file."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

USED = """
import doctest, importlib, sys
import jax, jax.numpy as jnp, numpy as np
import jaxcam
from pathlib import Path
assert Path(jaxcam.__file__).is_relative_to(Path.cwd()), jaxcam.__file__
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs={"jnp": jnp, "np": np})
    assert found.failed == 0, found
assert "energy_height" in jaxcam.registry.names("metrics")
top = jnp.zeros((4, 4)).at[0].set(1.0)
assert jaxcam.metrics.energy_height(top) == 0.125
rng = np.random.default_rng(0)
masks = np.zeros((2, 64, 64), bool)
masks[:, 20:40, 20:40] = True
np.savez("mine.npz", images=rng.integers(0, 256, (2, 64, 64, 3), np.uint8), masks=masks)
from jaxcam.data import readers_arrays
result = jaxcam.evaluate(
    jaxcam.models.load("shapes_net"),
    readers_arrays.array_file(Path("mine.npz")),
    methods=["activation_norm"],
    metrics=["energy_height", "energy_pointing_game"],
)
assert result.n_images == 2 and result.valid.all()
assert abs(result.values("energy_height", "uniform") - 0.5).max() < 1e-6
assert (result.values("energy_pointing_game", "activation_norm") > 0).all()
"""


def examples():
    """Files that the text writes out, by path."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    pattern = r"<!-- file: (\S+) -->\n```python\n(.*?)```"
    return dict(re.findall(pattern, text, re.DOTALL))


def test_the_examples_are_formatted(tmp_path):
    for path, code in examples().items():
        (tmp_path / Path(path).name).write_text(code, encoding="utf-8")
    config = ["--config", str(ROOT / "pyproject.toml")]
    for command in (["check"], ["format", "--check"]):
        run = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *config, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout


def test_a_metric_a_method_and_a_reader_are_one_file_each(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "jaxcam", tmp_path / "jaxcam", ignore=ignored)
    found = examples()
    assert len(found) == 3
    for path, code in found.items():
        assert not (tmp_path / path).exists()
        (tmp_path / path).write_text(code, encoding="utf-8")
    names = [path.removesuffix(".py").replace("/", ".") for path in found]
    (tmp_path / "use.py").write_text(USED, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "use.py", *names],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
