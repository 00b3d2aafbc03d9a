"""Scoring maps that exist already."""

import os

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxcam
from jaxcam import cli, data, metrics, results

RNG = np.random.default_rng(0)
MAPS = RNG.random((5, 7, 9)).astype(np.float32)
MASKS = np.zeros((5, 21, 27), bool)
MASKS[:4, 5:15, 6:20] = True
NAMES = ("energy_pointing_game", "localization_error[region=box]")


def test_maps_are_brought_to_the_masks_and_scored_as_the_metric_says():
    result = jaxcam.score(MAPS, MASKS, metrics=NAMES, batch_size=2)
    upsampled = jaxcam.ops.resize(jnp.asarray(MAPS[1]), (21, 27))
    expected = metrics.energy_pointing_game(upsampled, jnp.asarray(MASKS[1]))
    actual = result.values("energy_pointing_game", "maps")
    np.testing.assert_allclose(actual[1], expected, rtol=1e-5)
    assert np.isnan(actual[4])
    assert set(result.methods) == {"maps", "uniform", "centre", "random", "truth"}


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_size_changes_nothing(batch_size):
    whole = jaxcam.score(MAPS, MASKS, metrics=NAMES, batch_size=5)
    parts = jaxcam.score(MAPS, MASKS, metrics=NAMES, batch_size=batch_size)
    for method in whole.methods:
        for name in NAMES:
            np.testing.assert_array_equal(
                whole.values(name, method), parts.values(name, method)
            )


def test_maps_of_many_sizes_by_name(tmp_path):
    shapes = data.open_dataset("shapes", length=4)
    maps = {
        shapes.records[i].id: RNG.random((5 + i, 8)).astype(np.float32)
        for i in range(3)
    }
    maps["surplus"] = MAPS[0]
    np.savez(tmp_path / "maps.npz", **maps)
    result = jaxcam.score(tmp_path / "maps.npz", shapes, metrics=NAMES, size=(64, 64))
    assert result.manifest["operational"]["surplus_maps"] == 1
    assert result.reasons() == {"no map was given for it": 1}
    name = shapes.records[1].id
    (row,) = (i for i in result.rows_of("maps") if result.columns["id"][i] == name)
    truth = jnp.asarray(shapes.records[1].truth().object)
    expected = metrics.energy_pointing_game(
        jaxcam.ops.resize(jnp.asarray(maps[name]), (64, 64)), truth
    )
    found = np.asarray(result.columns["energy_pointing_game"])[row]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_directory_is_written(tmp_path):
    jaxcam.score(MAPS, MASKS, metrics=NAMES, out=tmp_path / "a")
    again = jaxcam.load_run(tmp_path / "a")
    assert len(again) == 5 * 5


def test_channels_of_maps_that_have_none_are_refused():
    maps = np.ones((len(MASKS), 4, 4), np.float32)
    with pytest.raises(ValueError, match="no channels; leave it out"):
        jaxcam.score(maps, MASKS, metrics=NAMES, channels="sum")


def test_channels_need_a_word():
    maps = RNG.normal(size=(5, 7, 9, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="channels="):
        jaxcam.score(maps, MASKS, metrics=NAMES)
    summed = jaxcam.score(maps, MASKS, metrics=NAMES, channels="abs_sum")
    plain = jaxcam.score(np.abs(maps).sum(-1), MASKS, metrics=NAMES)
    np.testing.assert_allclose(
        summed.values(NAMES[0], "maps"), plain.values(NAMES[0], "maps"), rtol=1e-6
    )


def test_a_map_that_is_not_finite_is_an_invalid_row():
    maps = MAPS.copy()
    maps[2, 0, 0] = np.nan
    result = jaxcam.score(maps, MASKS, metrics=NAMES)
    assert result.reasons() == {"the map is not finite": 1}


def test_boxes_may_be_given_and_may_be_several():
    boxes = np.full((5, 2, 4), np.nan, np.float32)
    boxes[:, 0] = [0, 0, 21, 27]
    result = jaxcam.score(
        np.ones((5, 1, 1), np.float32), MASKS, metrics=NAMES[1:], boxes=boxes
    )
    np.testing.assert_allclose(result.values(NAMES[1], "maps"), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((MAPS[:3], MASKS), ValueError, "3 maps for 5 rows"),
        ((MAPS, MASKS.astype(int)), TypeError, "masks == 1"),
        ((MAPS.astype(int), MASKS), TypeError, "divided by 255"),
        (("nowhere.npz", MASKS), FileNotFoundError, "not there"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        jaxcam.score(*arguments, metrics=NAMES)


def test_a_metric_that_asks_a_model_is_refused():
    with pytest.raises(ValueError, match=r"use jaxcam\.evaluate"):
        jaxcam.score(MAPS, MASKS, metrics=["average_drop"])


@pytest.mark.slow
def test_the_published_centre_baseline_on_birds(shared_dir, tmp_path, capsys):
    """59.72, 93.86 and 17.33 at the three sigmas, by the command and preset."""
    at = np.arange(-112, 112)
    ranks = stats.rankdata(np.exp(-(at[:, None] ** 2 + at**2) / (2 * 112**2)))
    centre = ((ranks - 1) / (ranks.max() - 1)).reshape(224, 224).astype(np.float32)
    folder = shared_dir / "data/cub_boxes"
    np.save(tmp_path / "centre.npy", centre)
    for name in (folder / "CUB_image_ids.txt").read_text().split():
        place = tmp_path / "maps" / f"{name}.npy"
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(tmp_path / "centre.npy", place)
    names = [f"max_box_accuracy[sigma={sigma}]" for sigma in (0.5, 0.3, 0.7)]
    code = cli.main(
        [
            *("score", "--maps", str(tmp_path / "maps"), "--truth", str(folder)),
            *("--metrics", ",".join(names), "--preset", "wsol", "--no-floors"),
            *("--out", str(tmp_path / "run")),
        ]
    )
    assert code == 0
    assert "0.597" in capsys.readouterr().out
    summary = results.load_run(tmp_path / "run").summary()
    found = {record["metric"]: round(100 * record["estimate"], 2) for record in summary}
    assert [found[name] for name in names] == [59.72, 93.86, 17.33]


class Foreign:
    """What other frameworks' arrays have in common: they speak DLPack."""

    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def energies(maps, masks=MASKS, **options):
    """One metric, without floors, and why rows are invalid."""
    found = jaxcam.score(maps, masks, metrics=NAMES[:1], floors=False, **options)
    return found.values(NAMES[0], "maps"), found.reasons()


@pytest.mark.parametrize(
    ("kind", "rtol"),
    [
        (lambda x: x.astype(np.float64), 1e-6),
        (lambda x: x.astype(np.float16), 1e-3),
        (lambda x: jnp.asarray(x, jnp.bfloat16), 1e-2),
        (lambda x: list(x), 0),
        (Foreign, 0),
        (lambda x: Foreign(jnp.asarray(x, jnp.bfloat16)), 1e-2),
        (lambda x: {str(i): Foreign(map_) for i, map_ in enumerate(x)}, 0),
    ],
)
def test_maps_of_any_framework_and_float_type(kind, rtol):
    expected, _ = energies(MAPS)
    actual, reasons = energies(kind(MAPS), Foreign(MASKS))
    np.testing.assert_allclose(actual, expected, rtol=rtol)
    assert reasons == {}


def test_a_metric_takes_arrays_of_any_framework():
    map_, mask = MAPS[0], MASKS[0, :7, :9]
    expected = metrics.energy_pointing_game(jnp.asarray(map_), jnp.asarray(mask))
    for pair in ((map_, mask), (Foreign(map_), Foreign(mask))):
        np.testing.assert_array_equal(metrics.energy_pointing_game(*pair), expected)
    half = metrics.energy_pointing_game(jnp.asarray(map_, jnp.bfloat16), mask)
    np.testing.assert_allclose(half, expected, rtol=1e-2)
    assert half.dtype == jnp.float32


def test_one_pixel_is_a_map():
    """Upsampled it is uniform: the object's share of the pixels."""
    values, _ = energies(MAPS[:, :1, :1])
    np.testing.assert_allclose(values[:4], MASKS[:4].mean((1, 2)), rtol=1e-6)
    values, _ = energies(MAPS[:, :1, :1], MASKS[:, 5:6, 6:7])
    np.testing.assert_array_equal(values[:4], 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_float32_cannot_hold_is_an_invalid_row(bad):
    maps = MAPS.astype(np.float64)
    maps[1, 2, 3] = bad
    values, reasons = energies(maps)
    assert reasons == {"the map is not finite": 1}
    assert np.isnan(values[1])
    np.testing.assert_allclose(values[[0, 2, 3]], energies(MAPS)[0][[0, 2, 3]], 1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((MAPS + 0j, MASKS), TypeError, "complex64; give floating-point"),
        ((MAPS > 0.5, MASKS), TypeError, "A map is bool"),
        ((MAPS[:, :0], MASKS), ValueError, r"shape \(0, 9\); maps are \(h, w\)"),
        ((MAPS, MASKS * np.uint8(255)), TypeError, "masks == 1"),
        ((MAPS, MASKS.astype(np.float32)), TypeError, "masks == 1"),
        ((MAPS, MASKS[0]), TypeError, r"give masks bool\[N, H, W\]"),
        ((MAPS[:0], MASKS[:0]), ValueError, "at least one mask"),
    ],
)
def test_arrays_that_are_no_maps_or_masks_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        energies(*arguments)
