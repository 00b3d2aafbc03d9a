"""Energy and effect of object, ring and context, worked by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics, plan, registry
from jaxcam.metrics import evidence

SIZE = 16
BOX = (4, 4, 12, 12)
SQUARE = np.zeros((SIZE, SIZE), bool)
SQUARE[BOX[0] : BOX[2], BOX[1] : BOX[3]] = True
OBJECT = SQUARE.copy()
OBJECT[6:10, 6:10] = False  # A frame: its hole belongs to the ring.


def parts_of(mask, box, where=None):
    where = np.ones(mask.shape, bool) if where is None else where
    return np.asarray(evidence.evidence_parts(*map(jnp.asarray, (mask, where, box))))


def test_parts_are_apart_and_cover_what_counts():
    rng = np.random.default_rng(0)
    mask, where, box = rng.random((3, 9, 7)) < 0.6
    found = parts_of(mask, box, where)
    for y, x in np.ndindex(9, 7):
        expected = [False, False, False]
        if where[y, x]:
            expected[0 if mask[y, x] else 1 if box[y, x] else 2] = True
        assert found[:, y, x].tolist() == expected


def test_energies_worked_by_hand():
    saliency = jnp.array([[4.0, 2.0, 1.0, 1.0, 9.0]])
    where = np.array([[True, True, True, True, False]])
    mask = np.array([[True, False, False, False, True]])
    box = np.array([[True, True, False, False, True]])
    parts = parts_of(mask, box, where)
    found = evidence.region_energies(saliency, parts)
    np.testing.assert_allclose(found, [4 / 8, 2 / 8, 2 / 8])
    assert metrics.region_energy(found) == 0.25
    assert metrics.region_energy(found, part="object") == 0.5
    epg = metrics.energy_pointing_game(saliency, jnp.asarray(mask), where=where)
    assert metrics.region_energy(found, part="object") == epg
    signed = evidence.region_energies(-saliency, parts, signed="abs")
    np.testing.assert_allclose(signed, found)
    assert np.isnan(evidence.region_energies(-saliency, parts, signed="relu")).all()


def test_effects_worked_by_hand():
    parts = parts_of(OBJECT, SQUARE)
    drops = jnp.array([0.4, 0.2, -0.1])
    relative = evidence.region_effects(jnp.float32(0.8), drops, parts)
    np.testing.assert_allclose(relative, [0.5, 0.25, -0.125])
    absolute = evidence.region_effects(jnp.float32(-3.0), drops, parts, score="logit")
    np.testing.assert_allclose(absolute, drops)
    assert metrics.region_effect(relative) == 0.25
    assert np.isnan(evidence.region_effects(jnp.float32(0.0), drops, parts)).all()


@pytest.mark.parametrize(
    ("energies", "effects", "expected"),
    [
        ([0.5, 0.25, 0.25], [0.8, 0.4, 0.4], 0.0),
        ([0.0, 1.0, 0.0], [0.9, 0.0, 0.0], 1.0),
        ([0.5, 0.5, 0.0], [0.6, 0.2, -0.7], 0.25),
        ([1.0, 0.0, 0.0], [0.0, -0.2, 0.0], np.nan),
        ([np.nan] * 3, [0.5, 0.2, 0.1], np.nan),
        ([1.0, 0.0, 0.0], [np.nan] * 3, np.nan),
    ],
)
def test_distances_worked_by_hand(energies, effects, expected):
    parts = parts_of(OBJECT, SQUARE)
    found = metrics.evidence_ring(jnp.array(energies), jnp.array(effects), parts)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_evidence_that_is_rounding_is_none():
    """Drops of a ten-millionth put no evidence anywhere; a hundredth does."""
    parts, on_the_ring = parts_of(OBJECT, SQUARE), jnp.array([0.0, 1.0, 0.0])
    for drop, expected in ((6e-8, np.nan), (0.009, np.nan), (0.011, 0.0)):
        effects = jnp.array([-0.3, drop, 0.0])
        found = metrics.evidence_ring(on_the_ring, effects, parts)
        np.testing.assert_allclose(found, expected, atol=1e-7)


def test_an_object_that_fills_the_image_is_no_question():
    """All energy and all evidence are in the only part that there is."""
    everywhere = np.ones_like(OBJECT)
    alone = parts_of(everywhere, everywhere)
    all_there = jnp.array([1.0, 0.0, 0.0])
    assert np.isnan(metrics.evidence_ring(all_there, all_there, alone))
    two = parts_of(OBJECT, everywhere)
    assert metrics.evidence_ring(all_there, all_there, two) == 0


def test_effects_are_summarised_by_their_median():
    """One image that the model hardly recognises does not decide."""
    reduce = registry.metric("region_effect").reduce
    values = np.array([0.1, -1e5, 0.3, np.nan, 0.2], np.float32)
    weights = np.array(
        [[1, 1, 1, 1, 1], [0, 0, 1, 5, 1], [3, 1, 0, 0, 0], [0, 0, 0, 1, 0]]
    )
    expected = [(0.1 + 0.2) / 2, (0.2 + 0.3) / 2, 0.1, np.nan]
    for shape in ((5,), (5, 1)):
        np.testing.assert_allclose(reduce(values.reshape(shape), weights), expected)
    assert np.isnan(reduce(values[3:4], weights[:, :1])).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_median_is_that_of_the_images_that_are_drawn(seed):
    rng = np.random.default_rng(seed)
    values, times = rng.normal(size=9), rng.integers(0, 4, (20, 9))
    reduce = registry.metric("region_effect").reduce
    expected = [np.median(np.repeat(values, row)) for row in times]
    np.testing.assert_allclose(reduce(values, times), expected)


def test_no_object_and_no_energy_are_undefined():
    nothing = parts_of(np.zeros_like(OBJECT), SQUARE)
    assert np.isnan(evidence.region_energies(jnp.ones((SIZE, SIZE)), nothing)).all()
    effects = evidence.region_effects(jnp.float32(0.5), jnp.ones(3), nothing)
    assert np.isnan(effects).all()
    parts = parts_of(OBJECT, SQUARE)
    assert np.isnan(evidence.region_energies(jnp.zeros((SIZE, SIZE)), parts)).all()


def test_parts_other_than_the_three_are_refused():
    with pytest.raises(ValueError, match="'ring'"):
        metrics.region_energy(jnp.ones(3), part="hole")


def test_companions_take_the_options_that_they_read():
    columns = plan.resolve_all(["evidence_ring[canvas=mean,signed=abs]"])
    assert [column.label for column in columns] == [
        "evidence_ring[canvas=mean,signed=abs]",
        "region_energy[part=object,signed=abs]",
        "region_energy[part=ring,signed=abs]",
        "region_energy[part=context,signed=abs]",
        "region_effect[canvas=mean,part=object]",
        "region_effect[canvas=mean,part=ring]",
        "region_effect[canvas=mean,part=context]",
    ]
    fields = plan.probe_fields(columns)
    assert [field.name for field in fields] == ["region_drops"]
    assert {call.kind for call in plan._probe_calls(fields)} == {"image"}
    with pytest.raises(ValueError, match="has no option 'part'"):
        plan.resolve_all(["evidence_ring[part=ring]"])
