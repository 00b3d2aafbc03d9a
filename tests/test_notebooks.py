"""Every notebook runs, small, and its two forms agree."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SCRIPTS = sorted(NOTEBOOKS.glob("*.py"))


def code_of(script):
    """Code cells of a percent script."""
    cells, keep = [], False
    for line in script.read_text(encoding="utf-8").splitlines():
        if line.startswith("# %%"):
            keep = "[markdown]" not in line
            cells.append([])
        elif keep:
            cells[-1].append(line)
    return ["\n".join(cell).strip() for cell in cells if "".join(cell).strip()]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_is_its_script(script):
    notebook = json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))
    cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert ["".join(c["source"]).strip() for c in cells] == code_of(script)
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
