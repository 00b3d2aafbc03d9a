"""Imports go downwards only, and a light import stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "jaxcam"

# A module imports from lower floors only; packages on one floor never import each
# other. Modules that stand alone on a floor may build on those named before them.
FLOORS = {
    "_types": 0,
    "_batching": 0,
    "_checks": 0,
    "_compiling": 0,
    "_devices": 0,
    "_jaxprs": 0,
    "_numerics": 0,
    "_order": 0,
    "_spec": 0,
    "interruption": 0,
    "progress": 0,
    "shares": 0,
    "ops": 1,
    "models": 1,
    "data": 1,
    "metrics": 2,
    "methods": 2,
    "probes": 2,
    "registry": 3,
    "suites": 4,
    "plan": 4,
    "programs": 4,
    "columns": 4,
    "storage": 4,
    "statistics": 4,
    "correlations": 4,
    "summaries": 4,
    "results": 4,
    "comparison": 4,
    "boxes_and_masks": 4,
    "agreement": 4,
    "tables": 4,
    "rows": 4,
    "engine_ray": 5,
    "engines": 5,
    "evaluation": 5,
    "explanation": 5,
    "charts": 5,
    "scoring": 5,
    "rescoring": 5,
    "catalogue": 5,
    "definitions": 5,
    "fitting": 5,
    "training": 5,
    "labelled_images": 5,
    "finetuning": 5,
    "plot": 6,
    "pictures": 6,
    "multiverse": 7,
    "experiments": 7,
    "reports": 7,
    "cli": 8,
    "__main__": 9,
}
PACKAGES = {name for name in FLOORS if (PACKAGE / name).is_dir()}


def module_names():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield path, tuple(part for part in parts if part != "__init__")


def imports_of(path):
    """Modules of the package that a file imports, at any depth, as tuples of names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "jaxcam":
                    yield tuple(alias.name.split(".")[1:])
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module and node.module.split(".")[0] == "jaxcam":
                base = tuple(node.module.split(".")[1:])
                for alias in node.names:
                    target = PACKAGE.joinpath(*base, alias.name)
                    is_module = target.is_dir() or target.with_suffix(".py").exists()
                    yield (*base, alias.name) if is_module else base


FILES = [(path, name) for path, name in module_names() if name]


@pytest.mark.parametrize(
    ("path", "name"), FILES, ids=[".".join(name) for _, name in FILES]
)
def test_imports_go_downwards(path, name):
    assert name[0] in FLOORS, f"give {name[0]} a floor"
    floor = FLOORS[name[0]]
    for target in imports_of(path):
        if not target or target[0] == name[0]:
            continue
        other = FLOORS[target[0]]
        assert other <= floor, f"{'.'.join(name)} imports {'.'.join(target)} from above"
        same_floor_package = other == floor and (
            name[0] in PACKAGES or target[0] in PACKAGES
        )
        assert not same_floor_package, f"{name[0]} and {target[0]} share a floor"


def test_imports_are_acyclic():
    """Between modules of one floor and inside packages, `__init__` files left out."""
    graph = {name: set() for _, name in FILES}
    for path, name in FILES:
        if path.name != "__init__.py":
            graph[name] |= {t for t in imports_of(path) if t in graph and t != name}
    done, active = set(), []

    def visit(name):
        assert name not in active, f"cycle: {[*active, name]}"
        if name in done:
            return
        active.append(name)
        for target in graph[name]:
            visit(target)
        done.add(active.pop())

    for name in graph:
        visit(name)


def loaded_after(statement):
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in run.stdout.splitlines()[-1].split()}


HEAVY = {"jax", "flax", "tensorflow", "tensorflow_datasets", "matplotlib", "grain"}


@pytest.mark.parametrize(
    "statement",
    [
        "import jaxcam",
        "import jaxcam.cli",
        "import jaxcam, contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try: jaxcam.cli.main(['--help'])\n"
        "    except SystemExit: pass\n",
    ],
    ids=["import", "command", "help"],
)
def test_light_imports_load_nothing_heavy(statement):
    statement = statement.replace(
        "import jaxcam, contextlib", "import jaxcam.cli, contextlib"
    )
    if "\n" in statement:
        statement = "exec(" + repr(statement) + ")"
    assert not loaded_after(statement) & HEAVY
