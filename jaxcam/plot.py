"""Pictures: maps over images, and the figures of results.

Every function returns a matplotlib figure, for notebooks and for `save`. Needs
matplotlib, the extra `viz`; keeps no state.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from jaxcam.charts.appearance import new_figure
from jaxcam.charts.appearance import require as require
from jaxcam.charts.curves import curves as curves
from jaxcam.charts.distributions import distribution as distribution
from jaxcam.charts.matrices import correlation as correlation
from jaxcam.charts.pairs import box_against_mask as box_against_mask
from jaxcam.charts.thresholds import box_accuracy as box_accuracy

if TYPE_CHECKING:
    from matplotlib import figure

COLORMAP = "plasma"
"""Even in lightness, safe for colour blindness, and no grey in it."""

TRUTH_COLOUR, PREDICTED_COLOUR = "#00e5ff", "#ffffff"
"""Outlines: no colour of the map."""
QUANTILE = 0.995
"""The value that a picture shows as one: a few outliers would darken all else."""

PANEL, GAP, LINE, BAR = 2.3, 0.08, 0.16, 0.85
"""Inches: a panel's greatest height, gaps, a line of text, room for the colour bar."""

LARGEST = 512
"""Longer side of a shown image in pixels; more would not be seen."""


def relative(saliency: np.ndarray) -> np.ndarray:
    """A map as pictures show it: the positive part over its 99.5 % quantile, up to 1.

    Args:
      saliency: float[h, w], any scale and sign.

    Returns:
      float[h, w] in [0, 1]: zeros where nothing is positive, ones where a map is a
      positive constant, NaN as zero.

    >>> relative(np.array([[-1.0, 0.0, 2.0, 2.0]]))
    array([[0., 0., 1., 1.]])
    """
    positive = np.nan_to_num(np.maximum(saliency, 0), posinf=0)
    top = np.quantile(positive, QUANTILE)
    top = top if top > 0 else positive.max()
    if top <= 0:
        return np.zeros_like(positive)
    return np.minimum(positive / top, 1)


def blended(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """An image in grey under the colours of a map.

    The stronger the map, the more its colour covers; where it is zero the image is
    seen as it is, without colour.

    Args:
      image: uint8[H, W, 3].
      saliency: float[h, w], any scale; brought to the image's grid, bilinear with
        half-pixel centres.

    Returns:
      float[H, W, 3] in [0, 1], red, green and blue.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.

    >>> image = np.full((1, 1, 3), 255, np.uint8)
    >>> print(blended(image, np.zeros((1, 1))))
    [[[1. 1. 1.]]]
    """
    require()
    from matplotlib import colormaps

    height, width = image.shape[:2]
    shown = Image.fromarray(relative(saliency).astype(np.float32))
    shown = np.asarray(shown.resize((width, height), Image.Resampling.BILINEAR))
    grey = (image @ np.array([0.299, 0.587, 0.114]))[..., None] / 255
    colours = colormaps[COLORMAP](shown)[..., :3]
    cover = 0.75 * shown[..., None] ** 0.75
    return (1 - cover) * grey + cover * colours


def overlay(
    image: np.ndarray,
    saliency: np.ndarray,
    *,
    truth: np.ndarray | None = None,
    predicted: np.ndarray | None = None,
    title: str = "",
) -> figure.Figure:
    """A map over its image, with outlines of masks where they are given.

    Args:
      image: uint8[H, W, 3].
      saliency: float[h, w], any scale and resolution.
      truth: bool[H, W], the object; its outline is light blue.
      predicted: bool[H, W], what the map points out; its outline is white and dashed.
      title: Over the picture.

    Returns:
      A matplotlib figure; `save` writes it.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.
      ValueError: The image has another shape, or a mask is not on its grid.

    >>> image = np.zeros((8, 8, 3), np.uint8)
    >>> made = overlay(image, np.eye(4), truth=np.eye(8, dtype=bool))
    >>> len(made.axes)
    2
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"image must have shape (H, W, 3) but has {image.shape}.")
    sheet = _Sheet(
        PANEL, PANEL * image.shape[0] / image.shape[1], [_lines(title)], 1, 0
    )
    made = new_figure(figsize=sheet.size, facecolor="white")
    shown = blended(image, np.asarray(saliency))
    axes = _panel(made, sheet.panel(0, 0), shown, title, size=9)
    for name, mask, colour, dash in (
        ("truth", truth, TRUTH_COLOUR, "solid"),
        ("predicted", predicted, PREDICTED_COLOUR, "dashed"),
    ):
        if mask is None:
            continue
        mask = np.asarray(mask, bool)
        if mask.shape != image.shape[:2]:
            raise ValueError(
                f"{name} has shape {mask.shape}, the image {image.shape[:2]}; bring "
                "the mask to the image's grid."
            )
        if mask.any() and not mask.all():
            axes.contour(mask, [0.5], colors=colour, linestyles=dash, linewidths=1.4)
    _colour_bar(made, sheet.bar())
    return made


def explanations(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    classes: Sequence[str],
    *,
    notes: Mapping[str, Sequence[str]] | None = None,
    title: str = "",
) -> figure.Figure:
    """One image explained: a row for each class, a column for each method.

    Args:
      image: uint8[H, W, 3].
      maps: float[k, h, w] of each method, any scale, by the method's name; further
        lines of a name, as its layer, are shown small.
      classes: What the k rows explain.
      notes: What is to be said on the map of a class, for each method; "" for nothing.
      title: Over the picture.

    Returns:
      A matplotlib figure; `save` writes it.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.

    >>> image = np.zeros((8, 8, 3), np.uint8)
    >>> made = explanations(image, {"cam": np.eye(4)[None]}, ["tabby cat"])
    >>> [axes.get_title() for axes in made.axes]
    ['tabby cat', 'cam', '']
    """
    image = shrunk(image)
    ratio = image.shape[1] / image.shape[0]
    width = PANEL * min(max(ratio, 0.75), 1.8)
    height = min(PANEL, max(width / ratio, 0.5 * PANEL))
    letters = int(width * 11)
    rows = [_wrapped(name, letters) for name in classes]
    heads = [_wrapped(name, int(width * 12.5)) for name in maps]
    above = [max(map(_lines, [row, *heads])) for row in rows[:1]] + [
        *map(_lines, rows[1:])
    ]
    sheet = _Sheet(width, height, above, 1 + len(maps), _lines(title) if title else 0)
    made = new_figure(figsize=sheet.size, facecolor="white")
    if title:
        made.text(0.5, 1 - GAP / sheet.size[1], title, ha="center", va="top", size=10)
    for row, name in enumerate(rows):
        place = sheet.panel(row, 0)
        _panel(made, place, image, name, size=9, weight="bold")
        for column, (method, stack) in enumerate(maps.items(), start=1):
            place = sheet.panel(row, column)
            head = heads[column - 1] if row == 0 else ""
            axes = _panel(made, place, blended(image, stack[row]), head, size=8)
            if notes and notes[method][row]:
                _note(axes, notes[method][row])
    _colour_bar(made, sheet.bar())
    return made


REGION_COLORS = {"object": "#1b9e77", "ring": "#d95f02", "context": "#7570b3"}


def evidence_ring(
    image: np.ndarray,
    saliency: np.ndarray,
    mask: np.ndarray,
    box: Sequence[float],
    energies: Sequence[float],
    effects: Sequence[float],
    *,
    title: str = "",
) -> figure.Figure:
    """Where an explanation puts its energy, and where the model has its evidence.

    Left the image with its three parts, in the middle the map, right a pair of bars for
    each part: the share of the energy, and the share of the score that is lost with it.

    Args:
      image: uint8[H, W, 3].
      saliency: float[h, w], any scale.
      mask: bool[H, W], the object.
      box: `[y0, x0, y1, x1]`, half-open, in pixels of the image.
      energies: float[3], shares of the energy of object, ring and context, in [0, 1].
      effects: float[3], what the score loses without each, at most 1; see
        `jaxcam.metrics.region_effect`. NaN is written as undefined.
      title: Over the picture.

    Returns:
      A matplotlib figure; `save` writes it.

    Raises:
      ModuleNotFoundError: matplotlib is not installed.
      ValueError: The mask is not of the image's size.

    >>> image, mask = np.zeros((8, 8, 3), np.uint8), np.eye(8, dtype=bool)
    >>> shares = [0.5, 0.3, 0.2]
    >>> made = evidence_ring(image, np.eye(8), mask, [0, 0, 8, 8], shares, shares)
    >>> [axes.get_title() for axes in made.axes][:2]
    ['object, ring, context', 'explanation']
    """
    require()
    from matplotlib import colors, figure, patches

    if mask.shape != image.shape[:2]:
        raise ValueError(
            f"The mask is {mask.shape}, the image {image.shape[:2]}; give both on one "
            "grid."
        )
    tall = 2.6
    wide = tall * min(max(image.shape[1] / image.shape[0], 0.6), 1.8)
    made = figure.Figure(
        figsize=(2 * wide + 3.4, tall + 0.6), facecolor="white", layout="constrained"
    )
    parts, map_, bars = made.subplots(1, 3, width_ratios=(wide, wide, 3.0))
    inside = np.zeros_like(mask)
    y0, x0, y1, x1 = np.round(np.asarray(box)).astype(int)
    inside[y0:y1, x0:x1] = True
    tinted = image.astype(float) / 255
    regions = {"object": mask, "ring": inside & ~mask, "context": ~inside & ~mask}
    for name, region in regions.items():
        colour = np.array(colors.to_rgb(REGION_COLORS[name]))
        tinted[region] = 0.55 * tinted[region] + 0.45 * colour
    for axes, shown, head in (
        (parts, tinted, "object, ring, context"),
        (map_, blended(image, saliency), "explanation"),
    ):
        axes.imshow(shown, interpolation="bilinear")
        frame = {"fill": False, "edgecolor": "white", "linewidth": 1.2}
        axes.add_patch(
            patches.Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, **frame)
        )
        if mask.any() and not mask.all():
            axes.contour(mask, levels=[0.5], colors="white", linewidths=0.8)
        axes.set_title(head, fontsize=9)
        axes.set_axis_off()
    places = np.arange(len(regions))
    tints = [REGION_COLORS[name] for name in regions]
    for values, shift, style in (
        (energies, -0.2, {"color": tints, "alpha": 0.45, "label": "energy"}),
        (effects, 0.2, {"color": tints, "label": "score lost"}),
    ):
        drawn = bars.bar(places + shift, np.nan_to_num(values), width=0.36, **style)
        texts = ["undefined" if np.isnan(v) else f"{v:.2f}" for v in values]
        bars.bar_label(drawn, texts, fontsize=7, padding=2)
    bars.axhline(0, color="black", linewidth=0.6)
    bars.margins(y=0.15)
    bars.set_xticks(places, list(regions), fontsize=8)
    bars.tick_params(axis="y", labelsize=7)
    bars.set_title("energy (light) · score lost without it (full)", fontsize=8)
    bars.spines[["top", "right"]].set_visible(False)
    if title:
        made.suptitle(title, fontsize=10)
    return made


def save(made: figure.Figure, path: str | Path, *, dpi: int = 150) -> None:
    """Writes a figure, in the format that the file's suffix names.

    Args:
      made: A figure of this module.
      path: The file, as "map.png", "map.svg" or "map.pdf"; its folder is made.
      dpi: Pixels an inch, for pictures of pixels.

    Raises:
      ValueError: matplotlib knows no such format.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(new_figure(figsize=(1, 1)), f"{folder}/new/map.png", dpi=50)
    ...     with Image.open(f"{folder}/new/map.png") as written:
    ...         print(written.size)
    (50, 50)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path, dpi=dpi)


def shrunk(image: np.ndarray) -> np.ndarray:
    """An image no larger than can be seen: its longer side is 512 pixels at most.

    Args:
      image: uint8[H, W, 3].

    Returns:
      uint8[h, w, 3], of the same proportions; the image itself if it is small enough.

    >>> shrunk(np.zeros((1024, 256, 3), np.uint8)).shape
    (512, 128, 3)
    """
    height, width = image.shape[:2]
    scale = LARGEST / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


@dataclasses.dataclass(frozen=True)
class _Sheet:
    """Where everything lies, in inches, so that no text meets another.

    Attributes:
      width: Width of a panel.
      height: Height of a panel.
      above: Lines of text above each row of panels.
      columns: Number of panels in a row.
      title: Lines of the title.
    """

    width: float
    height: float
    above: Sequence[int]
    columns: int
    title: int

    @property
    def size(self) -> tuple[float, float]:
        text = LINE * (sum(self.above) + self.title)
        height = (
            text
            + len(self.above) * (self.height + 2 * GAP)
            + (1 + bool(self.title)) * GAP
        )
        return self.columns * (self.width + GAP) + BAR, height

    def panel(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of a panel, as shares of the sheet."""
        wide, high = self.size
        below = sum(self.above[row + 1 :]) * LINE
        bottom = GAP + below + (len(self.above) - 1 - row) * (self.height + 2 * GAP)
        left = GAP + column * (self.width + GAP)
        return left / wide, bottom / high, self.width / wide, self.height / high

    def bar(self) -> tuple[float, float, float, float]:
        """The colour bar, as tall as a panel, beside the first row."""
        _, bottom, _, height = self.panel(0, 0)
        wide = self.size[0]
        return (wide - BAR + 2 * GAP) / wide, bottom, 0.09 / wide, height


def _panel(
    made: figure.Figure,
    place: tuple[float, float, float, float],
    shown: np.ndarray,
    head: str,
    *,
    size: int,
    weight: str = "normal",
) -> Any:
    axes = made.add_axes(place)
    axes.imshow(shown, interpolation="bilinear")
    axes.set_title(head, fontsize=size, fontweight=weight, pad=4, linespacing=1.15)
    axes.set_axis_off()
    return axes


def _note(axes: Any, text: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2.5}
    place = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.08, text, fontsize=7, bbox=box, **place)


def _colour_bar(made: figure.Figure, place: tuple[float, float, float, float]) -> None:
    from matplotlib import cm, colors

    scale = cm.ScalarMappable(colors.Normalize(0, 1), COLORMAP)
    bar = made.colorbar(scale, cax=made.add_axes(place))
    bar.set_ticks([0, 0.5, 1], labels=["0", "½", "1"])
    bar.set_label(f"saliency over its\n{QUANTILE:.1%} quantile", fontsize=7)
    bar.ax.tick_params(labelsize=7, length=2, pad=2)
    bar.outline.set_visible(False)


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _wrapped(text: str, letters: int) -> str:
    """Each line cut into three at most."""
    lines = [
        part
        for line in text.splitlines()
        for part in textwrap.wrap(line, letters, max_lines=3, placeholder=" …")
    ]
    return "\n".join(lines)
