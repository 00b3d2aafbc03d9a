"""How figures look: colours, type, margins, titles."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib import axes as mpl_axes
    from matplotlib import figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of methods, in their order; then they come again, dashed."""

INK, FAINT, GRID = "#24292f", "#7d8590", "#d8dee4"
"""Text and axes; floors; grid lines."""

DIVERGING = "managua_r"
"""Of correlations: evenly light to both sides, safe for colour blindness."""

LETTER = 0.076
"""Inches of an average letter, generously."""

_STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "jaxcam",
}


def require() -> None:
    """Makes sure that pictures can be drawn.

    Raises:
      ModuleNotFoundError: matplotlib is not installed; the message says how it is.

    >>> require()
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Pictures need matplotlib, which is not installed; get it with "
            'python -m pip install "jaxcam-eval[viz]" or go without pictures.'
        ) from error


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The look of the figures; matplotlib's own settings come back afterwards."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


@functools.cache
def _figure_type() -> type:
    from matplotlib import figure

    class Figure(figure.Figure):
        """Shows itself below a notebook's cell, whether pyplot is loaded or not."""

        def _repr_png_(self) -> bytes:
            stream = io.BytesIO()
            self.savefig(stream, dpi=90, facecolor="white", bbox_inches="tight")
            return stream.getvalue()

    return Figure


def new_figure(**options: Any) -> figure.Figure:
    """An empty figure that shows itself in notebooks and belongs to no window.

    Args:
      options: Of `matplotlib.figure.Figure`.

    Returns:
      A matplotlib figure, in inches and without axes.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.

    >>> print(new_figure(figsize=(3, 2)).get_size_inches())
    [3. 2.]
    """
    require()
    return _figure_type()(**options)


def field(
    width: float,
    tall: float,
    *,
    left: float = 0.6,
    bottom: float = 0.3,
    right: float = 0.1,
    top: float = 0.28,
) -> tuple[figure.Figure, mpl_axes.Axes]:
    """A figure with one field, its margins in inches.

    Margins are known beforehand: having them found would draw every figure twice.
    """
    made = new_figure(figsize=(width, tall))
    inside = (width - left - right) / width, (tall - bottom - top) / tall
    return made, made.add_axes((left / width, bottom / tall, *inside))


def headed(made: figure.Figure, title: str) -> None:
    """A title over the whole figure, where long names have room."""
    made.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")
