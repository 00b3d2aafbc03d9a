"""The README's examples run as they stand, its tables are new, its links alive."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from PIL import Image

import jaxcam
from benchmarks import make_readme
from jaxcam import tables

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
FOLDERS = ("benchmarks", "jaxcam", "notebooks", "tests")
PAGES = [*ROOT.glob("*.md"), *(p for f in FOLDERS for p in (ROOT / f).rglob("*.md"))]
TEXTS = [*PAGES, *(ROOT / "notebooks").glob("*.py")]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def test_generated_parts_are_up_to_date():
    """`python -m benchmarks.make_readme` writes them."""
    stale = [
        name_of(path)
        for path, text in make_readme.written().items()
        if path.read_text(encoding="utf-8") != text
    ]
    assert not stale


def anchors(page):
    """What GitHub calls the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue  # An address, which nothing here can vouch for.
        place, _, anchor = link.partition("#")
        target = path.parent / place if place else path
        if not target.exists() or (
            anchor and anchor not in anchors(target.read_text(encoding="utf-8"))
        ):
            dead.append(link)
    assert not dead


def test_the_readme_leads_to_every_notebook_and_to_how_to_contribute():
    text = README.read_text(encoding="utf-8")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"]({name_of(path)})" in text
    assert "(CONTRIBUTING.md" in text


@pytest.mark.slow
def test_the_table_of_the_default_run_is_what_comes_out():
    text = README.read_text(encoding="utf-8")
    shown = re.search(r"<!-- output: run -->\n(.*?)\n\n", text, re.DOTALL)[1]
    heads = [cell.split()[0] for cell in shown.splitlines()[0].strip("| ").split(" | ")]
    result = jaxcam.evaluate(
        jaxcam.models.load("shapes_net"),
        "shapes",
        methods=["cam", "grad_cam"],
        metrics=heads[1:],
    )
    number = r"-?\d+\.?\d*"
    made = tables.markdown(result.summary(metrics=heads[1:])).strip()
    assert re.sub(number, "", made) == re.sub(number, "", shown)
    found, said = (
        [float(x) for x in re.findall(number, each)] for each in (made, shown)
    )
    np.testing.assert_allclose(found, said, atol=0.002)  # Machines round differently.


class Gate(nnx.Module):
    """A layer that no library has."""

    def __init__(self, channels, *, rngs):
        self.scale = nnx.Param(jnp.ones(channels))
        self.conv = nnx.Conv(channels, channels, (3, 3), rngs=rngs)

    def __call__(self, x):
        return self.conv(x) * jax.nn.sigmoid(self.scale[...] * x)


class Net(nnx.Module):
    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 4, (16, 16), strides=16, rngs=rngs)
        self.layer4 = Gate(4, rngs=rngs)
        self.head = nnx.Linear(4, 5, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.mean(self.layer4(self.stem(x)), (1, 2)))


class LinenGate(linen.Module):
    @linen.compact
    def __call__(self, x):
        scale = self.param("scale", linen.initializers.ones, x.shape[-1:])
        return linen.Conv(x.shape[-1], (3, 3))(x) * jax.nn.sigmoid(scale * x)


class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, x, train: bool = True):
        x = LinenGate(name="layer4")(linen.Conv(4, (16, 16), 16)(x))
        x = linen.Dropout(0.5, deterministic=not train)(x)
        return linen.Dense(5)(jnp.mean(x, (1, 2)))


@pytest.mark.slow
def test_your_own_model_in_a_few_lines(tmp_path, monkeypatch, capsys):
    chapter = README.read_text(encoding="utf-8").split("## Your own model")[1]
    code = re.search(r"```python\n(.*?)```", chapter, re.DOTALL)[1]
    wraps = [line for line in code.splitlines() if "models.wrap" in line]
    assert len(wraps) == 2
    assert code.count("\n") < 20

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / "my_images" / kind).mkdir(parents=True)
    mask = np.zeros((224, 224), np.uint8)
    mask[50:150, 60:190] = 255
    for name in ("a", "b"):
        image = rng.integers(0, 255, (224, 224, 3)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "my_images" / "images" / f"{name}.png")
        Image.fromarray(mask).save(tmp_path / "my_images" / "masks" / f"{name}.png")
    module = LinenNet()
    given = {
        "my_nnx_model": Net(nnx.Rngs(0)),
        "my_linen_module": module,
        "variables": module.init(jax.random.key(0), jnp.zeros((1, 224, 224, 3)), False),
        "images": rng.random((2, 224, 224, 3), np.float32),
        "mask": mask > 0,
    }
    exec(compile(code, "README.md", "exec"), given)  # The README's own code.
    assert given["maps"].shape == (2, 224, 224)
    assert 0 <= float(given["score"]) <= 1
    assert "layer4" in given["linen_model"].layers
    assert "grad_cam" in capsys.readouterr().out
    assert (tmp_path / "runs" / "mine" / "manifest.json").is_file()
