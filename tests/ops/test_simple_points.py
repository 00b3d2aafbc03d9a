"""Simple points against their definition, on every neighbourhood there is."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxcam.ops import simple_points

STRUCTURE = {4: ndimage.generate_binary_structure(2, 1), 8: np.ones((3, 3), int)}
DUAL = {4: 8, 8: 4}


def betti_numbers(mask, connectivity):
    """Objects and holes, by labelling; outside of the image lies background."""
    mask = np.pad(mask, 1)
    objects = ndimage.label(mask, STRUCTURE[connectivity])[1]
    background = ndimage.label(~mask, STRUCTURE[DUAL[connectivity]])[1]
    return objects, background - 1


def branches(neighbourhood, connectivity):
    """Components of the object around the centre that touch the centre."""
    around = neighbourhood.copy()
    around[1, 1] = False
    labels, _ = ndimage.label(around, STRUCTURE[connectivity])
    touching = labels[STRUCTURE[connectivity].astype(bool)]
    return len(set(touching.tolist()) - {0})


def neighbourhoods():
    for code in range(256):
        bits = [code >> i & 1 for i in range(8)]
        yield np.array([*bits[:4], 0, *bits[4:]], bool).reshape(3, 3)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_a_flip_is_simple_if_and_only_if_no_betti_number_changes(connectivity):
    """On all 256 neighbourhoods, whichever value the centre has."""
    around = np.stack(list(neighbourhoods()))
    # In a row, apart from one another: one call for all of them.
    row = np.concatenate(list(np.pad(around, ((0, 0), (1, 1), (1, 1)))), axis=1)
    for centre in (False, True):
        row[2, 2::5] = centre
        actual = np.asarray(
            simple_points.simple_points(jnp.asarray(row), connectivity=connectivity)
        )[2, 2::5]
        flipped = around.copy()
        around[:, 1, 1], flipped[:, 1, 1] = centre, not centre
        # One object or hole more and one less of another would also be no change, but
        # it cannot happen in nine pixels: a new one needs the centre alone.
        expected = [
            betti_numbers(before, connectivity) == betti_numbers(after, connectivity)
            and branches(before, connectivity) == 1
            for before, after in zip(around, flipped, strict=True)
        ]
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_a_simple_flip_preserves_the_topology_of_the_whole_mask(connectivity):
    rng = np.random.default_rng(0)
    mask = rng.random((7, 8)) < 0.5
    simple = np.asarray(
        simple_points.simple_points(jnp.asarray(mask), connectivity=connectivity)
    )
    assert simple.any()
    assert not simple.all()
    before = betti_numbers(mask, connectivity)
    for pixel in np.ndindex(mask.shape):
        flipped = mask.copy()
        flipped[pixel] ^= True
        if simple[pixel]:
            assert betti_numbers(flipped, connectivity) == before


@pytest.mark.parametrize("connectivity", [4, 8])
def test_crossing_number_counts_the_branches(connectivity):
    for around in neighbourhoods():
        number = simple_points.crossing_number(
            jnp.asarray(around), connectivity=connectivity
        )[1, 1]
        touching = STRUCTURE[connectivity].astype(bool).copy()
        touching[1, 1] = False
        background = STRUCTURE[DUAL[connectivity]].astype(bool).copy()
        background[1, 1] = False
        surrounded = around[background].all()
        expected = 0 if surrounded else branches(around, connectivity)
        assert number == expected


def test_words_of_bits_are_tested_bit_by_bit():
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**32, (8, 5), dtype=np.uint32)
    for connectivity in (4, 8):
        packed = simple_points.is_simple(
            tuple(jnp.asarray(words)), connectivity=connectivity
        )
        for bit in range(32):
            one = tuple(jnp.asarray((words >> bit & 1).astype(bool)))
            np.testing.assert_array_equal(
                np.asarray(packed) >> bit & 1,
                np.asarray(simple_points.is_simple(one, connectivity)).astype(int),
            )


def test_what_lies_outside_is_background(per_image):
    full = jnp.ones((2, 2), bool)
    assert bool(per_image(simple_points.simple_points, full).all())
    assert not per_image(simple_points.simple_points, full[:1, :1]).any()


def test_refusals():
    with pytest.raises(TypeError, match="must be boolean"):
        simple_points.simple_points(jnp.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"batch a metric with jax.vmap"):
        simple_points.crossing_number(jnp.zeros((1, 2, 2), bool))
    with pytest.raises(ValueError, match="connectivity=6 is not known"):
        simple_points.simple_points(jnp.zeros((2, 2), bool), connectivity=6)
