"""Figures as SVG inside the page: in its colours, without a clash of names."""

from __future__ import annotations

import io
import re
from typing import Any

from markupsafe import Markup, escape

from jaxcam.charts import appearance

_VARIABLES = {
    appearance.INK: "--ink",
    appearance.FAINT: "--faint",
    appearance.GRID: "--grid",
    **{colour: f"--line-{i}" for i, colour in enumerate(appearance.COLOURS)},
}


class Drawer:
    """Turns figures into markup, each with names of its own."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, made: Any, label: str) -> Markup:
        """The markup of a figure.

        Args:
          made: A matplotlib figure.
          label: What it shows, for those who cannot see it.
        """
        self.count += 1
        stream = io.StringIO()
        with appearance.style():
            nothing = {"Date": None, "Creator": None}
            made.savefig(stream, format="svg", metadata=nothing, facecolor="none")
        text = stream.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r"\s*<!--.*?-->", "", text, flags=re.DOTALL)
        text = re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", text)
        text = _own_names(text, f"f{self.count}-")
        for colour, variable in _VARIABLES.items():
            text = re.sub(colour, f"var({variable})", text, flags=re.IGNORECASE)
        text = re.sub(r"font: ?([\d.]+px) [^;\"]*", r"font-size: \1", text)
        text = re.sub(r"font: ?bold ([\d.]+px) [^;\"]*", _BOLD, text)
        text = re.sub(r"font: ?(?:700|600) ([\d.]+px) [^;\"]*", _BOLD, text)
        width = made.get_size_inches()[0] * 96
        opening = (
            f'<svg class="figure" role="img" aria-label="{escape(label)}" '
            f'style="--width:{width:.0f}px" '
        )
        text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
        text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
        return Markup(text.replace("<svg ", opening, 1))


_BOLD = r"font-weight: 600; font-size: \1"


def _own_names(text: str, prefix: str) -> str:
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = text.replace('href="#', f'href="#{prefix}')
    return text.replace("url(#", f"url(#{prefix}")
