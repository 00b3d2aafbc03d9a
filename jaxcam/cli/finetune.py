"""The command `jaxcam finetune`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from jaxcam.cli import console, conventions


@dataclasses.dataclass(frozen=True)
class Finetune:
    r"""Fit a trained network to classes of your own, to be evaluated on them.

    First the fit, then the evaluation, on images with masks:

        jaxcam finetune --model resnet18 --data flowers/ --out runs/flowers
        jaxcam evaluate --model resnet18 --weights runs/flowers/resnet18.safetensors \
            --data flowers_with_masks/

    `flowers/` holds a folder of images for each class; other labelled data do as well
    (`jaxcam list data`). A share of each class is held out, and the accuracy on it is
    told for every epoch. Only the last layer is fitted, which takes a forward pass over
    the images and some seconds more; `--train all` goes on with every parameter. The
    weights say which classes they are for. The same seed gives the same file.
    """

    data: str
    """A labelled folder of images, or the name of a data set."""
    model: str
    """Name of a network; `jaxcam list models` shows them."""
    out: Path
    """Folder for MODEL.safetensors, and MODEL.json, the log."""
    weights: str | None = None
    """Where to start: file of weights, TAG or TAG@COMMIT of published ones, or
    "random"; default: the first published."""
    train: Literal["head", "all"] = "head"
    """The last layer alone, or every parameter after it."""
    epochs: int = 20
    """Times that every image is shown, in each of these parts."""
    batch_size: int = 32
    """Images a step."""
    learning_rate: float = 1e-4
    """Its peak, when all is fitted; the head's is its own."""
    weight_decay: float = 1e-4
    """Of matrices and kernels."""
    validation: float = 0.2
    """Share of each class that is held out."""
    labels: Literal["coarse", "exact"] = "coarse"
    """For data sets with two: which classes there are."""
    geometry: Literal["squash", "crop"] = "squash"
    """How images are brought to the network's size."""
    limit: int | None = None
    """Only the first images."""
    seed: int = 0
    """Of the head's first weights and the order of the images."""
    debug: conventions.Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        import jaxcam
        from jaxcam import finetuning

        names = [field.name for field in dataclasses.fields(finetuning.Settings)]
        log = finetuning.finetune(
            self.model,
            jaxcam.data.open_dataset(self.data, labels=self.labels),
            out=self.out,
            weights=self.weights,
            show_progress=True,
            report=lambda entry: console.say(finetuning.epoch_line(entry)),
            **{name: getattr(self, name) for name in names},
        )
        console.say(
            f"\n{log['validation_accuracy']:.3f} of {log['data']['validation_images']} "
            f"held-out images are right; {log['chance']:.3f} by always naming the "
            f"commonest class.\nGo on with: jaxcam evaluate --model {self.model} "
            f"--weights {log['weights']} --data {self.data}"
        )
        return conventions.EXIT_OK
