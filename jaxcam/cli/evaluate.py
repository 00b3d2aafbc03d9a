"""The command `jaxcam evaluate`."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path
from typing import Literal

from jaxcam.cli import console, conventions


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Explain a classifier's decisions on images and score the explanations.

    Without any option: the small net shipped with jaxcam on procedural images whose
    objects are known exactly, in about a minute. On your own photographs:

        jaxcam evaluate --model squeezenet1_1 --data my_images/

    Ends with a table of methods by metrics with 95 % intervals and, with matplotlib and
    jinja2 installed, a report to open in a browser. The run directory holds every
    value of every image. The same command again goes on where it was stopped.
    """

    model: str = "shapes_net"
    """Name of a network; `jaxcam list models` shows them."""
    weights: str | None = None
    """File of weights, TAG or TAG@COMMIT of published ones (`jaxcam list weights`), or
    "random"; default: the first published."""
    data: str = "shapes"
    """A folder of images, or the name of a data set; `jaxcam list data` shows them."""
    methods: str = "cam,grad_cam"
    """Explanation methods, separated by commas; `jaxcam list methods` shows them."""
    metrics: str = "default"
    """Metrics or suites, separated by commas; `jaxcam list metrics` shows them."""
    out: Path | None = None
    """Run directory; by default a folder under runs/ named after the settings."""
    preset: str = "paper"
    """Named convention; `jaxcam list presets` shows them."""
    targets: Literal["auto", "predicted", "label"] = "auto"
    """Explained class: the predicted one, the labelled one, or the label if known."""
    labels: Literal["coarse", "exact"] = "coarse"
    """For data sets with two: which classes count as right."""
    geometry: Literal["squash", "crop", "original"] = "squash"
    """How images meet the model's grid; truth is treated alike."""
    border: Literal["ignore", "foreground", "background"] = "ignore"
    """What the border class of a trimap counts as."""
    normalization: str | None = None
    """How maps are brought to [0, 1]; by default as the preset says."""
    precision: Literal["highest", "fast"] = "highest"
    """Float32 matrix products everywhere, or whatever the device does fastest."""
    limit: int | None = None
    """Only the first images."""
    batch_size: int = 16
    """Images at a time over all devices; changes the speed, not the values. CPUs take 8
    each, whatever it is."""
    shard_size: int = 512
    """Images a file: what is done again after a run was killed."""
    seed: int = 0
    """Seed of everything random."""
    keep_maps: bool = True
    """Store every map: other metrics can then be computed without the model."""
    report: bool = True
    """Write report.html into the run directory."""
    shard: str | None = None
    """I/N: only the I-th of N shares, from 0. By default all, or what a SLURM array or
    an indexed Kubernetes Job (with JOB_COMPLETIONS set) says."""
    engine: Literal["local", "jax", "ray"] = "local"
    """Many processes: each started with its share; those that jax.distributed finds on
    TPU pods, SLURM or MPI; or tasks of a Ray cluster, which all see the run directory.
    """
    gpus_per_task: float = 0
    """With --engine ray: GPUs that a task asks for."""
    workers: int = 0
    """Processes that decode images, instead of threads."""
    compile_cache: bool = True
    """Keep compiled programs in your cache directory."""
    debug: conventions.Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import interruption

        with interruption.requests() as asked:
            try:
                return self._evaluate(asked)
            except KeyboardInterrupt:
                console.complain(
                    "Interrupted; the same command goes on after the last whole shard "
                    f"of {self.shard_size} images. A run with a smaller --shard-size "
                    "loses less."
                )
                return asked.exit_code

    def _evaluate(self, asked) -> int:
        if self.shard is not None and self.engine != "local":
            raise ValueError(
                f"--engine {self.engine} shares the work itself; leave out --shard."
            )
        if self.gpus_per_task and self.engine != "ray":
            raise ValueError(
                f"--gpus-per-task is for --engine ray; --engine {self.engine} takes "
                "every device that its process sees. Leave it out."
            )
        if self.engine == "jax":
            return self._with_jax(asked)
        if self.engine == "ray":
            return self._with_ray(asked)
        share = _share(self.shard)
        if share.count > 1:
            console.complain(f"This process does share {share}.")
        return self._finish(self.compute(share, asked, show_progress=True))

    def _with_jax(self, asked) -> int:
        from jaxcam import engines, results

        with engines.jax_processes() as group:
            console.complain(f"This process does share {group.share}.")
            if group.share.count > len(self._shards()):  # Said by every process.
                raise ValueError(
                    f"{group.share.count} processes share {len(self._shards())} shards "
                    f"of {self.shard_size} images; start fewer, or take a smaller "
                    "--shard-size."
                )
            result = self.compute(group.share, asked, show_progress=True)
            if not group.wait(engines.END_WAIT_S):
                console.complain("Not every process came to the end.")
            elif group.share.index == 0 and result.n_missing:
                result = results.finish_run(self.directory())
            return self._finish(result)

    def _shards(self) -> tuple[range, ...]:
        from jaxcam import evaluation

        _, dataset = _opened(self)
        return evaluation.shard_ranges(len(dataset), self.shard_size, self.limit)

    def _with_ray(self, asked) -> int:
        import jax

        from jaxcam import engine_ray, results

        # The memory of this machine's accelerators is for the tasks.
        jax.config.update("jax_platforms", "cpu")
        out = self.directory().absolute()
        engine_ray.run(
            dataclasses.replace(self, out=out),
            self._shards(),
            out,
            gpus=self.gpus_per_task,
            stop=asked,
        )
        return self._finish(results.finish_run(out))

    def compute(self, share, stop, *, show_progress: bool):
        """Evaluates a share of the images; the result of all that is there."""
        from jaxcam import _compiling, evaluation

        if self.compile_cache:
            _compiling.keep_programs()
        model, dataset = _opened(self)
        return evaluation.evaluate(
            model,
            dataset,
            out=self.directory(),
            batch_size=self.batch_size,
            shard_size=self.shard_size,
            share=(share.index, share.count),
            workers=self.workers,
            keep_maps=self.keep_maps,
            stop=stop,
            show_progress=show_progress,
            **self._settings(),
        )

    def directory(self) -> Path:
        """The run directory."""
        from jaxcam import evaluation

        return self.out or evaluation.run_directory(*_opened(self), self._settings())

    def _settings(self) -> dict:
        from jaxcam import _spec

        return {
            "methods": _spec.split_requests(self.methods),
            "metrics": _spec.split_requests(self.metrics),
            "preset": self.preset,
            "targets": self.targets,
            "geometry": self.geometry,
            "border": self.border,
            "normalization": self.normalization,
            "precision": self.precision,
            "seed": self.seed,
            "limit": self.limit,
        }

    def _finish(self, result) -> int:
        if result.n_missing:
            console.say(
                f"{result.n_missing} images are left to other processes. Directories "
                "of several are joined by jaxcam merge."
            )
        else:
            console.show(result)
            self._say_what_was_explained(result)
            if self.report:
                model, dataset = _opened(self)
                grid = {
                    "size": model.input.size,
                    "crop_fraction": model.input.crop_fraction,
                }
                console.say(f"\n{_reported(self.directory(), dataset=dataset, **grid)}")
        console.say(f"Every value of every image is in {self.directory()}.")
        if sum(not result.is_floor(method) for method in result.methods) > 1:
            console.say(
                "Which method is better, and how sure that is: "
                f"jaxcam compare {self.directory()}"
            )
        return conventions.EXIT_OK

    def _say_what_was_explained(self, result) -> None:
        """Says so where labels were not followed for want of an output."""
        model, dataset = _opened(self)
        explained = result.manifest["scientific"]["explained"]
        labelled = dataset.label_set is not None
        if self.targets == "auto" and labelled and explained == "predicted":
            names = ", ".join((dataset.class_names or ())[:3])
            console.say(
                f"The labels of {dataset.name}{f' ({names} ...)' if names else ''} are "
                f"no outputs of {model.name}: the predicted class is explained."
            )


@functools.cache
def _opened(command: Evaluate) -> tuple:
    """The model and the data set of a command, once a process."""
    import jaxcam
    from jaxcam import models

    model = models.load(command.model, weights=command.weights)
    return model, jaxcam.data.open_dataset(command.data, labels=command.labels)


def _share(written: str | None):
    """The share of this process: as written, or as its job array says."""
    from jaxcam import shares

    if written is not None:
        return shares.parse(written)
    return shares.from_environment(os.environ)


def _reported(run: Path, **options) -> str:
    """Writes a run's report, or says how to get one."""
    import jaxcam

    try:
        out = jaxcam.report(run, **options)
    except ModuleNotFoundError:
        hint = 'python -m pip install "jaxcam-eval[viz]", then jaxcam report'
        return f"For a report to look at: {hint} {run}."
    return f"The report is {out}; open it in a browser."
