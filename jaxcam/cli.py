"""The command `jaxcam`.

Exit codes: 0 done; 1 a failure that is a bug or the machine's; 2 something asked for
does not exist or does not fit (the message says what to do); 130 interrupted, 143 by
SIGTERM.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

EXIT_OK, EXIT_FAILURE, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

Debug = Annotated[bool, tyro.conf.FlagCreatePairsOff]


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Explain a classifier's decisions on images and score the explanations.

    Without any option: the small net shipped with jaxcam on procedural images whose
    objects are known exactly, in about a minute. On your own photographs:

        jaxcam evaluate --model squeezenet1_1 --weights squeezenet1_1.npz --data PETS

    Ends with a table of methods by metrics with 95 % intervals and, with matplotlib and
    jinja2 installed, a report to open in a browser. The run directory holds every
    value of every image. The same command again goes on where it was stopped.
    """

    model: str = "shapes_net"
    """Name of a network; `jaxcam list models` shows them."""
    weights: str | None = None
    """File of weights, tag of published ones, or "random"; default: published."""
    data: str = "shapes"
    """A folder of images, or the name of a data set; `jaxcam list data` shows them."""
    methods: str = "cam,grad_cam"
    """Explanation methods, separated by commas; `jaxcam list methods` shows them."""
    metrics: str = "default"
    """Metrics or suites, separated by commas; `jaxcam list metrics` shows them."""
    out: Path | None = None
    """Run directory; by default a folder under runs/ named after the settings."""
    preset: str = "paper"
    """Convention: paper (the default), seed_code, phang, wsol, and others."""
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
    """Images at a time over all devices; changes the speed, not the values."""
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
    debug: Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import interruption

        with interruption.requests() as asked:
            try:
                return self._evaluate(asked)
            except KeyboardInterrupt:
                _complain(
                    "Interrupted; the same command goes on where this one stopped."
                )
                return asked.exit_code

    def _evaluate(self, asked) -> int:
        if self.shard is not None and self.engine != "local":
            raise ValueError(
                f"--engine {self.engine} shares the work itself; leave out --shard."
            )
        if self.engine == "jax":
            return self._with_jax(asked)
        if self.engine == "ray":
            return self._with_ray(asked)
        share = _share(self.shard)
        if share.count > 1:
            _complain(f"This process does share {share}.")
        return self._finish(self.compute(share, asked, show_progress=True))

    def _with_jax(self, asked) -> int:
        from jaxcam import engines, results

        with engines.jax_processes() as group:
            _complain(f"This process does share {group.share}.")
            result = self.compute(group.share, asked, show_progress=True)
            if not group.wait(engines.END_WAIT_S):
                _complain("Not every process came to the end.")
            elif group.share.index == 0:
                result = results.load_run(self.directory())
            return self._finish(result)

    def _with_ray(self, asked) -> int:
        from jaxcam import engine_ray, evaluation, results

        _, dataset = _opened(self)
        out = self.directory().absolute()
        engine_ray.run(
            dataclasses.replace(self, out=out),
            evaluation.shard_ranges(len(dataset), self.shard_size, self.limit),
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
            _say(
                f"{result.n_missing} images are left to other processes. Directories "
                "of several are joined by jaxcam merge."
            )
        else:
            _show(result)
            if self.report:
                model, dataset = _opened(self)
                grid = {
                    "size": model.input.size,
                    "crop_fraction": model.input.crop_fraction,
                }
                _say(f"\n{_reported(self.directory(), dataset=dataset, **grid)}")
        _say(f"Every value of every image is in {self.directory()}.")
        return EXIT_OK


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


@dataclasses.dataclass(frozen=True)
class Explain:
    """Show what a classifier's decisions on your images rest on.

    Image files, or folders of them, give a picture and a file of raw maps each:

        jaxcam explain cat.jpg --model squeezenet1_1 --weights squeezenet1_1.npz

    The three best classes by two methods side by side, tapped at another layer:

        jaxcam explain photos/ --model resnet50 --weights resnet50.safetensors
            --top 3 --method grad_cam,layer_cam --layer layer3

    Why one class and not another, with names of the classes from a file:

        jaxcam explain cat.jpg --model squeezenet1_1 --weights squeezenet1_1.npz
            --classes names.txt --target tabby --against "tiger cat"
    """

    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, and folders, of which every image is taken."""
    model: str = "shapes_net"
    """Name of a network; `jaxcam list models` shows them."""
    weights: str | None = None
    """File of weights, tag of published ones, or "random"; default: published."""
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
    debug: Debug = False
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
                _complain(outcome.problem)
            else:
                _say(f"{outcome.name}: {outcome.said}")
        if failed < total:
            _say(f"\nPictures and maps are in {self.out}.")
        if failed:
            raise ValueError(f"{failed} of {total} images could not be explained.")
        return EXIT_OK


@dataclasses.dataclass(frozen=True)
class Score:
    """Score saved saliency maps of any framework, without a model.

        jaxcam score --maps maps.npz --truth PETS --metrics localization
        jaxcam score --maps maps/ --truth CUB --metrics max_box_accuracy --preset wsol

    Other metrics for a whole run, by its own conventions, from the maps it keeps:

        jaxcam score --run runs/a --truth PETS --metrics model_free

    Maps are found by image id; missing and surplus ids are counted. Truth is a folder:
    images with masks, WSOL metadata, PASCAL VOC, ImageNet-S, or masks alone (`jaxcam
    list data`).
    """

    truth: str
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
    """Convention: paper (the default), seed_code, phang, wsol, and others."""
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
    debug: Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import _spec, rescoring, scoring

        if (self.maps is None) == (self.run_ is None):
            raise ValueError("Give either --maps or --run.")
        metrics = _spec.split_requests(self.metrics)
        if self.run_ is not None:
            result = rescoring.score_run(
                self.run_,
                self.truth,
                metrics=metrics,
                out=self.out,
                batch_size=self.batch_size,
                show_progress=True,
            )
            return self._finish(result)
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

    def _finish(self, result) -> int:
        _show(result)
        if self.out:
            _say(f"\nEvery value of every image is in {self.out}.")
        return EXIT_OK


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare methods on the same images: which is better, by how much, how surely.

    Paired differences with 95 % bootstrap intervals, sign-flip tests corrected after
    Holm, effect sizes and win rates; between the methods of one run, or of several runs
    over the same data. Then which metrics agree and which contradict each other, by the
    orders in which they put the images and, with three methods or more, the methods.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories."""
    metrics: str | None = None
    """Metrics, separated by commas; all of the runs by default."""
    coefficient: Literal["spearman", "kendall"] = "spearman"
    """Of the metrics' agreement; Kendall's tau is slow over many images."""
    all_pairs: bool = False
    """Show the correlation of every pair of metrics, not only what stands out."""
    out: Path | None = None
    """JSON file for every record, both coefficients among them."""
    debug: Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import _spec, agreement, comparison, storage, tables

        wanted = None if self.metrics is None else _spec.split_requests(self.metrics)
        runs = comparison.opened(list(self.runs))
        compared = comparison.compare(runs, metrics=wanted)
        _say(tables.comparison(compared))
        ranked = agreement.overview(
            runs,
            metrics=wanted,
            coefficients=("spearman", "kendall") if self.out else (self.coefficient,),
        )
        for (over, coefficient), records in ranked.items():
            if coefficient != self.coefficient:
                continue
            _say(f"\nDo the metrics agree over {over}? {agreement.NAMES[coefficient]}")
            for line in agreement.in_words(records):
                _say(line)
            if self.all_pairs:
                _say(tables.agreement(records))
        if self.out is not None:
            agreeing = [
                {"over": over, "coefficient": coefficient, **record}
                | {"verdict": agreement.verdict(record)}
                for (over, coefficient), records in ranked.items()
                for record in records
            ]
            self.out.parent.mkdir(parents=True, exist_ok=True)
            found = {"comparison": compared, "agreement": agreeing}
            storage.write_json(self.out, found)
            _say(f"\nEvery record is in {self.out}.")
        return EXIT_OK


@dataclasses.dataclass(frozen=True)
class Report:
    """Write one HTML file that shows what runs found; it opens without a network.

    Summary with floors and intervals, paired comparisons, boxes against masks, curves,
    distributions, whether the metrics agree, a gallery of good, bad and misinterpreted
    images, invalid rows, the manifests. Several runs over the same data share a report:

        jaxcam report runs/a runs/b --out both.html --data PETS
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories."""
    out: Path | None = None
    """The file; by default report.html in the first run directory."""
    data: str | None = None
    """Where the images are, as given to evaluate; not needed for procedural ones."""
    labels: Literal["coarse", "exact"] = "coarse"
    """As given to evaluate."""
    pictures: int = 4
    """Images of each kind in the gallery; 0 leaves it out."""
    by: str | None = None
    """Metric that tells good images from bad ones; energy_pointing_game by default."""
    size: int | None = None
    """Side of the model's grid, where the run does not tell."""
    debug: Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        import jaxcam
        from jaxcam import comparison

        dataset = None
        if self.data is not None:
            dataset = jaxcam.data.open_dataset(self.data, labels=self.labels)
        out = jaxcam.report(
            comparison.opened(list(self.runs)),
            self.out or (self.runs[0] / "report.html"),
            dataset=dataset,
            pictures=self.pictures,
            by=self.by,
            size=None if self.size is None else (self.size, self.size),
        )
        _say(f"The report is {out}; open it in a browser.")
        return EXIT_OK


@dataclasses.dataclass(frozen=True)
class Multiverse:
    """Rank the methods of a run under every published convention at once.

    Published work thresholds, resizes, normalises and compares maps in many ways. This
    reads the stored maps in all of them, without the model, and says in how many one
    method beats another and which conventions that hangs on:

        jaxcam multiverse runs/RUN --data oxford_pets:DIR --picture curve.png

    What was found is written to multiverse.json in the run directory, which `jaxcam
    report` shows. An interrupted sweep goes on where it stopped.
    """

    run_directory: tyro.conf.Positional[Path]
    """Run directory, with maps."""
    data: str
    """The data set of the run, as it was given to `jaxcam evaluate`."""
    methods: str | None = None
    """Methods, separated by commas; by default all that have maps."""
    question: str = "region"
    """What the table shows: region, energy, pointing, or model where its answers are
    stored."""
    picture: Path | None = None
    """Draw the specification curve of the most contested pair (.png, .svg, .pdf)."""
    debug: Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import _spec, multiverse, plot

        if self.picture is not None:
            plot.require()
        wanted = None if self.methods is None else _spec.split_requests(self.methods)
        found = multiverse.explore(
            self.run_directory, self.data, methods=wanted, show_progress=True
        )
        _print(found.table(self.question))
        if self.picture is not None:
            contested = found.ranked(self.question)[-1]
            pair = contested.a, contested.b, self.question
            plot.save(found.specification_curve(*pair), self.picture)
            _say(f"{contested}\nIts specification curve is in {self.picture}.")
        return EXIT_OK


@dataclasses.dataclass(frozen=True)
class List:
    """Show what can be asked for: metrics, methods, models or data sets."""

    kind: tyro.conf.Positional[Literal["metrics", "methods", "models", "data"]]
    """What to list."""
    debug: Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from rich import table

        from jaxcam import catalogue

        columns, rows = catalogue.listing(self.kind)
        shown = table.Table(*columns, box=None, pad_edge=False)
        for row in rows:
            shown.add_row(*row)
        _print(shown)
        return EXIT_OK


@dataclasses.dataclass(frozen=True)
class Merge:
    """Join runs of the same settings over different images into one.

    Refuses runs of different settings, missing images and images counted twice.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories."""
    out: Path
    """Directory of the joined run."""
    debug: Debug = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Runs the command."""
        from jaxcam import results, storage

        storage.merge(self.runs, self.out)
        _show(results.finish_run(self.out))
        return EXIT_OK


@dataclasses.dataclass(frozen=True)
class Finetune:
    """Fit a trained network to classes of your own, to be evaluated on them.

        jaxcam finetune --model resnet18 --data flowers/ --out runs/flowers
        jaxcam evaluate --model resnet18 --weights runs/flowers/resnet18.safetensors
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
    """Where to start: file of weights, tag of published ones, or "random"."""
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
    debug: Debug = False
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
            report=lambda entry: _say(finetuning.epoch_line(entry)),
            **{name: getattr(self, name) for name in names},
        )
        _say(
            f"\n{log['validation_accuracy']:.3f} of {log['data']['validation_images']} "
            f"held-out images are right; {log['chance']:.3f} by always naming the "
            f"commonest class.\nGo on with: jaxcam evaluate --model {self.model} "
            f"--weights {log['weights']} --data {self.data}"
        )
        return EXIT_OK


Command = (
    Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Explain, tyro.conf.subcommand("explain")]
    | Annotated[Score, tyro.conf.subcommand("score")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Multiverse, tyro.conf.subcommand("multiverse")]
    | Annotated[Finetune, tyro.conf.subcommand("finetune")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Merge, tyro.conf.subcommand("merge")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments == ["--version"]:
        from jaxcam import __version__

        _say(f"jaxcam {__version__}")
        return EXIT_OK
    command = tyro.cli(
        Command,
        prog="jaxcam",
        description="Class activation maps from Flax models, and how good they are.",
        args=arguments,
    )
    try:
        return command.run()
    except KeyboardInterrupt:
        goes_on = "; the same command goes on where this one stopped"
        _complain(f"Interrupted{goes_on if isinstance(command, Evaluate) else ''}.")
        return EXIT_INTERRUPTED
    except (ValueError, TypeError, LookupError, OSError, ModuleNotFoundError) as error:
        if command.debug:
            raise
        _complain(f"jaxcam: {error}")
        return EXIT_USAGE


def _show(result) -> None:
    from jaxcam import tables

    for line in tables.report(result):
        _print(line)


def _reported(run: Path, **options) -> str:
    """Writes a run's report, or says how to get one."""
    import jaxcam

    try:
        out = jaxcam.report(run, **options)
    except ModuleNotFoundError:
        hint = 'python -m pip install "jaxcam-eval[viz]", then jaxcam report'
        return f"For a report to look at: {hint} {run}."
    return f"The report is {out}; open it in a browser."


def _print(renderable) -> None:
    from rich import console

    width = None if sys.stdout.isatty() else 100
    console.Console(width=width, highlight=False).print(renderable)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")
