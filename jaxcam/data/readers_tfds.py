"""Data sets that TensorFlow Datasets has prepared, read without TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcam.data import masks, readers, readers_pets, records

PETS = "oxford_iiit_pet"
_SPECIES = (readers_pets.CATS, readers_pets.DOGS)
_OPTIONS = ("split", "data_dir")


def is_spec(text: str) -> bool:
    """Whether it is written `tfds:NAME`."""
    return text.startswith("tfds:")


def tfds(spec: str) -> records.Dataset:
    """A prepared data set of TensorFlow Datasets.

    Nothing is downloaded or prepared, and neither TensorFlow nor the data set's own
    code is imported: the files must be ArrayRecords, as `tfds build NAME
    --file_format=array_record` makes them.

    The image is the feature `image`; the class `label`; the object `segmentation_mask`,
    of Oxford pets a trimap, of others everything that is not 0; boxes are `bbox`, or
    those of `objects`, for which all examples are read when the data set is opened, to
    know the most boxes of one. Oxford pets count every ImageNet class of their species
    as right; labels of `imagenet*` and `cifar10` are those of the networks.

    Args:
      spec: `tfds:NAME`, `tfds:NAME/CONFIG:VERSION` with options if wanted:
        `tfds:oxford_iiit_pet,split=test,data_dir=DIR`. The split is "test" by default,
        or "validation" or "train" where there is none; the folder is the environment's
        `TFDS_DATA_DIR`, or `~/tensorflow_datasets`.

    Returns:
      The data set, in the order of its files.

    Raises:
      FileNotFoundError: It is not prepared there; the message says how it is.
      ValueError: It is prepared in another format, has no images or no such split, or
        an option is unknown.
    """
    name, version, options = _parsed(spec)
    folder = _prepared(name, version, options.get("data_dir"))
    import tensorflow_datasets

    builder = tensorflow_datasets.builder_from_directory(folder)
    features = builder.info.features
    if "image" not in features:
        raise ValueError(
            f"{name} has no feature 'image': it has {', '.join(features)}."
        )
    split = _split(name, list(builder.info.splits), options.get("split"))
    skipped = {
        key: tensorflow_datasets.decode.SkipDecoding()
        for key in ("image", "segmentation_mask")
        if key in features
    }
    try:
        source = builder.as_data_source(split=split, decoders=skipped)
    except NotImplementedError as error:
        raise ValueError(
            f"{folder} holds no ArrayRecords; prepare it again with "
            f"`tfds build {name} --file_format=array_record`."
        ) from error
    rows = _Rows(source, name.partition("/")[0], split)
    return records.Dataset(
        name=f"tfds:{name}",
        records=rows,
        label_set=_label_set(name),
        class_names=_class_names(name, features),
        boxes=_most_boxes(source) if "objects" in features else 1,
        origin=("tfds", name, folder.name, split, len(source)),
        self_described=True,
    )


def _parsed(spec: str) -> tuple[str, str, dict[str, str]]:
    head, *parts = spec.removeprefix("tfds:").split(",")
    name, _, version = head.partition(":")
    options = {}
    for part in parts:
        key, equals, value = part.strip().partition("=")
        if key not in _OPTIONS or not equals:
            raise ValueError(
                f"{part!r} in {spec!r} cannot be read; the options are split= and "
                "data_dir=."
            )
        options[key] = value
    return name.strip("/"), version, options


def _prepared(name: str, version: str, data_dir: str | None) -> Path:
    """The folder of one version."""
    home = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    root = Path(home).expanduser() / name
    found = [path.parent for path in root.glob("*/dataset_info.json")]
    if version:
        found = [path for path in found if path.name == version]
    if not name or not found:
        wanted = f"version {version} of {name}" if version else (name or "a name")
        raise FileNotFoundError(
            f"TensorFlow Datasets has not prepared {wanted} in {root.parent}; where "
            f"there is a network run `tfds build {name or 'NAME'} "
            "--file_format=array_record`, then give data_dir= if the files lie "
            "elsewhere."
        )
    return max(found, key=_version)


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else -1 for part in path.name.split("."))


def _split(name: str, there: Sequence[str], wanted: str | None) -> str:
    if wanted is None:
        for split in ("test", "validation", "train"):
            if split in there:
                return split
        return there[0]
    if wanted.partition("[")[0] not in there:
        raise ValueError(f"{name} has no split {wanted!r}; it has {', '.join(there)}.")
    return wanted


def _label_set(name: str) -> str:
    family = name.partition("/")[0]
    if family == PETS or family.startswith("imagenet"):
        return "imagenet"
    return "cifar10" if family == "cifar10" else f"tfds:{family}"


def _class_names(name: str, features: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Names of the label set's classes, where the labels are its own."""
    names = getattr(features["label"], "names", None) if "label" in features else None
    own = _label_set(name).startswith("tfds:")
    return tuple(names) if names and own else None


def _most_boxes(source: Sequence[Any]) -> int:
    most = 1
    for number in range(len(source)):
        with contextlib.suppress(Exception):  # A damaged example is a row's affair.
            most = max(most, len(source[number]["objects"]["bbox"]))
    return most


@dataclasses.dataclass(frozen=True)
class _Rows(Sequence[records.Record]):
    """Records made when they are asked for: a data set may have millions."""

    source: Any
    family: str
    split: str

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        row = _Row(self.source, number, self.family)
        return records.Record(
            id=f"{self.split}/{number:06d}",
            image=row.image,
            truth=row.truth,
            shape=row.shape,
            candidates=row.candidates(),
            category=row.category(),
        )


class _Row:
    """One example; its bytes are read once and its pictures when they are wanted."""

    def __init__(self, source: Any, number: int, family: str) -> None:
        self.source, self.number, self.family = source, number, family

    @functools.cached_property
    def example(self) -> Mapping[str, Any]:
        try:
            return self.source[self.number]
        except Exception as error:  # Whatever a damaged record makes the reader raise.
            raise records.BadRecord(f"the example cannot be read ({error})") from error

    def encoded(self, key: str) -> io.BytesIO:
        held = self.example[key]
        return io.BytesIO(held.item() if isinstance(held, np.ndarray) else held)

    def image(self) -> np.ndarray:
        """As it is stored: boxes and masks know nothing of a camera's orientation."""
        return readers.decoded(
            self.encoded("image"), "image", lambda image: np.asarray(readers.rgb(image))
        )

    def shape(self) -> tuple[int, int]:
        return readers.decoded(
            self.encoded("image"), "image", lambda image: image.size[::-1]
        )

    def truth(self) -> records.Truth:
        mask = border = None
        if "segmentation_mask" in self.example:
            values = readers.decoded(
                self.encoded("segmentation_mask"),
                "mask",
                lambda image: masks.labels_of(image, "the mask"),
            )
            if self.family == PETS:
                mask, border = values == 1, values == 3
            else:
                mask = values > 0
        return records.Truth(mask, border, self.boxes())

    def boxes(self) -> np.ndarray | None:
        """Of shares of the sides, `[y0, x0, y1, x1]`, to pixels."""
        example = self.example
        if "bbox" in example:
            shares = np.asarray(example["bbox"], np.float32).reshape(1, 4)
        elif "objects" in example and "bbox" in example["objects"]:
            shares = np.asarray(example["objects"]["bbox"], np.float32).reshape(-1, 4)
        else:
            return None
        height, width = self.shape()
        return shares * np.array([height, width, height, width], np.float32)

    def candidates(self) -> tuple[int, ...]:
        try:
            example = self.example
        except records.BadRecord:
            return ()
        if self.family == PETS:
            first, last = _SPECIES[int(example["species"])]
            return tuple(range(first, last + 1))
        label = example.get("label")
        return () if label is None or int(label) < 0 else (int(label),)

    def category(self) -> str:
        """Oxford pets' breed is in the file's name."""
        named = self.example.get("file_name") if self.candidates() else None
        if self.family != PETS or named is None:
            return ""
        named = named.decode() if isinstance(named, bytes) else str(named)
        return named.rpartition(".")[0].rpartition("_")[0]
