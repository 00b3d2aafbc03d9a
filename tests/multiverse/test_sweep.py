import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcam
from jaxcam import ops
from jaxcam.multiverse import sweep, universes

BORDERS = {"ignore": 0, "foreground": 1, "background": 2}


def scene(seed, shape=(40, 48), two_boxes=False):
    """Maps of several kinds, an object with an unsure border, and its boxes."""
    rng = np.random.default_rng(seed)
    h, w = shape
    y, x = np.mgrid[:h, :w]
    solid = ((y - 18) / 11) ** 2 + ((x - 26) / 13) ** 2 < 1
    grown = ((y - 18) / 14) ** 2 + ((x - 26) / 16) ** 2 < 1
    border = grown & ~solid
    other = (0, 0, 9, 9) if two_boxes else (np.nan,) * 4
    boxes = np.array([(4, 10, 33, 42), other], np.float32)
    maps = np.stack(
        [
            rng.normal(size=(7, 7)),
            rng.random((7, 7)) ** 3,
            np.zeros((7, 7)),
            -rng.random((7, 7)),
            np.round(rng.random((7, 7)) * 3),
        ]
    ).astype(np.float32)
    return maps, solid, border, boxes


def swept(maps, solid, border, boxes):
    truth = sweep.Truth(
        mask=jnp.asarray(solid)[None],
        where=jnp.asarray(~border)[None],
        boxes=jnp.nan_to_num(jnp.asarray(boxes))[None],
        box_valid=~jnp.isnan(jnp.asarray(boxes)).any(-1)[None],
        frame=jnp.ones((1, *solid.shape), bool),
        extent=jnp.asarray([solid.shape], jnp.int32),
    )
    placed = sweep.place(jnp.asarray(maps)[:, None], truth, whole=True)
    found = sweep.values(placed, truth)
    return jax.tree.map(lambda x: np.asarray(x)[:, 0], found)


def masks_under(border_rule, solid, border):
    if border_rule == "foreground":
        return solid | border, np.ones_like(solid)
    if border_rule == "background":
        return solid, np.ones_like(solid)
    return solid, ~border


def requested(universe):
    """The universe as a metric of the registry, on maps resized beforehand."""
    choice = dict(universe.choices)
    options = [f"region={choice['region']}"]
    if universe.metric in universes.REGION_METRICS:
        rule, fraction = universes.RULES[choice["rule"]]
        options += [f"rule={rule}", f"strict={choice['comparison'] == 'above'}"]
        options += [f"component={choice['component']}"]
        if fraction is not None:
            options.append(f"fraction={fraction}")
        if choice["connectivity"] != universes.MOOT:
            options.append(f"connectivity={choice['connectivity']}")
    if "tolerance" in choice:
        options.append(f"tolerance={choice['tolerance']}")
    return f"{universe.metric}[{','.join(options)}]"


def scored(universe, maps, solid, border, boxes):
    """The universe's values by `jaxcam.score`, which shares no code with the sweep."""
    choice = dict(universe.choices)
    resized = np.stack(
        [
            np.asarray(
                ops.resize(jnp.asarray(m), solid.shape, method=choice["resizing"])
            )
            for m in maps
        ]
    )
    rule = "ignore" if choice["border"] == universes.MOOT else choice["border"]
    mask, where = masks_under(rule, solid, border)
    tile = (len(maps), 1, 1)
    result = jaxcam.score(
        resized,
        np.tile(mask, tile),
        where=np.tile(where, tile),
        boxes=np.tile(boxes, tile),
        metrics=[requested(universe)],
        normalization=choice.get("normalization"),
        floors=False,
    )
    (name,) = result.metrics
    return result.values(name, "maps")


QUESTIONS = {question.name: question for question in universes.map_questions()}


@pytest.mark.parametrize("two_boxes", [False, True])
@pytest.mark.parametrize(
    ("question", "sampled"), [("region", 12), ("energy", 4), ("pointing", 4)]
)
def test_universes_equal_the_metrics_of_the_registry(question, sampled, two_boxes):
    given = scene(3, two_boxes=two_boxes)
    values = getattr(swept(*given), question)
    every = QUESTIONS[question].universes
    assert values.shape == (len(given[0]), len(every))
    rng = np.random.default_rng(two_boxes)
    for position in rng.choice(len(every), sampled, replace=False):
        expected = scored(every[position], *given)
        np.testing.assert_allclose(
            values[:, position], expected, atol=2e-6, err_msg=str(every[position])
        )


def test_every_axis_makes_a_difference():
    values = swept(*scene(5))
    for question in QUESTIONS.values():
        found = getattr(values, question.name)
        for axis in question.axes:
            pairs = np.array(universes.neighbours(question, axis))
            a, b = found[:, pairs[:, 0]], found[:, pairs[:, 1]]
            assert (a != b).any(), (question.name, axis)


def test_values_do_not_depend_on_the_other_maps_and_images():
    maps, *truth = scene(7)
    together = swept(maps, *truth)
    for row in range(len(maps)):
        copies = swept(np.repeat(maps[row : row + 1], len(maps), axis=0), *truth)
        for copy, many in zip(copies, together, strict=True):
            np.testing.assert_array_equal(copy, np.tile(many[row], (len(maps), 1)))


def test_maps_and_truth_that_are_not_there_have_no_value():
    maps, solid, border, boxes = scene(9)
    maps[0, 2, 2] = np.nan
    values = swept(maps, np.zeros_like(solid), np.zeros_like(border), boxes)
    for question in QUESTIONS.values():
        found = getattr(values, question.name)
        on_mask = np.array(question.choices("region")) == "mask"
        assert np.isnan(found[0]).all()
        assert np.isnan(found[:, on_mask]).all()
        assert not np.isnan(found[1, ~on_mask]).any()


def test_there_are_over_a_thousand_universes_and_none_twice():
    region = QUESTIONS["region"].universes
    assert len(region) == len({str(u) for u in region}) == 1728
    for question in QUESTIONS.values():
        assert len(question.directions) == len(question.universes)


def test_every_choice_says_who_makes_it():
    said = {axis.name: axis.values for axis in universes.AXES}
    for question in QUESTIONS.values():
        for axis, values in question.axes.items():
            if axis != "metric":
                assert set(values) - {universes.MOOT} == set(said[axis])
                assert all(said[axis][v] for v in values if v != universes.MOOT)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_noise_is_labelled_with_the_same_result(connectivity):
    rng = np.random.default_rng(1)
    unit = jnp.asarray(rng.random((40, 48)), jnp.float32)
    masks = jnp.asarray(rng.random((3, 40, 48)) < 0.5)
    frame = jnp.ones((40, 48), bool).at[35:].set(False)
    levels = jnp.array([0.2, 0.45, 0.6, 0.9, 2.0], jnp.float32)
    given = unit, levels, masks, frame
    one = sweep.by_labels(*given, connectivity=connectivity)
    other = sweep.by_tree(*given, connectivity=connectivity)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
