"""Batches: full, padded, in order, with every row there is."""

import itertools
import threading
import time

import numpy as np
import pytest
from PIL import Image

from jaxcam import data
from jaxcam.data import pipeline, records


def record(name, image, truth=None, **more):
    def answer(value):
        def give():
            if isinstance(value, Exception):
                raise value
            return value

        return give

    return data.Record(
        id=name,
        image=answer(image),
        truth=answer(data.Truth() if truth is None else truth),
        shape=answer(image if isinstance(image, Exception) else image.shape[:2]),
        **more,
    )


def dataset_of(*rows, **more):
    return data.Dataset(name="made", records=rows, **more)


def all_rows(batches):
    """Rows of the batches, one dict each."""
    rows = []
    for batch in batches:
        for i in range(len(batch["index"])):
            rows.append({name: values[i] for name, values in batch.items()})
    return rows


def white(height, width):
    return np.full((height, width, 3), 255, np.uint8)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 8])
@pytest.mark.parametrize("span", [range(7), range(2, 6), range(5, 99), range(7, 7)])
def test_shapes_and_order(batch_size, span):
    dataset = data.open_dataset("shapes:test,n=7")
    expected = list(range(7))[span.start : span.stop]
    batches = list(
        data.batches(dataset, size=(32, 24), batch_size=batch_size, spans=[span])
    )
    assert len(batches) == -(-len(expected) // batch_size)
    for batch in batches:
        assert batch["image"].shape == (batch_size, 32, 24, 3)
        for name in ("mask", "where", "frame"):
            assert batch[name].shape == (batch_size, 32, 24)
            assert batch[name].dtype == bool
        assert batch["boxes"].shape == (batch_size, 1, 4)
        dtypes = {
            "index": np.int64,
            "image": np.uint8,
            "boxes": np.float32,
            "box_valid": bool,
            "label": np.int32,
            "extent": np.int32,
            "size": np.int32,
            "valid": bool,
        }
        assert {name: batch[name].dtype for name in dtypes} == dtypes
        assert all(len(values) == batch_size for values in batch.values())
    rows = all_rows(batches)
    assert [r["index"] for r in rows if r["index"] >= 0] == expected
    padding = rows[len(expected) :]
    assert all(r["reason"] == "padding" and not r["valid"] for r in padding)
    assert not any(r["image"].any() or r["frame"].any() for r in padding)


def test_a_row_does_not_depend_on_its_batch():
    dataset = data.open_dataset("shapes:two_objects,n=9")

    def rows(batch_size, **more):
        made = all_rows(
            data.batches(dataset, size=(40, 40), batch_size=batch_size, **more)
        )
        return [r for r in made if r["index"] >= 0]

    expected = rows(9)
    later = rows(3, spans=[range(6, 23), range(2)])
    assert [r["index"] for r in later] == [6, 7, 8, 0, 1]
    for other in (rows(4), rows(2, threads=4), rows(1, threads=1), later):
        for row in other:
            for name, value in expected[row["index"]].items():
                np.testing.assert_array_equal(row[name], value)


def test_bad_rows_keep_their_place_and_say_why():
    small = data.Truth(object=np.ones((4, 6), bool))
    turned = data.Truth(object=np.ones((6, 4), bool))
    border = data.Truth(object=np.ones((4, 6), bool), border=np.ones((4, 5), bool))
    boxes = data.Truth(boxes=np.array([[0, 0, 1, 1], [1, 1, 2, 2]]))
    dataset = dataset_of(
        record("good", white(4, 6), small, candidates=(3, 4), category="cat"),
        record("image", records.BadRecord("the image is missing"), candidates=(7,)),
        record("truth", white(4, 6), records.BadRecord("the mask is missing")),
        record("turned", white(4, 6), turned),
        record("border", white(4, 6), border),
        record("boxes", white(4, 6), boxes),
        record("none", white(4, 6)),
    )
    rows = all_rows(data.batches(dataset, size=(8, 8), batch_size=4))[:7]
    assert [r["reason"] for r in rows] == [
        "",
        "the image is missing",
        "the mask is missing",
        "the object mask is 6 x 4, the image 4 x 6 (upright, as the camera noted)",
        "the border mask is 4 x 5, the image 4 x 6",
        "it has 2 boxes, the data set 1",
        "",
    ]
    assert [r["valid"] for r in rows] == [r["reason"] == "" for r in rows]
    assert [r["index"] for r in rows] == list(range(7))
    good, bad, none = rows[0], rows[1], rows[6]
    assert (good["label"], good["candidates"], good["category"]) == (3, (3, 4), "cat")
    assert (bad["id"], bad["label"], bad["candidates"]) == ("image", 7, (7,))
    assert not any(bad[name].any() for name in ("image", "mask", "where", "frame"))
    assert none["label"] == -1
    assert none["where"].all()
    assert not none["mask"].any()
    assert not none["box_valid"].any()


@pytest.mark.parametrize(
    ("border", "mask", "where"),
    [
        ("ignore", lambda t: t == 1, lambda t: t != 3),
        ("foreground", lambda t: t != 2, lambda t: t > 0),
        ("background", lambda t: t == 1, lambda t: t > 0),
    ],
)
@pytest.mark.parametrize("geometry", ["squash", "crop", "original"])
def test_the_border_of_a_trimap(trimap, border, mask, where, geometry):
    values = trimap(12, 12, (3, 4, 8, 10))
    truth = data.Truth(object=values == 1, border=values == 3)
    dataset = dataset_of(record("a", white(12, 12), truth))
    (batch,) = data.batches(
        dataset, size=(12, 12), batch_size=1, border=border, geometry=geometry
    )
    np.testing.assert_array_equal(batch["mask"][0], mask(values))
    np.testing.assert_array_equal(batch["where"][0], where(values))
    assert batch["frame"].all()
    # The box is that of object and border, whatever masks make of the border.
    np.testing.assert_array_equal(batch["boxes"][0], [[2, 3, 9, 11]])
    assert batch["box_valid"].all()


def test_an_empty_trimap_is_a_valid_row_without_a_box():
    truth = data.Truth(object=np.zeros((4, 4), bool), border=np.zeros((4, 4), bool))
    dataset = dataset_of(record("a", white(4, 4), truth))
    (batch,) = data.batches(dataset, size=(4, 4), batch_size=1)
    assert batch["valid"].all()
    assert not batch["mask"].any()
    assert not batch["box_valid"].any()
    assert not batch["boxes"].any()


def test_boxes_follow_the_geometry_and_keep_their_slots():
    boxes = data.Truth(boxes=np.array([[0, 10, 30, 50], [0, 0, 60, 20.0]]))
    dataset = dataset_of(
        record("two", white(60, 100), boxes), record("none", white(60, 100)), boxes=3
    )
    first, second = all_rows(
        data.batches(dataset, size=(20, 20), batch_size=2, geometry="crop")
    )
    np.testing.assert_allclose(first["boxes"], [[0, 0, 10, 10], [0] * 4, [0] * 4])
    np.testing.assert_array_equal(first["box_valid"], [True, False, False])
    assert not second["box_valid"].any()


def test_original_keeps_the_truth_on_its_own_grid():
    mask = np.zeros((6, 9), bool)
    mask[1:3, 2:7] = True
    dataset = dataset_of(
        record("small", white(6, 9), data.Truth(object=mask)),
        record("bad", records.BadRecord("the image is missing")),
        record("tall", white(11, 4)),
    )
    rows = all_rows(
        data.batches(dataset, size=(5, 5), batch_size=3, geometry="original")
    )
    small, bad, tall = rows
    assert {r["mask"].shape for r in rows} == {(11, 9)}
    assert {r["image"].shape for r in rows} == {(5, 5, 3)}
    np.testing.assert_array_equal(small["mask"][:6], mask)
    assert not small["mask"][6:].any()
    assert small["frame"].sum() == small["frame"][:6, :9].sum() == 54
    np.testing.assert_array_equal(small["where"], small["frame"])
    np.testing.assert_array_equal(small["boxes"], [[1, 2, 3, 7]])
    assert list(small["extent"]) == list(small["size"]) == [6, 9]
    assert list(tall["extent"]) == [11, 4]
    assert not bad["frame"].any()
    assert small["image"].min() == 255


def test_the_canvas_is_that_of_the_whole_data_set_or_as_given():
    dataset = dataset_of(record("a", white(6, 9)), record("b", white(11, 4)))

    def shape(**more):
        (batch,) = data.batches(
            dataset, size=(5, 5), batch_size=1, geometry="original", **more
        )
        return batch["mask"].shape[1:], batch["reason"]

    assert (
        shape(spans=[range(1)])
        == shape(spans=[range(1)], canvas=None)
        == ((11, 9), [""])
    )
    assert shape(spans=[range(1)], canvas=(12, 12)) == ((12, 12), [""])
    assert shape(spans=[range(1, 2)], canvas=(10, 10)) == (
        (10, 10),
        ["the image is 11 x 4, the canvas 10 x 10"],
    )


def test_squashed_images_are_pillows():
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    (batch,) = data.batches(dataset_of(record("a", image)), size=(16, 16), batch_size=1)
    expected = Image.fromarray(image).resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(batch["image"][0], expected)
    assert list(batch["size"][0]) == [40, 60]
    assert list(batch["extent"][0]) == [16, 16]


def test_rows_are_read_ahead_but_not_far():
    """Decoding goes on while a batch is in use, and stops at a bound."""
    read = []

    def image(i):
        def give():
            read.append(i)
            return white(4, 4)

        return give

    rows = [
        data.Record(str(i), image(i), data.Truth, lambda: (4, 4)) for i in range(200)
    ]
    stream = data.batches(dataset_of(*rows), size=(4, 4), batch_size=4)
    next(stream)
    for _ in range(100):
        if len(read) > 4:
            break
        time.sleep(0.02)
    time.sleep(0.1)
    ahead = max(pipeline.BATCHES_AHEAD, pipeline.THREADS)
    assert 4 < len(read) <= 4 * (2 + ahead)
    before = len(read)
    stream.close()
    time.sleep(0.1)
    assert len(read) <= before + 4 * pipeline.THREADS


def test_threads_end_with_the_stream():
    dataset = data.open_dataset("shapes:test,n=40")
    for _ in range(3):
        stream = data.batches(dataset, size=(16, 16), batch_size=4)
        list(itertools.islice(stream, 2))
        stream.close()
    list(data.batches(dataset, size=(16, 16), batch_size=4))
    for _ in range(100):
        if threading.active_count() < 8:
            break
        time.sleep(0.05)
    assert threading.active_count() < 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"geometry": "stretch"}, "choose one of 'squash', 'crop', 'original'"),
        ({"border": "skip"}, "choose one of 'ignore', 'foreground', 'background'"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"size": (0, 8)}, "sizes must be at least 1"),
        ({"spans": [range(-1, 2)]}, "spans start at 0"),
        ({"crop_fraction": 1.5}, r"the fraction in \(0, 1\]"),
    ],
)
def test_refusals_come_at_once(options, message):
    dataset = data.open_dataset("shapes")
    with pytest.raises(ValueError, match=message):
        data.batches(dataset, **{"size": (8, 8), "batch_size": 2, **options})


def test_a_run_over_damaged_pets_loses_nothing(pets):
    folder = pets(("a_1", "b_1", "c_1", "d_1", "e_1"))
    (folder / "images" / "a_1.jpg").unlink()
    (folder / "images" / "b_1.jpg").write_bytes(b"no image")
    (folder / "trimaps" / "c_1.png").unlink()
    wrong = Image.fromarray(np.ones((3, 3), np.uint8))
    wrong.save(folder / "trimaps" / "d_1.png")
    dataset = data.open_dataset(folder)
    for geometry in ("squash", "crop", "original"):
        rows = all_rows(
            data.batches(dataset, size=(8, 8), batch_size=2, geometry=geometry)
        )[:5]
        assert [r["id"] for r in rows] == ["a_1", "b_1", "c_1", "d_1", "e_1"]
        assert [r["valid"] for r in rows] == [False] * 4 + [True]
        assert [r["reason"] for r in rows] == [
            "the image is missing",
            "the image cannot be decoded: cannot identify image file 'b_1.jpg'",
            "the trimap is missing",
            "the object mask is 3 x 3, the image 12 x 16",
            "",
        ]


def test_the_real_pets(shared_dir):
    dataset = data.open_dataset(shared_dir / "data" / "oxford_pets")
    rows = all_rows(
        data.batches(dataset, size=(64, 64), batch_size=16, spans=[range(48)])
    )
    assert all(r["valid"] for r in rows)
    shares = [r["mask"].mean() for r in rows]
    assert 0.1 < np.mean(shares) < 0.5
    for row in rows:
        inside = row["mask"] | (row["frame"] & ~row["where"])
        y0, x0, y1, x1 = row["boxes"][0].astype(int)
        assert inside[y0:y1, x0:x1].sum() == inside.sum()


def test_the_pet_with_an_empty_trimap(shared_dir):
    dataset = data.open_dataset(shared_dir / "data" / "oxford_pets")
    at = [r.id for r in dataset.records].index("Abyssinian_34")
    (batch,) = data.batches(
        dataset, size=(64, 64), batch_size=1, spans=[range(at, at + 1)]
    )
    assert batch["valid"].all()
    assert not batch["mask"].any()
    assert not batch["box_valid"].any()


@pytest.mark.slow
@pytest.mark.scale
def test_processes_read_what_threads_read():
    dataset = data.open_dataset("shapes:test,n=11")
    options = {"size": (32, 32), "batch_size": 4, "spans": [range(2, 7), range(8, 11)]}
    threads = list(data.batches(dataset, **options))
    processes = list(data.batches(dataset, workers=2, **options))
    assert len(threads) == len(processes) == 3
    for ours, theirs in zip(processes, threads, strict=True):
        for name, values in theirs.items():
            if isinstance(values, list):
                assert ours[name] == values
            else:
                np.testing.assert_array_equal(ours[name], values)
