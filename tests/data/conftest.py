"""Small image files and folders of them."""

import cloudpickle
import numpy as np
import pytest
from PIL import Image

from jaxcam import data


@pytest.fixture
def write():
    """Writes an array (or an image) as a file, with the folders it needs."""

    def save(path, array, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        image = array if isinstance(array, Image.Image) else Image.fromarray(array)
        image.save(path, **options)
        return path

    return save


@pytest.fixture
def same_elsewhere():
    """Makes sure that a data set reads alike where a decoding process gets it."""

    def check(dataset):
        sent = cloudpickle.loads(cloudpickle.dumps(dataset))
        options = {"size": (9, 7), "batch_size": len(dataset)}
        (here,), (there,) = (list(data.batches(d, **options)) for d in (dataset, sent))
        assert here.keys() == there.keys()
        for name, values in here.items():
            np.testing.assert_array_equal(
                np.asarray(values, object if name == "candidates" else None),
                np.asarray(there[name], object if name == "candidates" else None),
            )

    return check


@pytest.fixture
def picture():
    """uint8[h, w, 3], smooth enough for a JPEG to keep."""

    def draw(height=12, width=16, seed=0):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 255, (2, 2, 3)).astype(np.uint8)
        return np.asarray(
            Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)
        )

    return draw


@pytest.fixture
def trimap():
    """uint8[h, w]: an object with a border of one pixel around it."""

    def draw(height=12, width=16, box=(3, 4, 8, 10)):
        values = np.full((height, width), 2, np.uint8)
        y0, x0, y1, x1 = box
        values[y0 - 1 : y1 + 1, x0 - 1 : x1 + 1] = 3
        values[y0:y1, x0:x1] = 1
        return values

    return draw


@pytest.fixture
def pets(tmp_path, write, picture, trimap):
    """A folder as the shared one: images, trimaps, labels.csv."""

    def make(names=("Bengal_2", "Bengal_10", "pug_1"), root=tmp_path / "pets"):
        lines = ["file,breed,species,imagenet_ok_top1,imagenet_coarse_range"]
        for seed, name in enumerate(names):
            write(root / "images" / f"{name}.jpg", picture(seed=seed), quality=95)
            write(root / "trimaps" / f"{name}.png", trimap())
            breed = name.rpartition("_")[0]
            kind = ("cat", "281 285", "281-285")
            if breed == "pug":
                kind = ("dog", "254", "151-268")
            lines.append(",".join((name, breed, *kind)))
        (root / "labels.csv").write_text("\n".join(lines) + "\n")
        return root

    return make
