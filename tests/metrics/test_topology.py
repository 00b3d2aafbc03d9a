"""Topology metrics: published and hand-worked values, and the definition's promises."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxcam.metrics import structure, topology
from jaxcam.ops import events, warping

STRUCTURE = {4: ndimage.generate_binary_structure(2, 1), 8: np.ones((3, 3), int)}
SHAPE = (24, 32)


def betti_numbers(mask, connectivity):
    mask = np.pad(mask, 1)
    objects = ndimage.label(mask, STRUCTURE[connectivity])[1]
    return objects, ndimage.label(~mask, STRUCTURE[12 - connectivity])[1] - 1


def boxes(*corners):
    """The union of boxes `(y0, x0, y1, x1)`."""
    mask = np.zeros(SHAPE, bool)
    for y0, x0, y1, x1 in corners:
        mask[y0:y1, x0:x1] = True
    return mask


def disc(y, x, radius):
    rows, columns = np.indices(SHAPE)
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


EMPTY, FULL = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
SQUARE, FAR_SQUARE = boxes((3, 3, 8, 8)), boxes((12, 20, 17, 25))
SMALL = boxes((15, 10, 18, 14))  # Area 12.
BLOCK = boxes((4, 4, 16, 20))
HOLED = BLOCK & ~boxes((8, 10, 11, 13))
TWO = boxes((5, 4, 12, 12), (5, 13, 12, 21))  # One column of seven pixels apart.
MERGED = boxes((5, 4, 12, 21))
RING = boxes((4, 4, 18, 20)) & ~boxes((7, 7, 15, 17))  # Walls of three.
OPEN_RING = RING & ~boxes((10, 17, 11, 20))  # A slit, one pixel wide.

KNOWN = [
    pytest.param(BLOCK, BLOCK, 0, id="identical"),
    pytest.param(disc(10, 12, 6), disc(12, 16, 6), 0, id="a shifted disc"),
    pytest.param(SQUARE, FAR_SQUARE, 26, id="disjoint squares"),
    pytest.param(SQUARE, SQUARE | SMALL, 12, id="a missing object"),
    pytest.param(SQUARE | SMALL, SQUARE, 1, id="an extra object"),
    pytest.param(BLOCK, HOLED, 9, id="a missing hole"),
    pytest.param(HOLED, BLOCK, 1, id="an extra hole"),
    pytest.param(TWO, MERGED, 7, id="two objects, one in truth"),
    pytest.param(MERGED, TWO, 1, id="one object, two in truth"),
    pytest.param(FULL, EMPTY, 1, id="full, truth empty"),
    pytest.param(EMPTY, SMALL, 12, id="empty, truth of area 12"),
    pytest.param(OPEN_RING, RING, 3, id="an open ring"),
    pytest.param(RING, OPEN_RING, 1, id="a closed ring"),
]


@pytest.mark.parametrize("order", ["subfields", "raster"])
@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(("source", "target", "expected"), KNOWN)
def test_known_values(source, target, expected, connectivity, order):
    pixels = topology.warping_error_pixels(
        jnp.asarray(source),
        jnp.asarray(target),
        radius=None,
        connectivity=connectivity,
        order=order,
    )
    assert pixels == expected
    rate = topology.warping_error(
        jnp.asarray(target),
        jnp.asarray(source),
        radius=None,
        connectivity=connectivity,
        order=order,
        direction="truth_to_prediction",
    )
    np.testing.assert_allclose(rate, expected / (24 * 32), rtol=1e-6)


def test_four_components_against_two_at_one_pixel_error(per_image):
    """The paper's Figure 9: equal in pixels, and only one of them in topology."""
    truth = boxes((3, 4, 8, 28), (14, 4, 19, 28))  # Two bars, five rows high.
    cut = truth & ~boxes((3, 14, 8, 17), (14, 14, 19, 17))  # Three columns each.
    shifted = boxes((3, 4, 8, 25), (14, 4, 19, 25))  # Three columns short.
    assert (cut ^ truth).sum() == (shifted ^ truth).sum() == 30
    assert [betti_numbers(m, 8)[0] for m in (truth, cut, shifted)] == [2, 4, 2]
    error = functools.partial(per_image, topology.warping_error_pixels)
    assert error(jnp.asarray(cut), jnp.asarray(truth)) == 5 + 5
    assert error(jnp.asarray(shifted), jnp.asarray(truth)) == 0


def test_both_directions_are_the_mean_of_the_two():
    error = topology.warping_error_pixels(
        jnp.asarray(BLOCK), jnp.asarray(HOLED), direction="both", radius=None
    )
    assert error == (9 + 1) / 2


def test_connectivity_decides_what_an_object_is():
    diagonal = boxes((4, 4, 10, 10), (10, 10, 16, 16))
    joined = diagonal | boxes((9, 9, 11, 11))
    error = functools.partial(
        topology.warping_error_pixels, jnp.asarray(diagonal), jnp.asarray(joined)
    )
    assert error(connectivity=8) == 0
    assert error(connectivity=4) == 2  # Either of the two new pixels would merge.


def test_radius_bounds_shrinking_and_leaves_growth_free():
    small, large = boxes((10, 14, 12, 16)), boxes((2, 4, 22, 28))
    shrink = functools.partial(
        topology.warping_error_pixels, jnp.asarray(large), jnp.asarray(small)
    )
    # Left over is what lies deeper than the radius, without the small square in it.
    assert shrink(radius=3) == 14 * 18 - 4
    assert shrink(radius=None) == 0
    grow = functools.partial(
        topology.warping_error_pixels, jnp.asarray(small), jnp.asarray(large)
    )
    assert grow(radius=3) == 0
    one_around = 4 * 4 - 4  # The square and its four sides, no corner.
    assert int(grow(radius=None, band=1)) == int(large.sum()) - one_around


def test_counting_by_mask_leaves_out_what_could_not_flip():
    small, large = (
        jnp.asarray(boxes((10, 14, 12, 16))),
        jnp.asarray(boxes((2, 4, 22, 28))),
    )
    assert topology.warping_error_pixels(large, small, radius=3, count="mask") == 0
    torn = functools.partial(topology.warping_error_pixels, radius=3, count="mask")
    assert torn(jnp.asarray(TWO), jnp.asarray(MERGED)) == 7


def test_where_freezes_and_does_not_count():
    where = jnp.asarray(~boxes((12, 8, 24, 18)))  # The whole small object is unknown.
    two = jnp.asarray(SQUARE | SMALL)
    square = jnp.asarray(SQUARE)
    assert topology.warping_error_pixels(square, two, where=where) == 0
    assert structure.betti_error(square, two, where=where) == 0
    both = jnp.asarray(SQUARE | FAR_SQUARE)
    rate = topology.warping_error(square, both, where=where)
    np.testing.assert_allclose(rate, 25 / int(where.sum()), rtol=1e-6)


def test_a_border_of_unknown_truth_does_not_part_the_prediction():
    """A prediction that covers object and border is whole, not core and rim."""
    truth, border = boxes((8, 10, 16, 20)), boxes((6, 8, 18, 22))
    where = jnp.asarray(~border | truth)
    predicted = jnp.asarray(boxes((4, 6, 20, 24)))
    for direction in ("prediction_to_truth", "truth_to_prediction"):
        assert (
            topology.warping_error_pixels(
                predicted, jnp.asarray(truth), where=where, direction=direction
            )
            == 0
        )
    assert structure.betti_error(predicted, jnp.asarray(truth), where=where) == 0


def test_padding_changes_nothing():
    predicted, truth = jnp.asarray(TWO), jnp.asarray(MERGED)
    padding = ((0, 9), (0, 5))
    where = jnp.pad(jnp.ones(SHAPE, bool), padding)
    for metric in (topology.warping_error, structure.betti_error, structure.cl_dice):
        padded = metric(
            jnp.pad(predicted, padding), jnp.pad(truth, padding), where=where
        )
        np.testing.assert_array_equal(padded, metric(predicted, truth))


def random_regions(seed, smooth=2):
    noise = np.random.default_rng(seed).normal(size=(2, *SHAPE))
    return ndimage.gaussian_filter(noise, (0, smooth, smooth)) > 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 1, 3]))
def test_it_is_at_most_the_pixel_error(seed, smooth):
    predicted, truth = random_regions(seed, smooth)
    for radius in (5, None):
        error = topology.warping_error_pixels(
            jnp.asarray(predicted), jnp.asarray(truth), radius=radius
        )
        assert 0 <= int(error) <= (predicted ^ truth).sum()


EVENT_CASES = [
    pytest.param(SQUARE, SQUARE | SMALL, {"object_added": 12}, id="object added"),
    pytest.param(SQUARE | SMALL, SQUARE, {"object_deleted": 1}, id="object deleted"),
    pytest.param(BLOCK, HOLED, {"hole_added": 9}, id="hole added"),
    pytest.param(HOLED, BLOCK, {"hole_deleted": 1}, id="hole deleted"),
    pytest.param(TWO, MERGED, {"merge": 7}, id="merge"),
    pytest.param(MERGED, TWO, {"split": 1}, id="split"),
    pytest.param(OPEN_RING, RING, {"hole_added": 3}, id="ring closed"),
    pytest.param(RING, OPEN_RING, {"hole_deleted": 1}, id="ring opened"),
]


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(("source", "target", "expected"), EVENT_CASES)
def test_events_of_known_pairs(source, target, expected, connectivity):
    call = functools.partial(
        topology.warping_events,
        jnp.asarray(source),
        jnp.asarray(target),
        connectivity=connectivity,
        radius=None,
    )
    pixels = [expected.get(name, 0) for name in topology.EVENTS]
    np.testing.assert_array_equal(call(unit="pixels"), pixels)
    np.testing.assert_array_equal(call(), np.minimum(pixels, 1))


@pytest.mark.parametrize("connectivity", [4, 8])
def test_events_of_every_flip_are_exact(connectivity):
    """Flip each pixel alone and label again: objects and holes change as said."""
    seen = set()
    for share in (0.15, 0.35, 0.5, 0.65, 0.85):
        mask = np.random.default_rng(0).random((8, 9)) < share
        happens = jax.device_get(
            events.flip_events(jnp.asarray(mask), connectivity=connectivity)
        )
        objects, holes = betti_numbers(mask, connectivity)
        for pixel in np.ndindex(mask.shape):
            flipped = mask.copy()
            flipped[pixel] ^= True
            after = betti_numbers(flipped, connectivity)
            did = {name: int(value[pixel]) for name, value in happens._asdict().items()}
            seen |= {name for name, number in did.items() if number}
            gained, lost = did["split"] + did["object_added"], did["merge"]
            assert after[0] - objects == gained - lost - did["object_deleted"]
            assert after[1] - holes == did["hole_added"] - did["hole_deleted"]
    assert seen == set(topology.EVENTS)


def test_events_of_two_mistakes_are_two():
    truth = boxes((3, 4, 8, 28), (14, 4, 19, 28))
    cut = truth & ~boxes((3, 14, 8, 17), (14, 14, 19, 17))
    call = functools.partial(
        topology.warping_events, jnp.asarray(cut), jnp.asarray(truth)
    )
    assert dict(zip(topology.EVENTS, call().tolist(), strict=True))["merge"] == 2
    assert call(unit="pixels").sum() == 10
    back = call(direction="truth_to_prediction")
    assert dict(zip(topology.EVENTS, back.tolist(), strict=True))["split"] == 2
    np.testing.assert_array_equal(call(direction="both"), (call() + back) / 2)


def test_the_value_of_a_data_set_is_the_mean_sum_of_events():
    values = np.array([[1.0, 2, 0, 0, 0, 0], [0, 0, 3, 0, 0, 0], [np.nan] * 6])
    np.testing.assert_allclose(topology.all_events(values), [3.0])
    weights = np.array([[2.0, 0, 1], [0, 0, 1]])
    np.testing.assert_allclose(topology.all_events(values, weights), [3.0, np.nan])


@pytest.mark.parametrize("connectivity", [4, 8])
def test_betti_error_counts_objects_and_holes(connectivity):
    for seed in range(6):
        predicted, truth = random_regions(seed, 1)
        pairs = zip(
            betti_numbers(predicted, connectivity),
            betti_numbers(truth, connectivity),
            strict=True,
        )
        actual = structure.betti_error(
            jnp.asarray(predicted), jnp.asarray(truth), connectivity=connectivity
        )
        assert actual == sum(abs(a - b) for a, b in pairs)


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        pytest.param(BLOCK, BLOCK, 1.0, id="identical"),
        pytest.param(SQUARE, FAR_SQUARE, 0.0, id="disjoint"),
        pytest.param(EMPTY, SQUARE, 0.0, id="nothing predicted"),
        pytest.param(SQUARE, EMPTY, 0.0, id="nothing there"),
        pytest.param(EMPTY, EMPTY, np.nan, id="nothing at all"),
        # A line is its own skeleton: 2 (10/20) (1) / (10/20 + 1).
        pytest.param(
            boxes((5, 4, 6, 24)), boxes((5, 4, 6, 14)), 2 / 3, id="half a line"
        ),
    ],
)
def test_cl_dice_worked_by_hand(per_image, predicted, truth, expected):
    actual = per_image(structure.cl_dice, jnp.asarray(predicted), jnp.asarray(truth))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_without_a_pixel_that_counts_all_is_undefined():
    nowhere = jnp.zeros(SHAPE, bool)
    square = jnp.asarray(SQUARE)
    for metric in (
        topology.warping_error,
        topology.warping_error_pixels,
        topology.warping_events,
        structure.betti_error,
        structure.cl_dice,
    ):
        assert jnp.isnan(metric(square, square, where=nowhere)).all()


def test_refusals():
    square = jnp.asarray(SQUARE)
    with pytest.raises(TypeError, match=r"must be boolean"):
        topology.warping_error(square.astype(jnp.float32), square)
    with pytest.raises(ValueError, match="direction='up' is not known"):
        topology.warping_error(square, square, direction="up")
    with pytest.raises(ValueError, match="method='magic' is not known"):
        topology.warping_error(square, square, method="magic")
    with pytest.raises(ValueError, match="connectivity=6 is not known"):
        structure.betti_error(square, square, connectivity=6)
    with pytest.raises(ValueError, match="unit='inches' is not known"):
        topology.warping_events(square, square, unit="inches")
    with pytest.raises(TypeError, match="floating"):
        topology.differentiable_warping_error(square, square)


def test_every_spec_is_complete():
    names = [spec.name for spec in topology.SPECS]
    assert len(set(names)) == len(names)
    for spec in topology.SPECS:
        assert set(spec.static) <= set(spec.options)
        assert set(spec.companions) <= set(names)
        assert set(spec.default_options) <= set(spec.options)


def ellipse(rng, side):
    y, x = (np.indices((side, side)) + 0.5) / side
    centre, axes, turn = (
        rng.uniform(0.3, 0.7, 2),
        rng.uniform(0.1, 0.3, 2),
        rng.random(),
    )
    a = (y - centre[0]) * np.cos(6 * turn) + (x - centre[1]) * np.sin(6 * turn)
    b = (x - centre[1]) * np.cos(6 * turn) - (y - centre[0]) * np.sin(6 * turn)
    return (a / axes[0]) ** 2 + (b / axes[1]) ** 2 < 1


def simply_connected_blob(rng, side):
    """The largest piece of thresholded smooth noise, its holes filled."""
    noise = ndimage.gaussian_filter(rng.normal(size=(side, side)), 4)
    labels = ndimage.label(noise > np.quantile(noise, 0.75), STRUCTURE[8])[0]
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return ndimage.binary_fill_holes(largest)


def pairs_of(draw, number, seed):
    rng = np.random.default_rng(seed)
    drawn = np.stack([draw(rng, 64) for _ in range(2 * number)])
    return jnp.asarray(drawn[:number]), jnp.asarray(drawn[number:])


@functools.cache
def batched_error(method):
    return jax.jit(
        jax.vmap(
            functools.partial(topology.warping_error_pixels, radius=None, method=method)
        )
    )


@pytest.mark.slow
def test_the_hybrid_warps_ellipses_wholly():
    source, target = pairs_of(ellipse, 16, seed=7)
    np.testing.assert_array_equal(batched_error("hybrid")(source, target), 0)
    assert batched_error("exact")(source, target).max() > 0


@pytest.mark.slow
def test_the_hybrid_comes_near_the_optimum_where_flipping_gets_stuck():
    """Simply connected blobs are warpings of one another: the optimum is 0."""
    source, target = pairs_of(simply_connected_blob, 24, seed=11)
    exact = np.asarray(batched_error("exact")(source, target))
    hybrid = np.asarray(batched_error("hybrid")(source, target))
    assert (hybrid <= exact).all()
    assert exact.mean() > 150
    assert hybrid.mean() <= 20


@pytest.mark.slow
def test_the_hybrid_respects_the_limits():
    source, target = pairs_of(simply_connected_blob, 2, seed=3)
    for pair in itertools.islice(zip(source, target, strict=True), 2):
        direct = topology.warping_error_pixels(*pair, radius=2)
        led = topology.warping_error_pixels(*pair, radius=2, method="hybrid")
        core = pair[0] & ~warping.flippable(pair[0], radius=2)
        assert int(jnp.sum(core & ~pair[1])) <= led <= direct
