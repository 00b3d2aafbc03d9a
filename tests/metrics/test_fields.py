"""Derived regions, and what presets change of them."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import registry
from jaxcam.metrics import fields, presets

FRAME = jnp.ones((6, 8), bool)
# Two components: four pixels on the left, two touching them only diagonally.
SALIENT = jnp.zeros((6, 8), bool).at[1:3, 1:3].set(True).at[3, 3:5].set(True)


def test_the_region_of_a_map_is_its_largest_component_above_the_mean():
    saliency = jnp.where(SALIENT, 0.9, 0.1).at[5, 7].set(0.9)
    salient = fields.salient_mask(saliency, FRAME)
    np.testing.assert_array_equal(salient, SALIENT.at[5, 7].set(True))
    np.testing.assert_array_equal(fields.predicted_mask(salient), SALIENT)
    four = fields.predicted_mask(salient, connectivity=4)
    assert four.sum() == 4
    np.testing.assert_array_equal(
        fields.predicted_mask(salient, component="all"), salient
    )


def test_boxes_and_their_rasters():
    box = fields.predicted_box(SALIENT)
    np.testing.assert_array_equal(box, [1, 1, 4, 5])
    region = fields.predicted_box_region(box, FRAME)
    assert region.sum() == 3 * 4
    short = fields.predicted_box(SALIENT, short_boxes=True)
    np.testing.assert_array_equal(short, [1, 1, 3, 4])


def test_pixels_outside_of_the_image_are_never_salient():
    frame = FRAME.at[:, 4:].set(False)
    saliency = jnp.where(frame, 0.2, 50.0).at[0, 0].set(0.9)
    salient = fields.salient_mask(fields.saliency(saliency, frame), frame)
    assert salient.sum() == 1


BOXES = jnp.array([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 4.0, 5.0], [0.0, 0.0, 6.0, 8.0]])
VALID = jnp.array([True, True, False])


def test_several_truth_boxes():
    union = fields.truth_box_region(BOXES, VALID, FRAME)
    assert union.sum() == 4 + 12 - 1
    matched = fields.matched_box_region(SALIENT, BOXES, VALID, FRAME)
    assert matched.sum() == 12
    left = jnp.zeros((6, 8), bool).at[0, 0].set(True)
    matched = fields.matched_box_region(left, BOXES, VALID, FRAME)
    assert matched.sum() == 4


def test_a_box_that_is_not_valid_is_empty():
    region = fields.matched_box_region(SALIENT, BOXES[:1], VALID[2:], FRAME)
    assert not region.any()


def _accepted(spec):
    """Options of a metric and of what it reads, however far down."""
    made = registry.all_fields()
    below = [registry.probe_of(name) or made.get(name) for name in spec.inputs]
    return set(spec.options).union(*(_accepted(found) for found in below if found))


def test_presets_are_data_about_things_that_exist():
    known = {option for f in registry.all_fields().values() for option in f.options}
    for name in presets.names():
        preset = presets.get(name)
        assert preset.summary
        assert set(preset.fields) <= known
        for metric, options in preset.metrics.items():
            assert set(options) <= _accepted(registry.metric(metric))
        for metric, other in preset.substitutes.items():
            assert registry.metric(metric).regions == registry.metric(other).regions


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="paper, seed_code"):
        presets.get("papers")
