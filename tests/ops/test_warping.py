"""The descent by simple points: against one flip after the other, and all masks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from scipy import ndimage, sparse

from jaxcam.ops import simple_points, warping

STRUCTURE = {4: ndimage.generate_binary_structure(2, 1), 8: np.ones((3, 3), int)}
SHAPE = (9, 13)
masks = hnp.arrays(bool, SHAPE)


def betti_numbers(mask, connectivity):
    mask = np.pad(mask, 1)
    objects = ndimage.label(mask, STRUCTURE[connectivity])[1]
    return objects, ndimage.label(~mask, STRUCTURE[12 - connectivity])[1] - 1


@functools.cache
def simple_codes(connectivity):
    """Whether the centre of each of the 256 neighbourhoods is simple."""
    codes = np.arange(256)[:, None] >> np.arange(8) & 1
    around = tuple(jnp.asarray(codes.T.astype(bool)))
    return np.asarray(simple_points.is_simple(around, connectivity))


def is_simple(padded, y, x, connectivity):
    code = sum(
        int(padded[y + dy, x + dx]) << i
        for i, (dy, dx) in enumerate(simple_points.NEIGHBOURS)
    )
    return simple_codes(connectivity)[code]


def one_by_one(source, target, may_flip, connectivity, visits):
    """Flips mismatched simple points in the order of `visits` until a pass is idle."""
    mask = np.pad(source, 1)
    changed = True
    while changed:
        changed = False
        for y, x in visits:
            wrong = mask[y + 1, x + 1] != target[y, x] and may_flip[y, x]
            if wrong and is_simple(mask, y + 1, x + 1, connectivity):
                mask[y + 1, x + 1] ^= True
                changed = True
    return mask[1:-1, 1:-1]


def visits(shape, order):
    pixels = list(np.ndindex(shape))
    if order == "raster":
        return sorted(pixels, key=lambda p: (p[1], p[0]))
    return sorted(pixels, key=lambda p: (p[0] % 2, p[1] % 2))


def random_masks(seed, shape, smooth):
    noise = np.random.default_rng(seed).normal(size=(2, *shape))
    if smooth:
        noise = ndimage.gaussian_filter(noise, (0, smooth, smooth))
    return noise > 0


@pytest.mark.parametrize("order", ["subfields", "raster"])
@pytest.mark.parametrize(
    ("shape", "connectivity"), [(SHAPE, 4), (SHAPE, 8), ((64, 3), 4), ((70, 37), 8)]
)
def test_flipping_planes_equals_flipping_pixels(shape, connectivity, order):
    for seed, smooth in ((0, 0), (1, 2)):
        source, target = random_masks(seed, shape, smooth)
        may_flip = np.random.default_rng(seed).random(shape) < 0.95
        expected = one_by_one(
            source, target, may_flip, connectivity, visits(shape, order)
        )
        actual = warping.warp(
            jnp.asarray(source),
            jnp.asarray(target),
            may_flip=jnp.asarray(may_flip),
            connectivity=connectivity,
            order=order,
        )
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("connectivity", [4, 8])
@settings(deadline=None, max_examples=60)
@given(source=masks, target=masks, may_flip=masks)
def test_a_warping_keeps_the_topology_and_only_gains(
    connectivity, source, target, may_flip
):
    for order in ("subfields", "raster"):
        warped = np.asarray(
            warping.warp(
                jnp.asarray(source),
                jnp.asarray(target),
                may_flip=jnp.asarray(may_flip),
                connectivity=connectivity,
                order=order,
            )
        )
        assert betti_numbers(warped, connectivity) == betti_numbers(
            source, connectivity
        )
        assert not (warped != source)[~may_flip].any()
        assert not (warped != target)[source == target].any()
        stuck = simple_points.simple_points(
            jnp.asarray(warped), connectivity=connectivity
        )
        assert not (np.asarray(stuck) & (warped != target) & may_flip).any()


@functools.cache
def classes_of_all_masks(connectivity, side=4):
    """Which of the 2^16 masks can be made of one another by simple flips."""
    number = np.arange(2 ** (side * side))
    padded = np.zeros((len(number), side + 2, side + 2), np.uint8)
    for i, (y, x) in enumerate(np.ndindex(side, side)):
        padded[:, y + 1, x + 1] = number >> i & 1
    edges = []
    for i, (y, x) in enumerate(np.ndindex(side, side)):
        code = sum(
            padded[:, y + 1 + dy, x + 1 + dx].astype(int) << k
            for k, (dy, dx) in enumerate(simple_points.NEIGHBOURS)
        )
        there = number[simple_codes(connectivity)[code]]
        edges.append(np.stack([there, there ^ (1 << i)]))
    row, column = np.concatenate(edges, axis=1)
    graph = sparse.coo_array((np.ones(len(row), bool), (row, column)))
    return sparse.csgraph.connected_components(graph, directed=False)[1]


@pytest.mark.parametrize("connectivity", [4, 8])
def test_every_warping_of_a_small_mask_bounds_the_error_from_below(connectivity):
    """The optimum over all reachable masks, found by search over all of them."""
    classes = classes_of_all_masks(connectivity)
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 2**16, (200, 2))
    bits = 1 << np.arange(16)
    source, target = np.moveaxis((pairs[..., None] & bits) > 0, 1, 0)

    warped = jax.vmap(functools.partial(warping.warp, connectivity=connectivity))(
        jnp.asarray(source.reshape(-1, 4, 4)), jnp.asarray(target.reshape(-1, 4, 4))
    )
    warped = np.asarray(warped).reshape(-1, 16) @ bits
    np.testing.assert_array_equal(classes[warped], classes[pairs[:, 0]])

    count = np.bitwise_count(np.arange(2**16))
    best = [count[np.flatnonzero(classes == classes[s]) ^ t].min() for s, t in pairs]
    reached = count[warped ^ pairs[:, 1]]
    assert (reached >= best).all()
    assert (reached == best).sum() > 50
    assert reached.mean() < count[pairs[:, 0] ^ pairs[:, 1]].mean() / 2


@pytest.mark.parametrize("distance", [0, 1, 2.5, 5, 40])
def test_distances_are_those_of_a_distance_transform(per_image, distance):
    source = random_masks(3, (21, 34), 2)[0]
    depth = ndimage.distance_transform_edt(np.pad(source, 1))[1:-1, 1:-1]
    height = np.where(source, depth, ndimage.distance_transform_edt(~source))
    shrinks = per_image(
        functools.partial(warping.flippable, radius=distance), jnp.asarray(source)
    )
    np.testing.assert_array_equal(shrinks, depth <= distance)
    moves = per_image(
        functools.partial(warping.flippable, band=distance), jnp.asarray(source)
    )
    np.testing.assert_array_equal(moves, height <= distance)


def test_the_two_limits_and_frozen_pixels_combine():
    source, frozen = random_masks(4, (16, 16), 1)
    where = jnp.asarray(~frozen)
    both = warping.flippable(jnp.asarray(source), where=where, radius=1, band=2)
    apart = (
        warping.flippable(jnp.asarray(source), radius=1)
        & warping.flippable(jnp.asarray(source), band=2)
        & where
    )
    np.testing.assert_array_equal(both, apart)


@pytest.mark.parametrize("count", ["all", "mask"])
@pytest.mark.parametrize("with_where", [False, True])
def test_the_count_is_that_of_the_warped_mask(per_image, count, with_where):
    source, target = (jnp.asarray(m) for m in random_masks(5, (20, 23), 2))
    where = jnp.asarray(random_masks(6, (20, 23), 3)[0]) if with_where else None
    options = {"radius": 2, "connectivity": 4}
    free = warping.flippable(source, where=where, radius=2)
    warped = warping.warp(source, target, may_flip=free, connectivity=4)
    valid = jnp.ones_like(source) if where is None else where
    counted = valid if count == "all" else free
    keywords = {} if where is None else {"where": where}
    actual = per_image(
        functools.partial(warping.mismatches, count=count, **options),
        source,
        target,
        **keywords,
    )
    assert actual == jnp.sum((warped != target) & counted)
    assert warped.dtype == bool


def test_a_batch_gives_what_its_images_give_alone():
    """Whatever the batch-mates, which may take many more rounds."""
    pairs = [random_masks(seed, SHAPE, seed % 3) for seed in range(6)]
    source, target = (jnp.asarray(np.stack(m)) for m in zip(*pairs, strict=True))
    together = jax.vmap(warping.warp)(source, target)
    for i in range(6):
        np.testing.assert_array_equal(together[i], warping.warp(source[i], target[i]))
    nested = jax.vmap(jax.vmap(warping.warp))(
        source.reshape(2, 3, *SHAPE), target.reshape(2, 3, *SHAPE)
    )
    np.testing.assert_array_equal(nested.reshape(together.shape), together)


def test_refusals():
    mask = jnp.zeros((3, 4), bool)
    with pytest.raises(TypeError, match="must be boolean"):
        warping.warp(mask.astype(jnp.float32), mask)
    with pytest.raises(ValueError, match="shape"):
        warping.warp(mask, mask[:, :3])
    with pytest.raises(ValueError, match="order='random' is not known"):
        warping.warp(mask, mask, order="random")
    with pytest.raises(ValueError, match="radius=-1 is no distance"):
        warping.flippable(mask, radius=-1)
    with pytest.raises(ValueError, match="count='some' is not known"):
        warping.mismatches(mask, mask, count="some")


def test_an_image_without_pixels_has_nothing_to_warp():
    empty = jnp.zeros((0, 4), bool)
    assert warping.warp(empty, empty).shape == (0, 4)
    assert warping.mismatches(empty, empty) == 0
