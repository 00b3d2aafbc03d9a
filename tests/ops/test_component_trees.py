"""One answer for all thresholds must be each threshold's own labelling."""

import functools

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage as ndi

from jaxcam.ops import boxes, component_trees, components
from jaxcam.ops import component_tree_basins as basins
from jaxcam.ops import component_tree_levels as levels
from jaxcam.ops import component_tree_merge as merging
from tests.ops import patterns

SHAPE = (13, 18)
THRESHOLDS = (np.arange(16, dtype=np.float32) + 1) / 16
MASKS = np.random.default_rng(1).random((2, *SHAPE)) < 0.5
BOXES = np.array([[2, 3, 9, 11.5], [0, 0, 13, 18], [10, 1, 12, 4]], np.float32)


def iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = np.prod(np.maximum(high - low, 0))
    areas = [np.prod(np.subtract(x[2:], x[:2])) for x in (a, b)]
    return common / (sum(areas) - common)


def label_each_threshold(
    saliency, thresholds, connectivity=8, strict=False, where=None, masks=(), truth=()
):
    """The definition: one labelling a threshold."""
    structure = np.ones((3, 3)) if connectivity == 8 else None
    where = np.ones(saliency.shape, bool) if where is None else where
    answers = []
    for t in thresholds:
        above = where & (saliency > t if strict else saliency >= t)
        if not above.any():
            answers.append((0, [0, 0, 0, 0], [0 for _ in masks], [0 for _ in truth]))
            continue
        labels, _ = ndi.label(above, structure)
        winner = np.bincount(labels[above]).argmax()  # The first of equals.
        tight = [
            [rows.start, columns.start, rows.stop, columns.stop]
            for rows, columns in ndi.find_objects(labels)
        ]
        largest = labels == winner
        answers.append(
            (
                largest.sum(),
                tight[winner - 1],
                [(largest & mask).sum() for mask in masks],
                [max(iou(box, t) for box in tight) for t in truth],
            )
        )
    return [np.array(x) for x in zip(*answers, strict=True)]


def same(actual, expected):
    area, box, overlap, best = expected
    np.testing.assert_array_equal(actual.area, area)
    np.testing.assert_array_equal(actual.box, box)
    np.testing.assert_array_equal(actual.overlap, overlap.reshape(len(area), -1))
    np.testing.assert_allclose(
        actual.best_box_iou, best.reshape(len(area), -1), rtol=1e-5, atol=1e-7
    )


def check(saliency, thresholds=THRESHOLDS, where=None, **options):
    saliency = np.asarray(saliency, np.float32)
    where = np.ones(saliency.shape, bool) if where is None else where
    actual = component_trees.component_tree(
        jnp.asarray(saliency),
        jnp.asarray(thresholds),
        truth_masks=jnp.asarray(MASKS),
        truth_boxes=jnp.asarray(BOXES),
        where=jnp.asarray(where),
        **options,
    )
    expected = label_each_threshold(
        saliency, thresholds, where=where, masks=MASKS, truth=BOXES, **options
    )
    same(actual, expected)


@st.composite
def maps(draw, shape=SHAPE):
    """Rough and smooth maps, with and without plateaus, of any range."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = ndi.gaussian_filter(rng.random(shape), draw(st.floats(0, 3)))
    values = (values - values.min()) / np.ptp(values)
    steps = draw(st.sampled_from([0, 2, 5, 16, 255]))
    if steps:
        values = np.round(values * steps) / steps
    return values.astype(np.float32)


any_map = maps() | hnp.arrays(
    np.float32,
    SHAPE,
    elements=st.sampled_from([0.0, 0.25, 0.26, 0.5, 1.0]),
    fill=st.nothing(),
)
settings = functools.partial(
    hypothesis.settings, deadline=None, derandomize=True, database=None
)


@pytest.fixture
def as_large(monkeypatch):
    """Small maps take the ways of large ones: tables that may not fit, and sorting."""

    def forget():
        component_trees._batched.cache_clear()
        component_trees.component_tree.clear_cache()

    monkeypatch.setattr(component_trees, "_CELLS_OF_A_SMALL_MAP", 0)
    forget()
    yield
    forget()


@hypothesis.given(saliency=any_map, where=st.floats(0.5, 1), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_any_map(saliency, where, seed):
    check(saliency, where=np.random.default_rng(seed).random(SHAPE) < where)


@pytest.mark.usefixtures("as_large")
@hypothesis.given(saliency=any_map)
@settings(
    max_examples=40,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_any_map_as_if_it_were_large(saliency):
    check(saliency)


@hypothesis.given(saliency=any_map)
@settings(max_examples=40)
def test_any_map_where_corners_do_not_touch(saliency):
    check(saliency, connectivity=4)


@hypothesis.given(
    saliency=any_map,
    thresholds=hnp.arrays(
        np.float32, 16, elements=st.sampled_from([-1.0, 0.0, 0.25, 0.26, 0.5, 0.9, 1.0])
    ),
)
@settings(max_examples=40)
def test_any_thresholds_in_any_order(saliency, thresholds):
    check(saliency, thresholds)
    check(saliency, thresholds, strict=True)


@hypothesis.given(saliency=maps())
@settings(max_examples=20)
def test_thresholds_that_are_quantiles_of_the_map(saliency):
    chosen = np.quantile(saliency, np.linspace(0, 1, 16)).astype(np.float32)
    check(saliency, chosen)
    check(saliency, chosen, strict=True)


def distance_map(mask):
    """Ridges along the pattern: as many saddles as it has bottlenecks."""
    depth = ndi.distance_transform_edt(mask)
    ramp = np.linspace(0.1, 0.2, mask.size).reshape(mask.shape)
    return (depth / max(depth.max(), 1) * 0.8 + ramp)[: SHAPE[0], : SHAPE[1]]


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("pattern", patterns.HARD)
def test_patterns(pattern, connectivity):
    mask = pattern(18)
    check(mask[: SHAPE[0]], connectivity=connectivity)
    check(distance_map(mask), connectivity=connectivity)
    # A path that climbs from end to end, and pits along it.
    steps = np.cumsum(mask).reshape(mask.shape) / mask.sum()
    check((mask * steps)[: SHAPE[0]], connectivity=connectivity)


@pytest.mark.parametrize(
    "saliency",
    [
        pytest.param(np.zeros(SHAPE), id="nothing"),
        pytest.param(np.ones(SHAPE), id="all equal"),
        pytest.param(np.arange(234.0).reshape(SHAPE) / 233, id="ramp"),
        pytest.param(1 - np.arange(234.0).reshape(SHAPE) / 233, id="descent"),
        pytest.param(np.indices(SHAPE).sum(0) % 2, id="checkerboard"),
        pytest.param(np.indices(SHAPE)[1] % 2 / 2, id="stripes"),
        pytest.param(np.indices(SHAPE)[0] % 3 / 2, id="rows"),
    ],
)
def test_extremes(saliency):
    check(saliency)
    check(saliency, connectivity=4)


def test_of_equally_large_components_the_first_in_raster_order():
    saliency = np.zeros(SHAPE)
    saliency[0, 9:12] = saliency[1:4, 0] = saliency[7, 4:7] = 1
    check(saliency)
    saliency[9:12, 2] = 1
    saliency[0, 9:12] = 0
    check(saliency)


def test_pixels_that_are_not_numbers_reach_no_threshold():
    rng = np.random.default_rng(0)
    saliency = rng.random(SHAPE).astype(np.float32)
    saliency[rng.random(SHAPE) < 0.2] = np.nan
    saliency[3, 4], saliency[5, 6], saliency[5, 7] = np.inf, -np.inf, -0.0
    thresholds = THRESHOLDS.copy()
    check(saliency, thresholds)
    thresholds[:4] = -np.inf, np.inf, 0.0, -0.0
    check(saliency, thresholds)
    check(saliency, thresholds, strict=True)
    thresholds[7] = np.nan
    with np.errstate(invalid="ignore"):
        check(saliency, thresholds)


@pytest.mark.parametrize("shape", [(1, 40), (40, 1)])
def test_one_row_or_one_column(shape):
    rng = np.random.default_rng(0)
    for saliency in (rng.random(shape), np.round(rng.random(shape) * 3) / 3):
        tree = component_trees.component_tree(
            jnp.asarray(saliency, jnp.float32), jnp.asarray(THRESHOLDS)
        )
        expected = label_each_threshold(saliency.astype(np.float32), THRESHOLDS)
        same(tree, expected)


def test_values_worked_by_hand(per_image):
    saliency = jnp.array([[3.0, 1.0, 2.0], [1.0, 0.0, 2.0], [0.0, 0.0, 2.0]])
    masks = jnp.array([[[1, 0, 0], [0, 0, 0], [0, 0, 1]]], bool)
    truth = jnp.array([[0, 0, 1, 1], [0, 2, 2, 3]])

    def tree(saliency, masks, truth):
        return component_trees.component_tree(
            saliency,
            jnp.array([2.0, 1.0, 3.0, 4.0]),
            truth_masks=masks,
            truth_boxes=truth,
        )

    actual = per_image(tree, saliency, masks, truth)
    np.testing.assert_array_equal(actual.area, [3, 6, 1, 0])
    box = [[0, 2, 3, 3], [0, 0, 3, 3], [0, 0, 1, 1], [0, 0, 0, 0]]
    np.testing.assert_array_equal(actual.box, box)
    np.testing.assert_array_equal(actual.overlap, [[1], [2], [1], [0]])
    best = [[1, 2 / 3], [1 / 9, 2 / 9], [1, 0], [0, 0]]
    np.testing.assert_allclose(actual.best_box_iou, best, rtol=1e-6)


def landscapes():
    rng = np.random.default_rng(0)
    noise = rng.random((72, 80)).astype(np.float32)
    for name, sigma in (("smooth", 5), ("rough", 1.2), ("white", 0)):
        saliency = ndi.gaussian_filter(noise, sigma)
        saliency -= saliency.min()
        yield name, (saliency / saliency.max()).astype(np.float32)


@pytest.mark.usefixtures("as_large")
def test_every_path_gives_the_same():
    """Tables of either size, and sorting: whichever fits, the answer is the same."""
    sizes, worst = component_trees._capacities((72, 80), 16)
    tables = [
        jax.jit(functools.partial(component_trees._by_tables, 8, 16, sizes, size))
        for size in sizes
    ]
    sort = jax.jit(functools.partial(component_trees._by_sorting, 8, 16, worst, 1))
    for name, saliency in landscapes():
        every_path_gives_the_same(name, saliency, sizes, tables, sort)


def every_path_gives_the_same(name, saliency, sizes, tables, sort):
    reached = np.searchsorted(THRESHOLDS, saliency, side="right").astype(np.int32)
    ground = basins.terrain(jnp.asarray(saliency), jnp.asarray(reached), 8)
    counts = [
        int(m.count)
        for m in (ground.starts, ground.roots, ground.saddles, ground.sides)
    ]
    fits = [all(c <= n for c, n in zip(counts, s, strict=True)) for s in sizes]
    assert fits == {"smooth": [True, True], "rough": [False, True]}.get(
        name, [False, False]
    )
    masks = jnp.asarray(saliency[None] > 0.7)
    truth = jnp.asarray([[4, 4, 20, 30]], jnp.float32)
    expected = label_each_threshold(
        saliency, THRESHOLDS, masks=np.asarray(masks), truth=np.asarray(truth)
    )

    def same_levels(best):
        at = [x[1:] for x in best]
        same(component_trees.ComponentTree(*at), expected)

    for fit, solve in zip(fits, tables, strict=True):
        best, missed = solve(ground, masks, truth)
        if fit:
            assert not missed
            same_levels(best)
    same_levels(sort(None, ground, masks, truth))


@pytest.mark.slow
@pytest.mark.usefixtures("as_large")
def test_cells_that_do_not_fit_are_noticed(monkeypatch):
    monkeypatch.setattr(component_trees, "_cells_per_level", lambda basins: 1)
    component_trees._batched.cache_clear()
    saliency = dict(landscapes())["smooth"]
    tree = component_trees.component_tree.__wrapped__(
        jnp.asarray(saliency), jnp.asarray(THRESHOLDS)
    )
    component_trees._batched.cache_clear()
    same(tree, label_each_threshold(saliency, THRESHOLDS))


@pytest.mark.slow
@pytest.mark.usefixtures("as_large")
@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_a_batch_is_its_images(monkeypatch, platform):
    """Image by image, as on CPU, and all at once; batch-mates of every kind."""
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    component_trees._batched.cache_clear()
    batch = np.stack([saliency for _, saliency in landscapes()] + [np.ones((72, 80))])
    tree = functools.partial(
        component_trees.component_tree.__wrapped__, thresholds=jnp.asarray(THRESHOLDS)
    )
    trees = jax.jit(jax.vmap(tree))(jnp.asarray(batch, jnp.float32))
    component_trees._batched.cache_clear()
    for i, saliency in enumerate(batch):
        one = jax.tree.map(lambda x, i=i: x[i], trees)
        same(one, label_each_threshold(saliency, THRESHOLDS))


@pytest.mark.slow
def test_a_batch_over_devices_and_nested():
    rng = np.random.default_rng(0)
    batch = jnp.asarray(rng.random((2, 2, *SHAPE)), jnp.float32)
    tree = functools.partial(
        component_trees.component_tree, thresholds=jnp.asarray(THRESHOLDS)
    )
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("batch",))
    spec = jax.sharding.PartitionSpec("batch")
    nested = jax.vmap(jax.vmap(tree))
    sharded = jax.shard_map(nested, mesh=mesh, in_specs=spec, out_specs=spec)
    trees = jax.jit(sharded)(batch)
    for i in np.ndindex(2, 2):
        one = jax.tree.map(lambda x, i=i: x[i], trees)
        same(one, label_each_threshold(np.asarray(batch[i]), THRESHOLDS))


def test_agrees_with_labelling_by_ops():
    saliency = jnp.asarray(dict(landscapes())["rough"])
    tree = component_trees.component_tree(saliency, jnp.asarray(THRESHOLDS))
    for i in (3, 9):
        component, box = components.largest_component_box(saliency >= THRESHOLDS[i])
        assert tree.area[i] == component.sum()
        np.testing.assert_array_equal(tree.box[i], box)
        np.testing.assert_array_equal(boxes.bounding_box(component), box)


@pytest.mark.slow
def test_levels_count_the_thresholds_reached():
    rng = np.random.default_rng(0)
    values = rng.random(500).astype(np.float32)
    for thresholds in (
        np.linspace(0, 1, 100),
        np.arange(1, 256) / 255,
        rng.random(100),
        np.repeat(rng.random(50), 2),
        np.array([0.5]),
        np.array([0.1, 0.1 + 1e-8, 1e30]),
        rng.choice(values, 100),
    ):
        table, level = levels.prepare(jnp.asarray(thresholds, jnp.float32))
        ascending = np.sort(thresholds.astype(np.float32))
        for strict, side in ((False, "right"), (True, "left")):
            actual = levels.level_of(jnp.asarray(values), table, strict=strict)
            np.testing.assert_array_equal(
                actual, np.searchsorted(ascending, values, side=side)
            )
        np.testing.assert_array_equal(
            ascending[np.asarray(level) - 1], thresholds.astype(np.float32)
        )


def test_many_basins_merge_in_few_rounds_of_work():
    """A star: one basin that all others touch, at ever lower saddles."""
    number = 50
    edges = jnp.stack([jnp.zeros(number - 1, jnp.int32), jnp.arange(1, number)])
    saddle = jnp.arange(number, 1, -1, dtype=jnp.int32)
    graph = basins.Graph(
        basin=jnp.zeros(1, jnp.int32),
        summit=jnp.zeros(1, jnp.int32),
        peak=jnp.arange(100, 100 + number, dtype=jnp.int32),
        ends=edges,
        saddle=saddle,
        count=jnp.int32(number),
    )
    tree = merging.merge(graph)
    # Each leaf is absorbed by the next, at the level of the next one's saddle.
    np.testing.assert_array_equal(tree.parent, [*range(1, number), number - 1])
    np.testing.assert_array_equal(tree.death, [*saddle, 0])


def test_no_pixels():
    tree = component_trees.component_tree(jnp.zeros((0, 4)), jnp.asarray(THRESHOLDS))
    assert tree.area.shape == (16,)
    assert not tree.box.any()


def test_refusals():
    saliency, thresholds = jnp.zeros(SHAPE), jnp.asarray(THRESHOLDS)
    tree = component_trees.component_tree
    with pytest.raises(TypeError, match="saliency must be floating point but is int32"):
        tree(saliency.astype(jnp.int32), thresholds)
    with pytest.raises(TypeError, match="thresholds must be floating point"):
        tree(saliency, jnp.arange(3))
    with pytest.raises(ValueError, match=r"thresholds must have shape \(T,\)"):
        tree(saliency, thresholds[None])
    with pytest.raises(ValueError, match=r"T >= 1"):
        tree(saliency, thresholds[:0])
    with pytest.raises(ValueError, match="connectivity=6 is not known"):
        tree(saliency, thresholds, connectivity=6)
    with pytest.raises(ValueError, match=r"mask\[None\]"):
        tree(saliency, thresholds, truth_masks=saliency > 0)
    with pytest.raises(TypeError, match="truth_masks must be boolean"):
        tree(saliency, thresholds, truth_masks=saliency[None])
    with pytest.raises(ValueError, match=r"box\[None\]"):
        tree(saliency, thresholds, truth_boxes=jnp.zeros(4))
    with pytest.raises(ValueError, match="where has shape"):
        tree(saliency, thresholds, where=jnp.ones((3, 3), bool))
