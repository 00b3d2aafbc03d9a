import importlib
import io
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

import jaxcam
from jaxcam import data
from jaxcam.data import records

# What a user of TensorFlow Datasets would write; pictures are given as bytes, since its
# own encoding of arrays needs TensorFlow.
BUILDER = """
import io

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


def picture(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    file.seek(0)
    return file


class OxfordIiitPet(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("4.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(),
                    "label": tfds.features.ClassLabel(names=["Abyssinian", "beagle"]),
                    "species": tfds.features.ClassLabel(names=["Cat", "Dog"]),
                    "file_name": tfds.features.Text(),
                    "segmentation_mask": tfds.features.Image(shape=(None, None, 1)),
                }
            )
        )

    def _split_generators(self, _):
        return {"train": self._generate_examples(2), "test": self._generate_examples(5)}

    def _generate_examples(self, count):
        for i in range(count):
            trimap = np.full((20 + i, 30), 2, np.uint8)
            trimap[4:12, 5:15], trimap[12:14, 5:15] = 1, 3
            yield i, {
                "image": picture(np.full((20 + i, 30, 3), 40 * i, np.uint8)),
                "label": i % 2,
                "species": i % 2,
                "file_name": ("Abyssinian", "beagle")[i % 2] + f"_{i}.jpg",
                "segmentation_mask": picture(trimap),
            }


class Boxes(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.2.0")

    def _info(self):
        box = {"bbox": tfds.features.BBoxFeature()}
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(),
                    "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
                    "objects": tfds.features.Sequence(box),
                }
            )
        )

    def _split_generators(self, _):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        box = tfds.features.BBox(ymin=0.25, xmin=0.1, ymax=0.75, xmax=0.5)
        for i in range(3):
            yield i, {
                "image": picture(np.full((20, 40, 3), 9, np.uint8)),
                "label": i,
                "objects": [{"bbox": box}] * i,
            }
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder of two small data sets, made as TensorFlow Datasets makes any."""
    code, home = tmp_path_factory.mktemp("code"), tmp_path_factory.mktemp("tfds")
    (code / "made_up_sets").mkdir()
    (code / "made_up_sets" / "__init__.py").touch()
    (code / "made_up_sets" / "builders.py").write_text(BUILDER)
    sys.path.insert(0, str(code))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module("made_up_sets.builders")
            for kind in (module.OxfordIiitPet, module.Boxes):
                kind(data_dir=home, file_format="array_record").download_and_prepare()
    finally:
        sys.path.remove(str(code))
    return home


def test_pets_have_objects_borders_and_the_classes_of_their_species(prepared):
    dataset = data.open_dataset(f"tfds:oxford_iiit_pet,data_dir={prepared}")
    assert (dataset.name, len(dataset), dataset.label_set) == (
        "tfds:oxford_iiit_pet",
        5,
        "imagenet",
    )
    seen = set()
    for record in dataset.records:
        image, truth = record.image(), record.truth()
        number = image[0, 0, 0] // 40
        seen.add(int(number))
        assert image.shape == (20 + number, 30, 3) == (*record.shape(), 3)
        expected = np.zeros(image.shape[:2], bool)
        expected[4:12, 5:15] = True
        np.testing.assert_array_equal(truth.object, expected)
        assert truth.border.sum() == 20
        assert truth.boxes is None
        first = 151 if number % 2 else 281
        assert record.candidates[0] == first
        assert record.category == ("beagle" if number % 2 else "Abyssinian")
    assert seen == {0, 1, 2, 3, 4}
    assert [record.id for record in dataset.records] == [
        f"test/{i:06d}" for i in range(5)
    ]


def test_rows_become_batches_and_results(prepared, same_elsewhere):
    dataset = data.open_dataset(f"tfds:oxford_iiit_pet,data_dir={prepared}")
    same_elsewhere(dataset)
    (batch,) = data.batches(dataset, size=(16, 16), batch_size=8)
    assert batch["valid"].sum() == 5
    assert batch["mask"].any((1, 2)).sum() == 5
    result = jaxcam.score(
        np.ones((5, 7, 7), np.float32),
        dataset,
        metrics=["energy_pointing_game"],
        size=(32, 32),
        floors=False,
    )
    values = result.values("energy_pointing_game", "maps")
    assert ((values > 0.05) & (values < 0.25)).all()


def test_splits_versions_and_fingerprints(prepared):
    train = data.open_dataset(
        f"tfds:oxford_iiit_pet:4.0.0,split=train,data_dir={prepared}"
    )
    assert len(train) == 2
    same = data.open_dataset(f"tfds:oxford_iiit_pet,split=train,data_dir={prepared}")
    test = data.open_dataset(f"tfds:oxford_iiit_pet,data_dir={prepared}")
    assert train.fingerprint() == same.fingerprint() != test.fingerprint()


def test_boxes_are_in_pixels(prepared):
    dataset = data.open_dataset(f"tfds:boxes,data_dir={prepared}")
    assert dataset.boxes == 2
    assert dataset.label_set == "tfds:boxes"
    assert dataset.class_names == ("a", "b", "c")
    by_label = {record.candidates[0]: record.truth() for record in dataset.records}
    assert by_label[0].boxes.shape == (0, 4)
    np.testing.assert_allclose(by_label[2].boxes, [[5, 4, 15, 20]] * 2, rtol=1e-6)
    assert by_label[2].object is None


def test_nothing_heavy_is_imported(prepared):
    data.open_dataset(f"tfds:boxes,data_dir={prepared}").records[0].image()
    assert "tensorflow" not in sys.modules


def test_what_is_not_there_is_named(prepared, tmp_path, monkeypatch):
    with pytest.raises(
        FileNotFoundError, match="tfds build cub --file_format=array_record"
    ):
        data.open_dataset(f"tfds:cub,data_dir={prepared}")
    with pytest.raises(FileNotFoundError, match=r"version 9\.9\.9 of boxes"):
        data.open_dataset(f"tfds:boxes:9.9.9,data_dir={prepared}")
    with pytest.raises(ValueError, match="no split 'test'; it has train"):
        data.open_dataset(f"tfds:boxes,split=test,data_dir={prepared}")
    with pytest.raises(ValueError, match="options are split= and data_dir="):
        data.open_dataset("tfds:boxes,size=3")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        data.open_dataset("tfds:boxes")


class Altered:
    """A source whose every example is the first, with other values."""

    def __init__(self, dataset, **values):
        self.example = {**dataset.records.source[0], **values}

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.example


def altered(dataset, **values):
    rows = dataset.records
    (row,) = type(rows)(Altered(dataset, **values), rows.family, rows.split)
    return row


def test_a_damaged_picture_is_a_bad_row(prepared):
    """Whatever decoders raise, and the reason is the same in every run."""
    dataset = data.open_dataset(f"tfds:oxford_iiit_pet,data_dir={prepared}")
    with pytest.raises(records.BadRecord, match="identify image file these bytes"):
        altered(dataset, image=b"nothing").image()
    good = np.frombuffer(dataset.records.source[0]["image"], np.uint8)
    rng, refused = np.random.default_rng(0), 0
    for _ in range(60):
        bad = good[: rng.integers(1, len(good) + 1)].copy()
        bad[rng.integers(0, len(bad), 4)] = rng.integers(0, 256, 4)
        row = altered(dataset, image=bad.tobytes(), segmentation_mask=bad.tobytes())
        for read in (row.image, row.shape, row.truth):
            try:
                read()
            except records.BadRecord:
                refused += 1
    assert refused > 60


def test_masks_with_a_palette_are_its_numbers(prepared):
    dataset = data.open_dataset(f"tfds:oxford_iiit_pet,data_dir={prepared}")
    picture = Image.fromarray(np.array([[1, 2, 3]], np.uint8), mode="P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    file = io.BytesIO()
    picture.save(file, "PNG")
    truth = altered(dataset, segmentation_mask=file.getvalue()).truth()
    np.testing.assert_array_equal(truth.object, [[True, False, False]])
    np.testing.assert_array_equal(truth.border, [[False, False, True]])
