"""The command `jaxcam score`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxcam.cli import console, conventions


@dataclasses.dataclass(frozen=True)
class Score:
    """Score saved saliency maps of any framework, without a model.

    An archive or a folder of maps, against a folder of images and masks:

        jaxcam score --maps maps.npz --truth PETS --metrics localization
        jaxcam score --maps maps/ --truth CUB --metrics max_box_accuracy --preset wsol

    Other metrics for a whole run, by its own conventions, from the maps it keeps; its
    data set is looked for where the run found it:

        jaxcam score --run runs/a --metrics model_free

    Maps are found by image id; missing and surplus ids are counted. Truth is a folder:
    images with masks, WSOL metadata, PASCAL VOC, ImageNet-S, or masks alone (`jaxcam
    list data`).
    """

    truth: str | None = None
    """The data set the maps belong to: a folder, LAYOUT:FOLDER, or a name."""
    maps: Path | None = None
    """An npz file, a folder of npy files, or a run directory of jaxcam."""
    run_: Annotated[Path | None, tyro.conf.arg(name="run")] = None
    """Instead of maps: a run, all of whose methods are scored by its own settings;
    only --metrics, --out and --batch-size are read beside it."""
    metrics: str = "localization"
    """Metrics or suites, separated by commas."""
    method: str = "maps"
    """What the maps are called; of a run directory, which method's maps."""
    floors: bool = True
    """Score the uniform, centred and random map and the truth itself beside."""
    out: Path | None = None
    """Run directory; results are only printed by default."""
    preset: str = "paper"
    """Named convention; `jaxcam list presets` shows them."""
    size: int = 224
    """Side of the square grid on which maps meet the truth."""
    geometry: Literal["squash", "crop", "original"] = "squash"
    """How images were brought to that grid."""
    border: Literal["ignore", "foreground", "background"] = "ignore"
    """What the border class of a trimap counts as."""
    normalization: str | None = None
    """How maps are brought to [0, 1]; by default as the preset says."""
    channels: Literal["sum", "mean", "abs_sum", "abs_max", "l2"] | None = None
    """How the channels of a map become one; such maps are refused without it."""
    batch_size: int = 32
    """Maps at a time; changes the speed, never a value."""
    debug: conventions.Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import _spec, rescoring, scoring

        if (self.maps is None) == (self.run_ is None):
            raise ValueError("Give either --maps or --run.")
        metrics = _spec.split_requests(self.metrics)
        if self.run_ is not None:
            self._refuse_settings()
            result = rescoring.score_run(
                self.run_,
                self.truth,
                metrics=metrics,
                out=self.out,
                batch_size=self.batch_size,
                show_progress=True,
            )
            return self._finish(result)
        if self.truth is None:
            raise ValueError("Give --truth, the data set that the maps belong to.")
        result = scoring.score(
            self.maps,
            self.truth,
            metrics=metrics,
            method=self.method,
            floors=self.floors,
            out=self.out,
            preset=self.preset,
            size=(self.size, self.size),
            geometry=self.geometry,
            border=self.border,
            normalization=self.normalization,
            channels=self.channels,
            batch_size=self.batch_size,
            show_progress=True,
        )
        return self._finish(result)

    def _refuse_settings(self) -> None:
        """Refuses what a run brings along itself."""
        read = ("truth", "run_", "metrics", "out", "batch_size", "debug")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in read and value != field.default:
                name = field.name if value is not False else f"no-{field.name}"
                raise ValueError(
                    f"--{name} is not read beside --run, which is scored by its own "
                    "settings; leave it out."
                )

    def _finish(self, result) -> int:
        console.show(result)
        if self.out:
            console.say(f"\nEvery value of every image is in {self.out}.")
        return conventions.EXIT_OK
