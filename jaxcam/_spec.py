"""What can be registered, and how a selection of it is written."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MetricSpec:
    """A metric: a pure function of one image's fields and what is known about it.

    `fn` takes the fields named in `inputs` as positional arguments, in that order;
    then only keyword options. The inputs `predicted` and `truth` are regions: the
    option `region` decides whether they are masks or rasterised boxes. A keyword
    `where` receives the pixels that count.

    Attributes:
      fn: Returns float32[], with `reduce` also float32[T].
      inputs: Names of fields.
      family: The module's subject, for grouping in tables.
      formula: One line of plain text.
      range: Smallest and largest value it can take.
      direction: +1 if higher is better, -1 if lower is, 0 if neither.
      undefined: When the value is NaN, in words.
      cost: Order of time, in words.
      source: Short citation.
      skill: Whether (m - floor) / (best - floor) makes sense, the floor being the
        value of the uniform map on the same image.
      static: Options that change a shape, a loop length or the program; the others
        are numbers and are traced.
      regions: The values `region` may take, the default first; empty for a metric
        that reads no region.
      reduce: `(values[n, ...], weights[R, n]) -> [R]` for a metric that is not a mean
        over images; NaN rows are the function's to drop.
      companions: Columns to store beside the value, for readers of a report. They take
        the metric's options; those written with options of their own, as
        "region_energy[part=ring]", leave out what they do not read.
      default_options: Options a registry name carries that differ from `fn`'s.
      fixed: Options of its fields that its formula fixes, so that requests may not.
      name: Registry key; the function's name unless several names share one function.
    """

    fn: Callable[..., Any]
    inputs: tuple[str, ...]
    family: str
    formula: str
    range: tuple[float, float]
    direction: Literal[-1, 0, 1]
    undefined: str
    cost: str
    source: str
    skill: bool = False
    static: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    reduce: Callable[..., Any] | None = None
    companions: tuple[str, ...] = ()
    default_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.fn.__name__)

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(self.fn) or "").partition("\n")[0]

    @property
    def best(self) -> float:
        """The value of a perfect map."""
        return self.range[1] if self.direction > 0 else self.range[0]

    @property
    def options(self) -> dict[str, Any]:
        """Keyword options of `fn` with their defaults, `where` and `key` left out."""
        return keyword_options(self.fn)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FieldSpec:
    """A quantity derived from other fields of one image, shared by the metrics.

    Attributes:
      fn: Pure function of the fields in `inputs`; then only keyword options.
      inputs: Names of fields.
      name: What metrics and other fields call it.
      static: As in `MetricSpec`.
      of_the_metric: Whether it takes the options of the metric that reads it and no
        others: part of the metric's own definition, kept apart only to be shared.
    """

    fn: Callable[..., Any]
    inputs: tuple[str, ...]
    name: str
    static: tuple[str, ...] = ()
    of_the_metric: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Keyword options of `fn` with their defaults."""
        return keyword_options(self.fn)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MethodSpec:
    """An explanation method and what it needs.

    Attributes:
      fn: See `jaxcam.methods` for the signature of each `kind`.
      kind: "taps" is a function of one image's activations and class-score gradients;
        "model" asks the model about batches; "baseline" needs no model.
      inputs: Names of the positional arguments of `fn`.
      source: Short citation.
      layer: Which layer it taps by default: the last spatial feature map
        ("feature"), the map that global average pooling reads ("pooled"), or none.
      cost: Forward and backward passes an image, in words.
      static: As in `MetricSpec`.
      floor: Whether every table shows it as a floor or ceiling.
      name: Registry key; the function's name by default.
    """

    fn: Callable[..., Any]
    kind: Literal["taps", "model", "baseline"]
    inputs: tuple[str, ...]
    source: str
    cost: str
    layer: Literal["feature", "pooled"] | None = None
    static: tuple[str, ...] = ()
    floor: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.fn.__name__)

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(self.fn) or "").partition("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        """Keyword options of `fn` with their defaults."""
        return keyword_options(self.fn)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Explainer:
    """The methods that made the maps of a batch, to be asked for others.

    Attributes:
      maps: `(params, x, targets) -> float32[M, B, H, W]`, one map a method, not
        normalised, on the grid of the field `raw_saliency`. Either all methods explain
        the same inputs `float[B, h, w, C]` or each its own, `float[M, B, h, w, C]`. The
        images' keys and objects are those of the batch, so that a method that draws
        numbers draws the same ones again.
      params: The model's parameters.
      predict: `(params, x) -> logits`.
    """

    maps: Callable[..., Any]
    params: Any
    predict: Callable[..., Any]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ProbeSpec:
    """A question to the model whose answers metrics read as fields.

    Attributes:
      fn: `fn(ask, *inputs, **options) -> {output: array}`. Works on a batch: every
        input and output has the leading axis `[B]`.
      inputs: Names of fields; also `x`, the preprocessed images. A probe none of whose
        inputs is made from a map runs once an image, whatever the number of maps.
      outputs: Names of the fields it makes.
      cost: Forward passes an image and map, in words.
      asks: What `ask` is. "predict": maps model inputs `float[N, H, W, C]`
        (preprocessed) to logits, for any N. "explain": an `Explainer`, the methods that
        made the maps, to be asked about other inputs, targets or parameters. Such a
        probe sees all maps at once, so that methods share forward and backward passes:
        its outputs and those of its inputs that are made from maps have the leading
        axes `[M, B]`.
      static: As in `MetricSpec`.
      long: Whether it asks so much that each map is a call of its own, with a progress
        bar; the others share one compiled program.
      name: Registry key; the function's name by default.
    """

    fn: Callable[..., Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    cost: str
    asks: Literal["predict", "explain"] = "predict"
    static: tuple[str, ...] = ()
    long: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.fn.__name__)

    @property
    def options(self) -> dict[str, Any]:
        """Keyword options of `fn` with their defaults."""
        return keyword_options(self.fn)


def keyword_options(fn: Callable[..., Any]) -> dict[str, Any]:
    """Keyword-only parameters of `fn` and defaults, `where` and `key` left out."""
    return {
        p.name: p.default
        for p in inspect.signature(fn).parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name not in ("where", "key")
    }


@dataclasses.dataclass(frozen=True)
class Request:
    """A registered name with the options that differ from its defaults.

    Written `name` or `name[option=value,...]`; options are sorted, so that equal
    requests are written alike. `str` gives that form and `parse` reads it.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(sorted(self.options)))

    def __str__(self) -> str:
        if not self.options:
            return self.name
        inside = ",".join(f"{key}={_written(value)}" for key, value in self.options)
        return f"{self.name}[{inside}]"


_REQUEST = re.compile(r"\s*(?P<name>[a-z_][a-z0-9_]*)\s*(\[(?P<options>.*)\])?\s*")


def parse(text: str | Request) -> Request:
    """Reads `name[option=value,...]`; values are Python literals or bare words.

    >>> parse("f_score[region=box, beta=2]")
    Request(name='f_score', options=(('beta', 2), ('region', 'box')))
    >>> str(parse("f_score[region=box, beta=2]"))
    'f_score[beta=2,region=box]'
    """
    if isinstance(text, Request):
        return text
    match = _REQUEST.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} cannot be read; write a name, or name[option=value,...]."
        )
    options = []
    for part in _split_commas(match["options"] or ""):
        key, equals, value = part.partition("=")
        if not equals or not key.strip().isidentifier():
            raise ValueError(
                f"{part!r} in {text!r} cannot be read; write options as option=value."
            )
        options.append((key.strip(), _literal(value.strip())))
    return Request(match["name"], tuple(options))


def split_requests(text: str) -> list[str]:
    """Splits a comma-separated list of requests, minding brackets.

    >>> split_requests("dice, f_score[beta=2,region=box]")
    ['dice', 'f_score[beta=2,region=box]']
    """
    return [part.strip() for part in _split_commas(text)]


def _split_commas(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        depth += character in "[("
        depth -= character in "])"
        if character == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [part for part in parts if part.strip()]


def _literal(text: str) -> Any:
    lowered = text.lower()
    if lowered in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[lowered]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _written(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "(" + "".join(f"{_written(v)}," for v in value) + ")"
    return str(value)
