import re

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


def swept(maps, solid, border, boxes, extent=None):
    truth = sweep.Truth(
        mask=jnp.asarray(solid)[None],
        where=jnp.asarray(~border)[None],
        boxes=jnp.nan_to_num(jnp.asarray(boxes))[None],
        box_valid=~jnp.isnan(jnp.asarray(boxes)).any(-1)[None],
        frame=jnp.asarray(inside(solid.shape, extent or solid.shape))[None],
        extent=jnp.asarray([extent or solid.shape], jnp.int32),
    )
    placed = sweep.place(jnp.asarray(maps)[:, None], truth, whole=extent is None)
    found = sweep.values(placed, truth)
    return jax.tree.map(lambda x: np.asarray(x)[:, 0], found)


def inside(shape, extent):
    """The pixels of a canvas that an image of this extent covers."""
    y, x = np.indices(shape)
    return (y < extent[0]) & (x < extent[1])


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
    if "rule" in choice:
        rule, fraction = universes.RULES[choice["rule"]]
        options += [f"rule={rule}", f"strict={choice['comparison'] == 'above'}"]
        options += [f"component={choice['component']}"]
        if fraction is not None:
            options.append(f"fraction={fraction}")
        if choice["connectivity"] != universes.MOOT:
            options.append(f"connectivity={choice['connectivity']}")
        if choice["overlap"] != universes.MOOT:
            options.append(f"threshold={choice['overlap']}")
    if "tolerance" in choice:
        options.append(f"tolerance={choice['tolerance']}")
    return f"{universe.metric}[{','.join(options)}]"


def scored(universe, maps, solid, border, boxes, extent=None):
    """The universe's values by `jaxcam.score`: labels and the registry's metrics.

    The sweep takes another way to most of them: one component tree for all thresholds,
    and box sums.
    """
    choice = dict(universe.choices)
    if choice.get("ties", "expected") != "expected":
        return pointed(choice, maps, solid, border, boxes)
    height, width = extent or solid.shape
    cut = np.s_[:height, :width]
    resized = np.stack(
        [
            np.asarray(
                ops.resize(jnp.asarray(m), (height, width), method=choice["resizing"])
            )
            for m in maps
        ]
    )
    rule = "ignore" if choice["border"] == universes.MOOT else choice["border"]
    mask, where = masks_under(rule, solid[cut], border[cut])
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


def pointed(choice, maps, solid, border, boxes):
    """The pointing game by its words, pixel by pixel, for maxima that are tied."""
    mask, where = masks_under(choice["border"], solid, border)
    if choice["region"] == "box":
        y, x = np.indices(solid.shape)
        mask, where = np.zeros_like(solid), np.ones_like(solid)
        for top, left, bottom, right in boxes[~np.isnan(boxes).any(-1)]:
            mask |= (y >= top) & (y < bottom) & (x >= left) & (x < right)
    near = np.argwhere(mask & where)
    found = []
    for native in maps:
        unit = ops.resize(jnp.asarray(native), solid.shape, method=choice["resizing"])
        unit = np.maximum(np.asarray(unit), 0)
        pixels = [tuple(pixel) for pixel in np.argwhere(where)]
        highest = max(unit[pixel] for pixel in pixels)
        tied = [pixel for pixel in pixels if unit[pixel] == highest]
        reach = max(int(choice["tolerance"]), 1)
        hits = [
            ((near - pixel) ** 2).sum(axis=1).min() < reach**2
            for pixel in (tied[:1] if choice["ties"] == "first" else tied)
        ]
        found.append(float(any(hits)))
    return found


QUESTIONS = {question.name: question for question in universes.map_questions()}


@pytest.mark.parametrize("two_boxes", [False, True])
@pytest.mark.parametrize(
    ("question", "sampled"), [("region", 10), ("energy", 4), ("pointing", 8)]
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


@pytest.mark.parametrize("question", ["region", "energy"])
def test_an_image_that_fills_a_part_of_the_grid_is_swept_alone(question):
    """What is not image, as under geometry="original", decides nothing."""
    maps, solid, border, boxes = scene(11)
    extent = (36, 44)
    solid, border = (
        solid & inside(solid.shape, extent),
        border & inside(solid.shape, extent),
    )
    values = getattr(swept(maps, solid, border, boxes, extent), question)
    every = QUESTIONS[question].universes
    rng = np.random.default_rng(1)
    for position in rng.choice(len(every), 3, replace=False):
        expected = scored(every[position], maps, solid, border, boxes, extent)
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


@pytest.mark.parametrize(
    ("ties", "region", "expected"),
    [
        ("expected", [0, 0, 1, 0], 1 / 2),
        ("first", [0, 0, 1, 0], 0),
        ("first", [0, 1, 0, 0], 1),
        ("any", [0, 0, 1, 0], 1),
        ("any", [0, 0, 0, 1], 0),
    ],
)
def test_tied_maxima_that_count_are_taken_as_the_rule_says(ties, region, expected):
    """The first of three maxima does not count; of the two others one is hit."""
    found = sweep._pointing(
        jnp.array([[2.0, 2.0, 2.0, 0.0]]),
        jnp.array([region], bool),
        where=jnp.array([[False, True, True, True]]),
        tolerance=0,
        ties=ties,
    )
    assert found == expected


def test_there_are_over_a_thousand_universes_and_none_twice():
    region = QUESTIONS["region"].universes
    assert len(region) == len({str(u) for u in region}) == 2880
    for question in QUESTIONS.values():
        assert len(question.directions) == len(question.universes)


def test_every_choice_says_who_makes_it():
    """A work and its year, a tool by its name, or that it is ours."""
    named = re.compile(
        r"[A-Z]\w+.* \d{4}|Aabid and Sicre|TorchRay|Quantus|segmentation_models|^ours:"
    )
    said = {axis.name: axis.values for axis in universes.AXES}
    for question in QUESTIONS.values():
        for axis, values in question.axes.items():
            if axis != "metric":
                assert set(values) - {universes.MOOT} == set(said[axis])
                for value in set(values) - {universes.MOOT}:
                    assert named.search(said[axis][value]), (axis, value)


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
