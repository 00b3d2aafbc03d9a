"""Image files explained: a picture and the raw maps of each, in a folder."""

from __future__ import annotations

import dataclasses
import difflib
import json
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcam import _spec, explanation, methods, plot, programs, progress
from jaxcam.data import geometry, readers, records


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes:
      name: Its name, and that of the files written, without suffix.
      said: What was explained, and what is odd about the maps.
      problem: Why it could not be explained; "" if it was.
    """

    name: str
    said: str = ""
    problem: str = ""


def explain_files(
    model: Any,
    images: Sequence[str | Path],
    *,
    method: str | Sequence[str] = "grad_cam",
    layer: str | None = None,
    top: int = 1,
    target: int | str | None = None,
    against: int | str | None = None,
    class_names: Sequence[str] | None = None,
    out: str | Path = "explanations",
    draw: bool = True,
    batch_size: int = 16,
    seed: int = 0,
    show_progress: bool = False,
) -> Iterator[Outcome]:
    """Explains image files and folders of them; see `jaxcam.explain`.

    Images are squashed onto the model's grid. Everything but an image's content is
    checked at the call, before the first image is explained. An image that cannot be
    read does not keep the others from being explained.

    Args:
      model: From `jaxcam.models.load` or `jaxcam.models.wrap`.
      images: Image files, and folders, of which every image is taken.
      method: A name, or several, with options where wanted.
      layer: The layer to tap, for the methods that tap one and name none themselves;
        several in "(a,b)".
      top: How many of the best classes are explained.
      target: The one class to explain instead, a number or a name.
      against: Explains why `target` and not this class.
      class_names: Names of the model's classes, where it does not know them itself.
      out: Folder. `NAME.png` is the picture of an image; `NAME.npz` holds the maps of
        each method at their native resolution, float32[k, h, w] for the k classes,
        with `targets`, `target_names` and `probabilities`.
      draw: False writes no pictures.
      batch_size: Images at a time. Changes the speed, never a map.
      seed: Seed of the methods that draw numbers; each image has its own, by its place.
      show_progress: Shows a progress bar.

    Returns:
      An outcome for each image, as it is finished; nothing is explained before the
      first one is asked for.

    Raises:
      FileNotFoundError: A file or folder is not there.
      ModuleNotFoundError: Pictures are wanted and matplotlib is not installed.
      ValueError: A folder without images, two images of one name, an unknown method,
        layer or class, `top` beside `target`.
    """
    if draw:
        plot.require()
    files = find_images(images)
    names = output_names(model, class_names)
    asked = [method] if isinstance(method, str) else list(method)
    requests = _requests(asked, layer)
    methods.validate(model, requests)
    targets = _targets(model, names, top, target, against)
    batch_size = max(1, min(batch_size, len(files)))

    work = _Work(
        model, targets, tuple(requests), names, Path(out), draw, batch_size, seed
    )

    def outcomes() -> Iterator[Outcome]:
        with progress.bar("explain", len(files), show=show_progress) as advance:
            for start in range(0, len(files), batch_size):
                for outcome in work.batch(files[start : start + batch_size], start):
                    advance(1)
                    yield outcome

    return outcomes()


def find_images(paths: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """Names and files of images, of folders all the images inside.

    Raises:
      FileNotFoundError: A file or folder is not there.
      ValueError: A folder holds no image, two images have one name, nothing is named.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside, _ = readers.files_by_id(path, readers.IMAGE_SUFFIXES)
            if not inside:
                raise ValueError(f"There is no image in the folder {path}.")
        elif path.is_file():
            inside = {path.stem: path}
        else:
            raise FileNotFoundError(f"There is no image or folder {path}.")
        for name, file in inside.items():
            if found.setdefault(name, file) != file:
                raise ValueError(
                    f"{found[name]} and {file} would both be written as {name}.png; "
                    "explain them into two folders."
                )
    if not found:
        raise ValueError("Name at least one image or a folder of images.")
    return list(found.items())


def read_class_names(path: str | Path) -> tuple[str, ...]:
    """Names of classes, in their order.

    Args:
      path: A text file with a name a line, or JSON: a list of names or of objects with
        `name`, or an object from numbers to names or to (identifier, name).

    Raises:
      FileNotFoundError: The file is not there.
      ValueError: It has another form.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of class names {path}.")
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() != ".json":
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    try:
        found = json.loads(text)
        if isinstance(found, dict):
            found = [found[str(i)] for i in range(len(found))]
        return tuple(_class_name(entry) for entry in found)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} holds no class names; give a text file with a name a line."
        ) from error


def _class_name(entry: Any) -> str:
    if isinstance(entry, dict):
        return str(entry["name"])
    return entry if isinstance(entry, str) else str(entry[-1])


def output_names(model: Any, class_names: Sequence[str] | None = None) -> list[str]:
    """A name for every output of a model, by number where none is known.

    Raises:
      ValueError: There are more or fewer names than classes.
    """
    count = programs.count_outputs(model)
    numbers = model.class_to_output
    if class_names is None:
        if model.class_names is not None:
            return list(model.class_names)
        if numbers is None:
            return [f"class {i}" for i in range(count)]
        class_names = [f"class {i}" for i in range(len(numbers))]
    places = range(count) if numbers is None else [int(i) for i in numbers]
    if len(class_names) != len(places):
        raise ValueError(
            f"There are {len(class_names)} names for the {len(places)} classes of "
            f"{model.name}."
        )
    names = [f"output {i}" for i in range(count)]
    for place, name in zip(places, class_names, strict=True):
        if place >= 0:
            names[place] = name
    return names


def find_class(model: Any, names: Sequence[str], wanted: int | str) -> int:
    """The output of a class, by its number or name, or one of several names "a, b".

    Raises:
      ValueError: There is no such class.
    """
    outputs = model.class_to_output
    if str(wanted).strip().isdecimal():
        count = len(names) if outputs is None else len(outputs)
        if int(wanted) >= count:
            raise ValueError(f"{model.name} has the classes 0 to {count - 1}.")
        place = int(wanted) if outputs is None else int(outputs[int(wanted)])
        if place < 0:
            raise ValueError(f"{model.name} has no output for class {wanted}.")
        return place
    known: dict[str, int] = {}
    for place, name in enumerate(names):
        for part in (name, *name.split(",")):
            known.setdefault(part.strip().lower(), place)
    key = str(wanted).strip().lower()
    if key not in known:
        near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "give its number."
        raise ValueError(f"{model.name} knows no class {wanted!r}; {hint}")
    return known[key]


def _requests(asked: Sequence[str], layer: str | None) -> list[_spec.Request]:
    requests = [_spec.parse(name) for name in asked]
    if layer is None:
        return requests
    table = methods.table()
    taps = [r.name not in table or table[r.name].layer is not None for r in requests]
    taps = [
        t and "layer" not in dict(r.options)
        for r, t in zip(requests, taps, strict=True)
    ]
    if not any(taps):
        raise ValueError(f"{', '.join(asked)} taps no other layer; leave it out.")
    chosen = ("layer", layer)
    return [
        _spec.Request(r.name, (*r.options, chosen)) if tap else r
        for r, tap in zip(requests, taps, strict=True)
    ]


def _targets(
    model: Any,
    names: Sequence[str],
    top: int,
    target: int | str | None,
    against: int | str | None,
) -> str | tuple[int, ...]:
    """What to explain: "top-k", one class, or a class and the one held against it."""
    if target is None:
        if against is not None:
            raise ValueError("A class to hold against needs the class to explain too.")
        if not 1 <= top <= len(names):
            raise ValueError(f"top={top} is not among the {len(names)} classes.")
        return f"top-{top}"
    if top != 1:
        raise ValueError(
            f"top={top} asks for the best classes, target={target!r} for one of your "
            "choice; leave out one of them."
        )
    given = (target,) if against is None else (target, against)
    return tuple(find_class(model, names, one) for one in given)


@dataclasses.dataclass(frozen=True)
class _Work:
    """What is done to every image, and where it goes."""

    model: Any
    targets: str | tuple[int, ...]
    requests: tuple[_spec.Request, ...]
    names: Sequence[str]
    out: Path
    draw: bool
    batch_size: int
    seed: int

    def batch(self, files: Sequence[tuple[str, Path]], first: int) -> Iterator[Outcome]:
        """Explains one batch of files, of which `first` is the number of the first."""
        pixels = np.zeros((self.batch_size, *self.model.input.size, 3), np.uint8)
        shown: dict[int, np.ndarray] = {}
        for i, (name, file) in enumerate(files):
            try:
                image = readers.read_image(file)
            except records.BadRecord as error:
                yield Outcome(name, problem=f"{file}: {error}")
                continue
            spec = self.model.input
            frame = geometry.frame(image.shape[:2], spec.size, "squash")
            pixels[i] = geometry.resize_image(image, frame, spec.interpolation)
            shown[i] = plot.shrunk(image)
        found = self._explanations(pixels, first) if shown else {}
        for i, image in shown.items():
            yield self._written(files[i][0], image, found, i)

    def _explanations(
        self, pixels: np.ndarray, first: int
    ) -> dict[str, explanation.Explanation]:
        targets: Any = self.targets
        if not isinstance(targets, str):
            one = targets[0] if len(targets) == 1 else targets
            targets = np.broadcast_to(one, (len(pixels), *np.shape(one)))
        with warnings.catch_warnings():
            # The picture and the outcome of the image say so.
            warnings.filterwarnings("ignore", r"\d+ of \d+ maps of .* hold NaN")
            return explanation.explain(
                self.model,
                pixels,
                targets,
                self.requests,
                size="native",
                full=True,
                batch_size=self.batch_size,
                seed=self.seed,
                first=first,
            )

    def _written(
        self,
        name: str,
        image: np.ndarray,
        found: Mapping[str, explanation.Explanation],
        i: int,
    ) -> Outcome:
        """Writes what was found of image `i`, and says it in a line."""
        some = next(iter(found.values()))
        targets = np.atleast_1d(some.targets[i])
        chances = np.atleast_1d(some.probabilities[i])
        target_names = [self.names[t] for t in targets]
        classes = [
            f"{_short(name)}, {chance:.1%}"
            for name, chance in zip(target_names, chances, strict=True)
        ]
        if not isinstance(self.targets, str) and len(self.targets) == 2:
            classes = ["\nnot ".join(classes)]
        maps = {m: _stack(e.maps[i]) for m, e in found.items()}
        notes = {
            m: [str(s) for s in np.atleast_1d(e.status[i])] for m, e in found.items()
        }
        file = self.out / f"{name}.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        about = {"targets": targets, "target_names": np.array(target_names)}
        np.savez_compressed(file, **about, probabilities=chances, **maps)
        if self.draw:
            heads = {m: _head(e) for m, e in found.items()}
            figure = plot.explanations(
                image,
                {heads[m]: stack for m, stack in maps.items()},
                classes,
                notes={heads[m]: notes[m] for m in maps},
            )
            plot.save(figure, self.out / f"{name}.png")
        flaws = [
            f"{method}: {note}"
            for method, several in notes.items()
            for note in dict.fromkeys(several)
            if note
        ]
        said = " · ".join(one.replace("\n", " ") for one in classes)
        return Outcome(name, said="; ".join((said, *flaws)))


def _head(one: explanation.Explanation) -> str:
    """The method, its options and the layers, a line each."""
    request = _spec.parse(one.method)
    options = tuple(option for option in request.options if option[0] != "layer")
    head = str(_spec.Request(request.name, options)).replace("[", "\n[")
    return "\n".join((head, ", ".join(one.layers))) if one.layers else head


def _stack(maps: np.ndarray) -> np.ndarray:
    """float32[k, h, w], also of one class."""
    return maps if maps.ndim == 3 else maps[None]


def _short(name: str) -> str:
    """The first of several names "a, b", at a length that fits a panel."""
    return textwrap.shorten(name.partition(",")[0], 40, placeholder=" …")
