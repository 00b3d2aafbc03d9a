"""The command `jaxcam explain`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from jaxcam.cli import console, conventions


@dataclasses.dataclass(frozen=True)
class Explain:
    r"""Show what a classifier's decisions on your images rest on.

    Image files, or folders of them, give a picture and a file of raw maps each:

        jaxcam explain cat.jpg --model squeezenet1_1

    The three best classes by two methods side by side, tapped at another layer:

        jaxcam explain photos/ --model resnet50 --weights resnet50.safetensors \
            --top 3 --method grad_cam,layer_cam --layer layer3

    Why one class and not another, with names of the classes from a file:

        jaxcam explain cat.jpg --model squeezenet1_1 \
            --classes names.txt --target tabby --against "tiger cat"
    """

    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, and folders, of which every image is taken."""
    model: str = "shapes_net"
    """Name of a network; `jaxcam list models` shows them."""
    weights: str | None = None
    """File of weights, TAG or TAG@COMMIT of published ones (`jaxcam list weights`), or
    "random"; default: the first published."""
    method: Annotated[str, tyro.conf.arg(aliases=("--methods",))] = "grad_cam"
    """Explanation methods, separated by commas; `jaxcam list methods` shows them."""
    layer: str | None = None
    """Layer to tap, or several as "(a,b)"; each method's own choice by default."""
    top: int = 1
    """How many of the best classes to explain, a row of the picture each."""
    target: str | None = None
    """The class to explain instead of the best, by number or name."""
    against: str | None = None
    """Explain why the target and not this class."""
    classes: Path | None = None
    """Names of the classes: a text file with a name a line, or JSON."""
    out: Path = Path("explanations")
    """Folder for NAME.png, the picture, and NAME.npz, the raw maps."""
    pictures: bool = True
    """Draw pictures; needs matplotlib. Raw maps are written in any case."""
    batch_size: int = 16
    """Images at a time; changes the speed, never a map."""
    seed: int = 0
    """Seed of the methods that draw numbers."""
    debug: conventions.Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import _spec, models, pictures

        names = None
        if self.classes is not None:
            names = pictures.read_class_names(self.classes)
        outcomes = pictures.explain_files(
            models.load(self.model, weights=self.weights),
            self.images,
            method=_spec.split_requests(self.method),
            layer=self.layer,
            top=self.top,
            target=self.target,
            against=self.against,
            class_names=names,
            out=self.out,
            draw=self.pictures,
            batch_size=self.batch_size,
            seed=self.seed,
            show_progress=True,
        )
        failed = total = 0
        for outcome in outcomes:
            total += 1
            failed += bool(outcome.problem)
            if outcome.problem:
                console.complain(outcome.problem)
            else:
                console.say(f"{outcome.name}: {outcome.said}")
        if failed < total:
            console.say(f"\nPictures and maps are in {self.out}.")
        if failed:
            raise ValueError(f"{failed} of {total} images could not be explained.")
        return conventions.EXIT_OK
