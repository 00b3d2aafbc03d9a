import functools

import cv2
import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage as ndi

from jaxcam.ops import components, packed, runs
from tests.ops import patterns

SHAPE = (37, 21)

random_masks = hnp.arrays(bool, SHAPE, elements=st.booleans(), fill=st.nothing())
sparse_masks = st.tuples(
    st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 2)
).map(lambda args: blobs(*args))


def blobs(seed, threshold, smoothing):
    rng = np.random.default_rng(seed)
    noise = ndi.gaussian_filter(rng.random(SHAPE), smoothing)
    return noise >= np.quantile(noise, threshold)


def scipy_labels(mask, connectivity):
    """SciPy numbers components by their first pixel in raster order, as we do."""
    structure = np.ones((3, 3)) if connectivity == 8 else None
    return ndi.label(mask, structure)[0]


def scipy_largest(mask, connectivity):
    labels = scipy_labels(mask, connectivity)
    if not mask.any():
        return mask, (0, 0, 0, 0)
    winner = np.bincount(labels[mask]).argmax()
    rows, columns = ndi.find_objects(labels)[winner - 1]
    return labels == winner, (rows.start, columns.start, rows.stop, columns.stop)


def check(mask, connectivity):
    labels = components.label_components(jnp.asarray(mask), connectivity=connectivity)
    np.testing.assert_array_equal(labels, scipy_labels(mask, connectivity))
    component, box = components.largest_component_box(
        jnp.asarray(mask), connectivity=connectivity
    )
    expected, expected_box = scipy_largest(mask, connectivity)
    np.testing.assert_array_equal(component, expected)
    np.testing.assert_array_equal(box, expected_box)


@functools.partial(jax.jit, static_argnums=1)
def rounds_to_label(mask, connectivity):
    words = packed.pack(mask)
    begin = runs.beginnings(words)
    capacity = -(-mask.shape[0] // 2) * mask.shape[1]
    return components.components_of_runs(connectivity, capacity, words, begin)[2]


@pytest.mark.parametrize("connectivity", [4, 8])
@hypothesis.given(mask=random_masks | sparse_masks)
@hypothesis.settings(deadline=None, derandomize=True, max_examples=60)
def test_any_mask_is_labelled_as_scipy_does(mask, connectivity):
    check(mask, connectivity)


@hypothesis.given(mask=sparse_masks)
@hypothesis.settings(deadline=None, derandomize=True, max_examples=20)
def test_areas_and_boxes_are_those_of_opencv(mask):
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    component, box = components.largest_component_box(jnp.asarray(mask))
    areas = stats[1:, cv2.CC_STAT_AREA]
    assert component.sum() == max(areas, default=0)
    boxes = [
        [y, x, y + h, x + w]
        for x, y, w, h, area in stats[1:]
        if area == max(areas, default=0)
    ]
    assert box.tolist() in (boxes or [[0, 0, 0, 0]])


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("pattern", patterns.HARD)
def test_winding_components(pattern, connectivity):
    mask = pattern(40)
    for turned in (mask, mask.T, mask[::-1], ~mask):
        check(turned, connectivity)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("pattern", patterns.HARD)
def test_few_rounds_whatever_the_pattern(pattern, connectivity):
    mask = pattern(224)
    worst = max(
        int(rounds_to_label(jnp.asarray(m), connectivity))
        for m in (mask, mask.T, mask[::-1], mask[:, ::-1], ~mask)
    )
    assert worst <= 12


@pytest.mark.parametrize("shape", [(1, 70), (65, 1), (32, 3)])
def test_shapes_at_the_borders_of_words(shape):
    rng = np.random.default_rng(0)
    for share in (0, 0.3, 0.6, 1):
        check(rng.random(shape) < share, 8)


def test_every_capacity_gives_the_same():
    mask = np.random.default_rng(0).random((40, 50)) < 0.4
    words = packed.pack(jnp.asarray(mask))
    begin = runs.beginnings(words)
    label = jax.jit(components._label, static_argnums=(0, 1))
    for capacity in (int(begin.count), 1000):
        labels = label(8, capacity, words, begin, jnp.asarray(mask))
        np.testing.assert_array_equal(labels, scipy_labels(mask, 8))


def test_the_last_capacity_fits_every_mask():
    assert components._capacities((224, 224)) == (1024, 4096, 25088)
    assert components._capacities((9, 5)) == (25,)
    assert components._capacities((1, 7)) == (7,)
    shapes = ((40, 40), (9, 5))
    for shape in shapes:
        mask = np.arange(shape[0])[:, None] % 2 == np.zeros(shape[1], int)[None]
        count = runs.beginnings(packed.pack(jnp.asarray(mask))).count
        assert count == components._capacities(shape)[-1]


def test_values_worked_by_hand(per_image):
    mask = jnp.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]], bool)
    eight = [[1, 0, 0, 2], [0, 1, 0, 2], [0, 0, 0, 0], [3, 3, 0, 0]]
    four = [[1, 0, 0, 2], [0, 3, 0, 2], [0, 0, 0, 0], [4, 4, 0, 0]]
    labels = per_image(components.label_components, mask)
    np.testing.assert_array_equal(labels, eight)
    labels = components.label_components(mask, connectivity=4)
    np.testing.assert_array_equal(labels, four)
    # All three of the 8-connected components have two pixels: the first one wins.
    component, box = per_image(components.largest_component_box, mask)
    np.testing.assert_array_equal(component, np.array(eight) == 1)
    np.testing.assert_array_equal(box, [0, 0, 2, 2])


def test_the_first_of_equals_is_first_in_raster_order_not_down_the_columns():
    mask = jnp.array([[0, 0, 1], [1, 0, 1], [1, 0, 0]], bool)
    component = components.largest_component(mask)
    np.testing.assert_array_equal(component, [[0, 0, 1], [0, 0, 1], [0, 0, 0]])


def test_empty_and_full():
    check(np.zeros(SHAPE, bool), 8)
    check(np.ones(SHAPE, bool), 8)


def test_no_pixels():
    mask = jnp.zeros((0, 5), bool)
    assert components.label_components(mask).shape == (0, 5)
    assert components.largest_component(mask).shape == (0, 5)


@pytest.mark.parametrize(
    "fn", [components.label_components, components.largest_component_box]
)
def test_a_batch_is_its_images_nested_or_sharded(fn):
    masks = jnp.asarray(np.random.default_rng(0).random((2, 3, *SHAPE)) < 0.5)
    one_by_one = [fn(mask) for mask in masks.reshape(6, *SHAPE)]
    expected = jax.tree.map(lambda *x: jnp.stack(x), *one_by_one)

    nested = jax.vmap(jax.vmap(fn))(masks)
    nested = jax.tree.map(lambda x: x.reshape(6, *x.shape[2:]), nested)
    jax.tree.map(np.testing.assert_array_equal, nested, expected)

    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("batch",))
    spec = jax.sharding.PartitionSpec("batch")
    sharded = jax.shard_map(jax.vmap(fn), mesh=mesh, in_specs=spec, out_specs=spec)
    jax.tree.map(
        np.testing.assert_array_equal,
        jax.jit(sharded)(masks.reshape(6, *SHAPE)),
        expected,
    )


def test_all_images_at_once_as_on_accelerators(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    components._batched.cache_clear()
    shares = np.array([0.0, 0.2, 0.6, 1.0]).reshape(4, 1, 1)
    masks = np.random.default_rng(0).random((4, 30, 36)) < shares
    fn = components.largest_component_box.__wrapped__
    batch = jax.vmap(fn)(jnp.asarray(masks))
    components._batched.cache_clear()
    for mask, component, box in zip(masks, *batch, strict=True):
        expected, expected_box = scipy_largest(mask, 8)
        np.testing.assert_array_equal(component, expected)
        np.testing.assert_array_equal(box, expected_box)


def test_refusals():
    with pytest.raises(TypeError, match="mask must be boolean but is float32"):
        components.label_components(jnp.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"batch a metric with jax.vmap"):
        components.largest_component(jnp.zeros((2, 3, 4), bool))
    with pytest.raises(ValueError, match="connectivity=6 is not known"):
        components.label_components(jnp.zeros((3, 4), bool), connectivity=6)


def test_images_with_more_pixels_than_int32_can_number_are_refused():
    huge = jax.ShapeDtypeStruct((65536, 32768), jnp.bool_)
    with pytest.raises(ValueError, match="more pixels than int32 can number"):
        jax.eval_shape(components.label_components, huge)
