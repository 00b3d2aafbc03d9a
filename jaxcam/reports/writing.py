"""The report: what runs found, gathered and written as one HTML file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcam import comparison, data, plot, rescoring, results
from jaxcam.reports import content

NAME = "report.html"
PICTURES = 4
"""Images of each kind in the gallery."""


def require() -> None:
    """Makes sure that a report can be written.

    Raises:
      ModuleNotFoundError: jinja2 or matplotlib is missing; the message says how they
        are installed.
    """
    plot.require()
    try:
        import jinja2  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Reports need jinja2, which is not installed; get it with "
            'python -m pip install "jaxcam-eval[viz]".'
        ) from error


def report(
    runs: comparison.Runs,
    out: str | Path | None = None,
    *,
    dataset: data.Dataset | str | Path | None = None,
    pictures: int = PICTURES,
    by: str | None = None,
    size: tuple[int, int] | None = None,
    crop_fraction: float = 1.0,
) -> Path:
    """Writes one HTML file that shows what one or several runs found.

    The file needs no network and nothing beside it: tables with intervals and floors,
    paired comparisons, boxes against masks, curves, distributions, the agreement of
    the metrics, a gallery, invalid rows and the manifests.

    Args:
      runs: One or several results or run directories over the same data; a mapping
        names them.
      out: The file; by default `report.html` in the run directory, or the first of
        them.
      dataset: Where the images of the gallery are, or what `jaxcam.data.open_dataset`
        takes; by default where the run found it, if it is still there and the
        same. Without images the gallery says how to get them.
      pictures: Images of each kind in the gallery; 0 leaves it out.
      by: Metric that decides which images are good or bad; the energy pointing game by
        default.
      size: Rows and columns of the grid on which maps met the truth; by default what
        the run's manifest says, or 224 x 224.
      crop_fraction: Of the network, for runs with `geometry="crop"`.

    Returns:
      The file.

    Raises:
      FileNotFoundError: A directory holds no run, or the data set is not there.
      ModuleNotFoundError: matplotlib or jinja2 is not installed.
      ValueError: The runs are over different data, `dataset` is not theirs, or no
        place for the file is known; `by` or `size` is given for no gallery.
    """
    require()
    for name, value in (("by", by), ("size", size)):
        if pictures < 1 and value is not None:
            raise ValueError(
                f"{name}={value!r} is for the gallery, and pictures={pictures} leaves "
                f"that out; leave out {name} as well, or show pictures."
            )
    opened = comparison.opened(runs)
    place = _place(runs, out)
    images, missing = _images(opened, dataset)
    shown = content.content(opened)
    shown["gallery"] = content.chosen_images(
        opened,
        by=by,
        pictures=pictures,
        images=images,
        missing=missing,
        size=size,
        crop_fraction=crop_fraction,
    )
    page = _rendered(shown)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.tmp")
    temporary.write_text(page, encoding="utf-8")
    os.replace(temporary, place)
    return place


def _place(runs: comparison.Runs, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    several = list(runs.values()) if isinstance(runs, Mapping) else runs
    several = several if isinstance(several, Sequence) else [several]
    several = [several] if isinstance(several, str) else several
    for run in several:
        if isinstance(run, str | Path):
            return Path(run) / NAME
    raise ValueError("Say where the report is to be written, as out='report.html'.")


def _images(
    opened: Mapping[str, results.Result], dataset: data.Dataset | str | Path | None
) -> tuple[data.Dataset | None, str]:
    """The data set of the runs, or why it is not at hand."""
    manifest = next(iter(opened.values())).manifest
    described = manifest["scientific"].get("data")
    described = described if isinstance(described, Mapping) else {}
    name, wanted = described.get("name"), described.get("fingerprint")
    if dataset is not None:
        if isinstance(dataset, str | Path):
            dataset = data.open_dataset(dataset)
        found = dataset.fingerprint()
        if wanted is not None and found != wanted:
            raise ValueError(
                f"{dataset.name} is not the data set of the run, {name}: its files, "
                "labels or options differ. Give what the run was evaluated on."
            )
        return dataset, ""
    how = "run jaxcam report with --data and what the run was evaluated on"
    if name is None or name == "arrays":
        return None, f"The run does not say which images it is about; {how}."
    for find in (
        lambda: rescoring.noted_data(manifest, name, by="dataset="),
        lambda: data.open_dataset(name),
    ):
        with contextlib.suppress(OSError, ValueError):
            dataset = find()
            if wanted is None or dataset.fingerprint() == wanted:
                return dataset, ""
    return None, f"The images of {name} are not at hand here; {how} to see them."


def _rendered(shown: Mapping[str, Any]) -> str:
    import jinja2

    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (
        (folder / name).read_text(encoding="utf-8")
        for name in ("report.css", "report.js")
    )
    template = environment.get_template("report.html")
    return template.render(**shown, style=style, script=script)
