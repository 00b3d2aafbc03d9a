import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jaxcam.data import maps

RNG = np.random.default_rng(0)
SMALL = RNG.random((7, 7), np.float32)
LARGE = RNG.random((5, 9))  # float64, and not square.


def test_an_archive_of_one_array_an_image(tmp_path):
    np.savez(tmp_path / "m.npz", **{"a/b.jpg": SMALL, "c.jpg": LARGE})
    saved = maps.read_maps(tmp_path / "m.npz")
    assert saved.ids == ("a/b.jpg", "c.jpg")
    assert len(saved) == 2
    np.testing.assert_array_equal(saved[0], SMALL)
    np.testing.assert_array_equal(saved[-1], LARGE.astype(np.float32))
    assert saved[1].dtype == np.float32
    assert [image for image, _ in saved] == ["a/b.jpg", "c.jpg"]
    with pytest.raises(IndexError):
        saved[2]


@pytest.mark.parametrize("kind", ["U5", "S5"])
def test_an_archive_of_ids_and_maps(tmp_path, kind):
    ids = np.array(["x.jpg", "y.jpg"], kind)
    np.savez_compressed(tmp_path / "m.npz", ids=ids, maps=np.stack([SMALL, 2 * SMALL]))
    saved = maps.read_maps(tmp_path / "m.npz")
    assert saved.ids == ("x.jpg", "y.jpg")
    np.testing.assert_array_equal(saved[1], 2 * SMALL)


def test_a_tree_as_the_tools_write_it(tmp_path):
    for name, x in {"val/2/a.JPEG": SMALL, "val/10/b.JPEG": LARGE}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        np.save(tmp_path / name, x)  # NumPy appends .npy to what it is given.
    assert (tmp_path / "val/2/a.JPEG.npy").is_file()
    saved = maps.read_maps(tmp_path)
    assert saved.ids == ("val/10/b.JPEG", "val/2/a.JPEG")
    np.testing.assert_array_equal(saved[1], SMALL)


def test_maps_are_read_when_asked_for(tmp_path):
    np.save(tmp_path / "good.npy", SMALL)
    (tmp_path / "bad.npy").write_bytes(b"not an array")
    saved = maps.read_maps(tmp_path)
    np.testing.assert_array_equal(saved[1], SMALL)
    with pytest.raises(ValueError, match=r"bad\.npy cannot be read"):
        saved[0]


def table(rows):
    return pa.Table.from_pylist(
        [
            {
                "index": i,
                "id": image,
                "method": method,
                "target": target,
                "valid": x is not None,
                "saliency": None if x is None else x.ravel(),
                "saliency_height": None if x is None else x.shape[0],
                "saliency_width": None if x is None else x.shape[1],
            }
            for i, (image, method, target, x) in enumerate(rows)
        ],
        schema=pa.schema(
            {
                "index": pa.int64(),
                "id": pa.string(),
                "method": pa.string(),
                "target": pa.int32(),
                "valid": pa.bool_(),
                "saliency": pa.list_(pa.float32()),
                "saliency_height": pa.int32(),
                "saliency_width": pa.int32(),
            }
        ),
    )


@pytest.fixture
def run(tmp_path):
    wide = LARGE.astype(np.float32)
    (tmp_path / "shards").mkdir()
    first = [
        ("a", "cam", 1, SMALL),
        ("a", "grad_cam", 1, -SMALL),
        ("b", "cam", 2, None),
        ("b", "grad_cam", 2, None),
    ]
    second = [("c", "cam", 1, wide), ("c", "grad_cam", 1, -wide)]
    pq.write_table(table(first), tmp_path / "shards/0.parquet", row_group_size=3)
    pq.write_table(table(second), tmp_path / "shards/1.parquet")
    return tmp_path


def test_a_run(run):
    saved = maps.read_maps(run, method="grad_cam")
    assert saved.ids == ("a", "c")  # The row that failed has no map.
    assert saved.targets == (1, 1)
    np.testing.assert_array_equal(saved[1], -LARGE.astype(np.float32))
    np.testing.assert_array_equal(saved[0], -SMALL)
    one = maps.read_maps(run / "shards/1.parquet", method="cam")
    assert one.ids == ("c",)


def test_a_run_of_several_methods_needs_a_choice(run):
    with pytest.raises(ValueError, match=r"choose one of \['cam', 'grad_cam'\]"):
        maps.read_maps(run)
    with pytest.raises(ValueError, match="method='score_cam' is not in the run"):
        maps.read_maps(run, method="score_cam")


def test_a_run_that_kept_no_maps(tmp_path):
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="has no column saliency, saliency_height"):
        maps.read_maps(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((2, 2), np.uint8), TypeError, "is uint8; .* divided by 255"),
        (np.ones((2, 2), bool), TypeError, "is bool"),
        (np.ones((1, 2, 2)), ValueError, r"shape \(1, 2, 2\)"),
        (np.array([{"a": 1}], object), ValueError, "without unpickling"),
    ],
)
@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_what_is_no_map_is_refused(tmp_path, x, error, message, kind):
    if kind == "npz":
        np.savez(tmp_path / "m.npz", a=x)
        saved = maps.read_maps(tmp_path / "m.npz")
    else:
        np.save(tmp_path / "a.npy", x)
        saved = maps.read_maps(tmp_path)
    with pytest.raises(error, match=message):
        saved[0]


def test_files_of_other_kinds_are_refused(tmp_path):
    path = tmp_path / "m.npz"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match="is not a zip archive"):
        maps.read_maps(path)
    np.savez(path, ids=np.array(["a"]), maps=np.ones((2, 3, 3)))
    with pytest.raises(ValueError, match=r"\(1,\) and maps of shape \(2, 3, 3\)"):
        maps.read_maps(path)
    with pytest.raises(FileNotFoundError, match=r"none.npz is not there"):
        maps.read_maps(tmp_path / "none.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"neither .npy nor .parquet"):
        maps.read_maps(tmp_path / "empty")
    (tmp_path / "m.mat").write_bytes(b"")
    with pytest.raises(ValueError, match=r"save it with numpy\.savez"):
        maps.read_maps(tmp_path / "m.mat")
    with pytest.raises(ValueError, match="method='cam' chooses among"):
        maps.read_maps(path, method="cam")


def named(*ids, targets=None):
    return maps.SavedMaps(ids, lambda position: SMALL, targets)


@pytest.mark.parametrize(
    ("saved", "ids", "positions", "missing", "surplus"),
    [
        pytest.param(("a", "b"), ("b", "a"), (1, 0), (), (), id="order is free"),
        pytest.param(("a",), ("a", "b"), (0, -1), ("b",), (), id="missing"),
        pytest.param(("a", "b"), ("a",), (0,), (), ("b",), id="surplus"),
        pytest.param(("d/a",), ("d/a.jpg",), (0,), (), (), id="suffix in the truth"),
        pytest.param(("d/a.jpg",), ("d/a",), (0,), (), (), id="suffix in the maps"),
        pytest.param(
            ("a.jpg", "a.png"), ("a",), (-1,), ("a",), ("a.jpg", "a.png"), id="two maps"
        ),
        pytest.param(
            ("a",), ("a.jpg", "a.png"), (-1, -1), ("a.jpg", "a.png"), ("a",), id="rows"
        ),
        pytest.param(
            ("a", "a.jpg"), ("a", "a.jpg"), (0, 1), (), (), id="as it is comes first"
        ),
        pytest.param(("a",), ("a", "a"), (0, 0), (), (), id="two rows share a map"),
        pytest.param(("e/a",), ("d/a",), (-1,), ("d/a",), ("e/a",), id="folders count"),
    ],
)
def test_matching(saved, ids, positions, missing, surplus):
    assert maps.match(named(*saved), ids) == maps.Match(positions, missing, surplus)


def test_matching_by_target():
    saved = named("a", "a", "b", targets=(3, 5, 3))
    found = maps.match(saved, ["a.jpg", "a.jpg", "b"], [5, 4, 3])
    assert found.positions == (1, -1, 2)
    assert found.missing == (("a.jpg", 4),)
    assert found.surplus == (("a", 3),)
    with pytest.raises(ValueError, match="give the targets of the truth"):
        maps.match(saved, ["a", "b"])
