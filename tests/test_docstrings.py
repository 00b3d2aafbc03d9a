"""What every docstring that a user can ask for says, and that its examples are true."""

import ast
import dataclasses
import doctest
import functools
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcam
from jaxcam import registry

# Too long to compile for every run of the tests.
LONG_DOCTESTS = {
    "jaxcam.metrics.box_accuracy",
    "jaxcam.metrics.mask_accuracy",
    "jaxcam.metrics.topology",
    "jaxcam.ops.contours",
}

# Names, or what they begin with, that have no example of their own, and why.
WITHOUT_EXAMPLE = {
    "jaxcam.data.BadRecord": "an error",
    "jaxcam.finetuning.finetune": "fits a network",
    "jaxcam.load_run": "needs a finished run",
    "jaxcam.results.load_run": "needs a finished run",
    "jaxcam.results.finish_run": "needs a finished run",
    "jaxcam.report": "needs a finished run",
    "jaxcam.multiverse.explore": "needs a finished run",
    "jaxcam.multiverse.Multiverse": "is what explore returns",
    "jaxcam.methods.Question": "asks a model",
    "jaxcam.methods.explain_batch": "asks a model",
    "jaxcam.methods.saliency_maps": "asks a model",
    "jaxcam.ops.ComponentTree": "is what component_tree returns",
    "jaxcam.probes.": "asks a model",
}


def public():
    """Everything that a user reaches from `jaxcam`, by name; methods of classes too."""
    found = {f"jaxcam.{name}": getattr(jaxcam, name) for name in jaxcam._NAMES}
    for name in jaxcam._MODULES:
        module = getattr(jaxcam, name)
        for each in dir(module):
            thing = getattr(module, each)
            own = str(getattr(thing, "__module__", "")).startswith("jaxcam")
            if own and callable(thing) and not each.startswith("_"):
                found[f"jaxcam.{name}.{each}"] = thing
    for name, thing in list(found.items()):
        for each, member in vars(thing).items() if inspect.isclass(thing) else ():
            if not each.startswith("_") and is_documented(member):
                found[f"{name}.{each}"] = member
    return found


def is_documented(member):
    kinds = property, functools.cached_property, classmethod, staticmethod
    return inspect.isfunction(member) or isinstance(member, kinds)


def function_of(thing):
    """The function behind a property, a class method or a compiled function."""
    if isinstance(thing, property):
        return thing.fget
    if isinstance(thing, functools.cached_property):
        return thing.func
    if isinstance(thing, classmethod | staticmethod):
        return thing.__func__
    return inspect.unwrap(thing)


PUBLIC = public()
FUNCTIONS = {
    name: function_of(thing)
    for name, thing in PUBLIC.items()
    if not inspect.isclass(thing)
    and not isinstance(thing, property | functools.cached_property)
}
RECORDS = {
    name: thing for name, thing in PUBLIC.items() if dataclasses.is_dataclass(thing)
}


def section(text, name):
    """The lines of one section of a docstring."""
    found = re.search(rf"^{name}:\n((?:  .*\n|\n)*)", f"{text}\n", re.MULTILINE)
    return "" if found is None else found[1]


def explains(text, name):
    """Whether a section has an entry for an argument or attribute."""
    return re.search(rf"^  (\*\*|\*)?{name}: \S", text, re.MULTILINE) is not None


def refuses(function):
    """Whether a function raises, or checks its arguments, in its own lines."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(
        (isinstance(node, ast.Raise) and node.exc is not None)
        or (
            isinstance(node, ast.Call) and ast.unparse(node.func).startswith("_checks.")
        )
        for node in ast.walk(tree)
    )


def test_the_public_names_are_found():
    for name in ("jaxcam.score", "jaxcam.ops.resize", "jaxcam.results.Result.compare"):
        assert name in PUBLIC
    functions = {spec.fn.__name__ for spec in registry.all_metrics().values()}
    assert {f"jaxcam.metrics.{name}" for name in functions} <= set(PUBLIC)
    assert len(FUNCTIONS) > 200


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_begins_with_one_line(name):
    text = inspect.getdoc(PUBLIC[name])
    assert text, "no docstring"
    first, *rest = text.split("\n")
    assert first.endswith((".", ":")), first
    assert not rest or not rest[0]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_arguments_returns_and_refusals_are_there(name):
    function = FUNCTIONS[name]
    text = inspect.getdoc(function)
    arguments = section(text, "Args")
    signature = inspect.signature(function)
    lacking = [
        each
        for each in signature.parameters
        if each not in ("self", "cls") and not explains(arguments, each)
    ]
    assert not lacking
    gives = signature.return_annotation not in (None, "None")
    assert bool(section(text, "Returns")) == gives
    assert not refuses(function) or section(text, "Raises")


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_attributes_are_there(name):
    attributes = section(inspect.getdoc(RECORDS[name]), "Attributes")
    fields = [field.name for field in dataclasses.fields(RECORDS[name])]
    assert not [field for field in fields if not explains(attributes, field)]


def why_without(name):
    """Why a name has no example; empty if it has to have one."""
    thing = PUBLIC[name]
    if isinstance(thing, functools.cached_property):
        return "doctest does not look there"
    for spec in registry.all_methods().values():
        if spec.fn is thing and spec.kind == "model":
            return "asks a model"
    whole = (k for k in WITHOUT_EXAMPLE if f"{name}.".startswith(k.rstrip(".") + "."))
    return next((WITHOUT_EXAMPLE[key] for key in whole), "")


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_has_an_example(name):
    assert why_without(name) or ">>> " in inspect.getdoc(PUBLIC[name])


def modules_with_doctests():
    """Every module of the package that holds one."""
    root = Path(jaxcam.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if examples_in(path):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(["jaxcam", *(p for p in parts if p != "__init__")])
            slow = [pytest.mark.slow] if name in LONG_DOCTESTS else []
            yield pytest.param(name, marks=slow)


def examples_in(path):
    text = Path(path).read_text(encoding="utf-8")
    return len(re.findall(r"^ *>>> ", text, re.MULTILINE))


@pytest.mark.parametrize("name", list(modules_with_doctests()))
def test_doctests(name):
    module = importlib.import_module(name)
    globs = {"jax": jax, "jnp": jnp, "np": np, "jaxcam": jaxcam}
    failed, attempted = doctest.testmod(module, extraglobs=globs)
    assert failed == 0
    assert attempted == examples_in(module.__file__), "doctest overlooks some"
