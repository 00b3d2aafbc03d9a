"""Skeletons: their topology, their thinness, and what must survive."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from jaxcam.ops import simple_points, thinning

STRUCTURE = {4: ndimage.generate_binary_structure(2, 1), 8: np.ones((3, 3), int)}


def betti_numbers(mask, connectivity):
    mask = np.pad(mask, 1)
    objects = ndimage.label(mask, STRUCTURE[connectivity])[1]
    return objects, ndimage.label(~mask, STRUCTURE[12 - connectivity])[1] - 1


@pytest.mark.parametrize("connectivity", [4, 8])
@settings(deadline=None, max_examples=60)
@given(mask=hnp.arrays(bool, (9, 13)))
def test_it_keeps_the_topology_and_leaves_nothing_but_lines(connectivity, mask):
    line = np.asarray(thinning.skeleton(jnp.asarray(mask), connectivity=connectivity))
    assert not (line & ~mask).any()
    assert betti_numbers(line, connectivity) == betti_numbers(mask, connectivity)
    simple = simple_points.simple_points(jnp.asarray(line), connectivity=connectivity)
    around = np.ones((3, 3), int)
    neighbours = ndimage.convolve(line.astype(int), around, mode="constant")
    assert not (line & np.asarray(simple) & (neighbours > 2)).any()


def test_of_a_thick_bar_and_a_ring_the_middle_is_left(per_image):
    bar = jnp.zeros((9, 30), bool).at[2:7, 3:27].set(True)
    line = np.asarray(per_image(thinning.skeleton, bar))
    assert line[4, 6:24].all()
    assert line[:, 8:22].sum() == 14  # At its ends it may fork to the corners.
    rows, columns = np.indices((31, 31)) - 15
    distance = np.hypot(rows, columns)
    ring = (distance > 7) & (distance < 14)
    circle = np.asarray(thinning.skeleton(jnp.asarray(ring)))
    assert betti_numbers(circle, 8) == (1, 1)
    assert np.abs(distance[circle] - 10.5).mean() < 1


def test_lines_are_their_own_skeletons():
    lines = np.zeros((12, 40), bool)
    lines[3, 2:20] = True
    np.fill_diagonal(lines[:, 25:], True)
    np.testing.assert_array_equal(thinning.skeleton(jnp.asarray(lines)), lines)


def test_a_batch_gives_what_its_images_give_alone():
    noise = np.random.default_rng(0).normal(size=(4, 20, 24))
    masks = jnp.asarray(ndimage.gaussian_filter(noise, (0, 2, 2)) > 0)
    together = jax.vmap(thinning.skeleton)(masks)
    for mask, line in zip(masks, together, strict=True):
        np.testing.assert_array_equal(line, thinning.skeleton(mask))


def test_refusals():
    with pytest.raises(TypeError, match="must be boolean"):
        thinning.skeleton(jnp.zeros((2, 2)))
    with pytest.raises(ValueError, match="connectivity=6 is not known"):
        functools.partial(thinning.skeleton, connectivity=6)(jnp.zeros((2, 2), bool))
    assert thinning.skeleton(jnp.zeros((0, 3), bool)).shape == (0, 3)
