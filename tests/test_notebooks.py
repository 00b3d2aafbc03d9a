"""Every notebook runs, small, and its two forms agree."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SCRIPTS = sorted(NOTEBOOKS.glob("*.py"))


def cells_of(script):
    """Cells of a percent script: kind and text."""
    cells = []
    for line in script.read_text(encoding="utf-8").splitlines():
        if line.startswith("# %%"):
            cells.append(("markdown" if "[markdown]" in line else "code", []))
        elif cells and cells[-1][0] == "markdown":
            cells[-1][1].append(line.removeprefix("#").removeprefix(" "))
        elif cells:
            cells[-1][1].append(line)
    return [(kind, "\n".join(lines).strip()) for kind, lines in cells]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_is_its_script(script):
    notebook = json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))
    cells = [(c["cell_type"], "".join(c["source"]).strip()) for c in notebook["cells"]]
    assert cells == cells_of(script)
    assert script.with_suffix(".ipynb").stat().st_size < 400_000
    assert "image/svg" not in script.with_suffix(".ipynb").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_runs(script):
    run = subprocess.run(
        [sys.executable, script.name],
        cwd=NOTEBOOKS,
        env={**os.environ, "JAXCAM_TINY": "1", "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
