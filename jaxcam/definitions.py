"""The methods' definitions, from their docstrings to a page of the documentation."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping

from jaxcam import _spec, registry

_SECTIONS = ("Args", "Returns", "Raises", "Cost", "Source")
_LAYERS = {
    "feature": "the last spatial feature map",
    "pooled": "the map that global average pooling reads",
}


def methods_markdown() -> str:
    """Every method by formula, with its options, in Markdown: a chapter a module."""
    parts: list[str] = []
    chapter = ""
    for name, spec in registry.all_methods().items():
        title = (inspect.getdoc(inspect.getmodule(spec.fn)) or "").partition("\n")[0]
        if title != chapter:
            parts.append(f"## {title.rstrip('.')}\n")
            chapter = title
        parts.append(_method(name, spec))
    return "\n".join(parts)


def _method(name: str, spec: _spec.MethodSpec) -> str:
    text = inspect.getdoc(spec.fn) or ""
    sections = _sections(text)
    facts = f"Cost: {spec.cost}."
    if spec.layer:
        facts += f" Taps by default {_LAYERS[spec.layer]}."
    options = _options(sections.get("Args", ""), spec)
    listed = [
        textwrap.fill(f"- `{option}`: {said}", 88, subsequent_indent="  ")
        for option, said in options.items()
    ]
    paragraphs = [
        f"### `{name}`",
        *_paragraphs(sections[""]),
        *(["\n".join(listed)] if listed else []),
        _filled(facts),
        _filled("Source: " + _joined(sections.get("Source", spec.source))),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _sections(text: str) -> Mapping[str, str]:
    """Parts of a docstring by head, the text before the first head under ""."""
    text = text.partition("\n>>> ")[0]
    pattern = rf"^({'|'.join(_SECTIONS)}):"
    first, *rest = re.split(pattern, text, flags=re.MULTILINE)
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return {"": first} | {head: textwrap.dedent(body) for head, body in pairs}


def _paragraphs(text: str) -> Iterator[str]:
    """Directives become fenced formulas; paragraphs are filled anew."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.startswith(".. math::"):
            formula = textwrap.dedent(paragraph.removeprefix(".. math::").strip("\n"))
            yield f"```math\n{formula.strip()}\n```"
        else:
            yield _filled(_joined(paragraph))


def _options(text: str, spec: _spec.MethodSpec) -> dict[str, str]:
    """What the docstring says of each option, with its default."""
    entries = re.split(r"^(\w+): ", text.rstrip(), flags=re.MULTILINE)
    said = dict(zip(entries[1::2], map(_joined, entries[2::2]), strict=True))
    return {
        str(_spec.Request("", ((option, default),)))[1:-1]: said.get(option, "")
        for option, default in spec.options.items()
    }


def _joined(text: str) -> str:
    return " ".join(text.split())


def _filled(text: str) -> str:
    return textwrap.fill(text, 88, break_long_words=False, break_on_hyphens=False)
