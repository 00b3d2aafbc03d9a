import functools
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from jaxcam import plan
from jaxcam.data import wsol
from jaxcam.metrics import box_accuracy, mask_accuracy
from tests import fields as fields_module

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "wsol.npz")
THRESHOLDS = 10
EIGHT = np.ones((3, 3), bool)


def iou(a, b):
    top, left = np.maximum(a[:2], b[:2])
    bottom, right = np.minimum(a[2:], b[2:])
    common = max(bottom - top, 0) * max(right - left, 0)
    areas = [(y1 - y0) * (x1 - x0) for y0, x0, y1, x1 in (a, b)]
    return common / (sum(areas) - common)


def box_of(mask):
    rows, columns = np.nonzero(mask)
    return [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]


def components_of(s, t, frame, connectivity=8, strict=False):
    mask = (s > t if strict else s >= t) & frame
    labels, count = ndimage.label(mask, EIGHT if connectivity == 8 else None)
    return [labels == i for i in range(1, count + 1)]


def largest(parts):
    return max(parts, key=np.sum, default=None)  # The first of equals.


def unit(s, frame, normalization):
    s = np.maximum(s, 0) if normalization == "max" else s - s[frame].min()
    return s / s[frame].max()


@pytest.fixture(params=range(3))
def case(request):
    rng = np.random.default_rng(request.param)
    s = cv2.resize(rng.normal(size=(4, 5)), (13, 12)).astype(np.float32)
    boxes = np.array([[1, 2, 7, 9], [4, 1, 12, 6], [0, 0, 12, 13]], np.float32)
    mask = rng.random((12, 13)) < 0.4
    frame = np.ones((12, 13), bool)
    frame[10:] = False
    where = rng.random((12, 13)) < 0.9
    return s, boxes, np.array([True, True, False]), mask, frame, where


OPTIONS = [
    {},
    {"normalization": "minmax"},
    pytest.param({"connectivity": 4, "strict": True}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_agrees_with_the_definitions(case, options):
    s, boxes, valid, mask, frame, where = case
    options = {**options, "thresholds": THRESHOLDS}
    how = {k: v for k, v in options.items() if k in ("connectivity", "strict")}
    scaled = unit(s, frame, options.get("normalization", "max"))
    curve, every, masks = [], [], []
    for t in np.float32(np.arange(THRESHOLDS) / THRESHOLDS):
        parts = components_of(scaled, t, frame, **how)
        best, truths = largest(parts), boxes[valid]
        curve.append(max(iou(box_of(best), b) for b in truths))
        every.append(max(iou(box_of(p), b) for p in parts for b in truths))
        truth, found = mask & frame & where, best & where
        masks.append((truth & found).sum() / (truth | found).sum())

    arrays = [jnp.asarray(x) for x in (s, boxes, valid, frame)]
    actual = box_accuracy.box_accuracy_curve(*arrays, **options)
    np.testing.assert_allclose(actual, curve, rtol=1e-6)
    np.testing.assert_array_equal(
        box_accuracy.max_box_accuracy(*arrays, **options), actual
    )
    np.testing.assert_allclose(
        box_accuracy.max_box_accuracy_v2(*arrays, **options), every, rtol=1e-6
    )
    assert box_accuracy.best_box_iou(*arrays, **options) == actual.max()

    arrays = [jnp.asarray(x) for x in (s, mask, frame)]
    kept = jnp.asarray(where)
    actual = mask_accuracy.max_mask_accuracy(*arrays, where=kept, **options)
    np.testing.assert_allclose(actual, masks, rtol=1e-6)
    assert mask_accuracy.best_mask_iou(*arrays, where=kept, **options) == actual.max()


def test_values_worked_by_hand(per_image):
    s = jnp.array([[4.0, 4.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]])
    truth = jnp.array([[2.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 2.0]])
    # 0, .25, .5, .75 of the maximum: all, three pixels, two, two (and the corner).
    both, first = jnp.array([True, True]), jnp.array([True, False])
    fn = functools.partial(box_accuracy.box_accuracy_curve, thresholds=4)
    curve = per_image(fn, s, truth, both, frame=s > -1)
    np.testing.assert_allclose(curve, [2 / 12, 2 / 3, 1, 1], rtol=1e-6)
    curve = box_accuracy.box_accuracy_curve(s, truth, first, thresholds=4)
    np.testing.assert_allclose(curve, [2 / 12, 0, 0, 0], rtol=1e-6)
    every = box_accuracy.max_box_accuracy_v2(s, truth, first, thresholds=4)
    np.testing.assert_allclose(every, [2 / 12, 1 / 2, 1 / 2, 1 / 2], rtol=1e-6)


@pytest.mark.slow
def test_undefined_is_nan():
    s, boxes = jnp.ones((3, 3)), jnp.zeros((2, 4))
    none = jnp.zeros(2, bool)
    for preset in ("paper", "wsol"):
        curve = box_accuracy.box_accuracy_curve(s, boxes, none, preset=preset)
        assert jnp.isnan(curve).all()
        assert jnp.isnan(
            box_accuracy.max_box_accuracy_v2(s.at[0, 0].set(jnp.nan), boxes, ~none)
        ).all()
    assert jnp.isnan(mask_accuracy.best_mask_iou(s, s > 1))


@pytest.mark.parametrize("name", [f"native_{i}" for i in (0, 1, 2, 3, 7)])
def test_golden_curves_of_native_maps(name):
    """Upsampled, stretched, cut into bytes and scored as the published tool does."""
    native = jnp.asarray(GOLDEN[f"{name}.map"])
    truth = jnp.asarray(GOLDEN["truth_inclusive"], jnp.float32)
    frame, valid = jnp.ones((40, 40), bool), jnp.array([True, True])
    for fn, key in (
        (box_accuracy.box_accuracy_curve, "largest"),
        (box_accuracy.max_box_accuracy_v2, "every"),
    ):
        curve = fn(native, truth, valid, frame, preset="wsol")
        same = np.isclose(curve, GOLDEN[f"{name}.{key}"], rtol=1e-6)
        assert same.mean() > 0.98  # A pixel may round to another byte in float32.
        assert abs(curve.max() - GOLDEN[f"{name}.{key}"].max()) < 1e-2


def published_map():
    """The centre baseline: ranks of a Gaussian, ties averaged."""
    at = np.arange(-112, 112)
    gaussian = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 112**2))
    ranks = stats.rankdata(gaussian).reshape(gaussian.shape)
    scaled = (ranks - ranks.min()) / (ranks.max() - ranks.min())
    return jnp.asarray(scaled, jnp.float32)


def birds(shared_dir, rule):
    entries = wsol.read_metadata(shared_dir / "data/cub_boxes", prefix="CUB_")
    boxes = [wsol.scale_boxes(e.boxes, e.size, (224, 224), rule=rule) for e in entries]
    return jnp.asarray(np.stack(boxes), jnp.float32)


def read(curves, every):
    by_sigma = [box_accuracy.best_accuracy(curves, sigma=x) for x in (0.5, 0.3, 0.7)]
    figures = np.concatenate([*by_sigma, box_accuracy.best_accuracy_v2(every)])
    return np.round(100 * figures, 2).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "rule", "figures"),
    [
        pytest.param("wsol", "truncate", [59.72, 93.86, 17.33, 56.97], id="published"),
        pytest.param("paper", "exact", [59.13, 93.56, 16.76, 56.48], id="correct"),
    ],
)
def test_the_centre_baseline_on_birds(shared_dir, preset, rule, figures):
    """One map for all images, so that it is analysed only once."""
    saliency, boxes = published_map(), birds(shared_dir, rule)
    valid = jnp.ones(boxes.shape[:2], bool)

    def both(boxes, valid):
        options = {"preset": preset}
        curve = box_accuracy.max_box_accuracy(saliency, boxes, valid, **options)
        return curve, box_accuracy.best_box_iou(saliency, boxes, valid, **options)

    curves, best = jax.vmap(both)(boxes, valid)
    # The map has one component and no hole at any threshold: all boxes are the
    # largest one. That this holds is checked on a few images.
    few = slice(0, 3)
    every = jax.vmap(
        lambda b, v: box_accuracy.max_box_accuracy_v2(saliency, b, v, preset=preset)
    )(boxes[few], valid[few])
    np.testing.assert_array_equal(every, curves[few])
    assert read(np.asarray(curves), np.asarray(curves)) == figures
    assert (best >= curves.max(axis=1)).all()


def test_iou_of_the_published_tools_own_test():
    """(1, 2, 5, 6) and (3, 1, 4, 5), both corners included: 8 / 27."""
    map_ = np.zeros((12, 12), np.float32)
    map_[2:6, 1:5] = 1.0  # The tool's box of it is rows 2 to 6, columns 1 to 5.
    truth = jnp.array([[1.0, 3.0, 5.0, 4.0]])
    curve = box_accuracy.box_accuracy_curve(
        jnp.asarray(map_), truth, jnp.array([True]), thresholds=2, preset="wsol"
    )
    np.testing.assert_allclose(curve, 8 / 27, rtol=1e-6)


@pytest.mark.parametrize(
    ("map_", "boxes"),
    [
        (
            [[0, 0, 0, 0, 0], [0, 4, 4, 4, 6], [0, 4, 10, 8, 6], [0, 4, 4, 4, 6]],
            [[1, 1, 4, 3], [1, 1, 4, 3], [2, 1, 4, 3], [2, 2, 4, 3], [2, 2, 3, 3]],
        ),
        (
            [[4, 0, 2, 2, 2], [4, 4, 0, 4, 0], [0, 0, 0, 4, 0], [10, 6, 8, 2, 2]],
            [[0, 0, 4, 3], [0, 0, 2, 2], [0, 3, 3, 3], [2, 3, 3, 3], [0, 3, 1, 3]],
        ),
    ],
    ids=["one maximum", "several"],
)
def test_boxes_of_the_published_tools_own_test(map_, boxes):
    """Boxes `x0, y0, x1, y1`, corners included, whose IoU with themselves is 1."""
    map_ = jnp.asarray(np.array(map_) / 10, jnp.float32)
    truth = jnp.asarray(boxes, jnp.float32)[:, jnp.array([1, 0, 3, 2])]
    curves = jax.vmap(
        lambda box: box_accuracy.box_accuracy_curve(
            map_, box[None], jnp.array([True]), thresholds=5, preset="wsol"
        )
    )(truth)
    np.testing.assert_array_equal(np.diag(curves), 1)


def test_one_threshold_for_the_data_set_not_one_per_image():
    curves = np.array([[0.9, 0.1, 0.6], [0.2, 0.8, 0.6]], np.float32)
    assert box_accuracy.best_accuracy(curves, sigma=0.7) == 1 / 2
    assert box_accuracy.best_accuracy(curves) == 1
    assert box_accuracy.best_threshold(curves) == 2 / 3
    assert box_accuracy.best_threshold(curves, sigma=0.7) == 0  # The lowest of equals.
    assert box_accuracy.best_accuracy_v2(curves) == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert box_accuracy.accuracy_area(curves) == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)


def test_a_hit_is_decided_in_float32():
    """The IoU 7/10 is a hit at .7, although float32(.7) is less than .7."""
    curves = np.full((1, 1), 7 / 10, np.float32)
    assert float(curves[0, 0]) < 0.7
    assert box_accuracy.best_accuracy(curves, sigma=0.7) == 1


def test_undefined_rows_and_weights():
    rng = np.random.default_rng(0)
    curves = rng.random((50, 7)).astype(np.float32)
    with_nan = np.insert(curves, 3, np.nan, axis=0)
    assert box_accuracy.best_accuracy(with_nan) == box_accuracy.best_accuracy(curves)

    times = rng.integers(0, 3, (4, 50))
    drawn = [np.repeat(curves, t, axis=0) for t in times]
    expected = [box_accuracy.best_accuracy(d)[0] for d in drawn]
    np.testing.assert_allclose(box_accuracy.best_accuracy(curves, times), expected)
    expected = [box_accuracy.best_threshold(d)[0] for d in drawn]
    np.testing.assert_allclose(box_accuracy.best_threshold(curves, times), expected)

    nobody = np.zeros((1, 50))
    assert np.isnan(box_accuracy.best_accuracy(curves, nobody)).all()
    assert np.isnan(box_accuracy.best_threshold(curves, nobody)).all()


def test_many_images_are_summed_in_blocks():
    curves = np.random.default_rng(0).random((9001, 3)).astype(np.float32)
    shares = (curves >= 0.5).mean(axis=0)
    np.testing.assert_allclose(box_accuracy.accuracy_curve(curves)[0], shares)


def test_refusals():
    s, box, valid = jnp.ones((3, 3)), jnp.zeros((1, 4)), jnp.ones(1, bool)
    with pytest.raises(ValueError, match="has no connectivity=4"):
        box_accuracy.box_accuracy_curve(s, box, valid, preset="wsol", connectivity=4)
    with pytest.raises(ValueError, match="preset='phang' is not known"):
        box_accuracy.box_accuracy_curve(s, box, valid, preset="phang")
    with pytest.raises(ValueError, match="pad the boxes and mark the padding"):
        box_accuracy.max_box_accuracy_v2(s, box[0], valid)
    with pytest.raises(TypeError, match="box_valid must be boolean"):
        box_accuracy.best_box_iou(s, box, jnp.ones(1))
    with pytest.raises(ValueError, match="stack the vectors of the images"):
        box_accuracy.best_accuracy(np.ones(3))
    with pytest.raises(ValueError, match=r"weights must have shape \(R, 2\)"):
        box_accuracy.best_accuracy(np.ones((2, 3)), np.ones(2))


@pytest.mark.slow
def test_one_tree_serves_every_metric_of_a_program():
    """Side by side in one program, as alone with a tree of their own."""
    given = fields_module.fields(3)
    shared = {name: given[name][None] for name in plan.SHARED_FIELDS}
    raw = given["raw_saliency"][None, None]
    names = (
        "box_accuracy_curve",
        "max_box_accuracy_v2",
        "best_box_iou",
        "max_mask_accuracy",
        "best_mask_iou",
    )
    columns = plan.resolve_all(f"{name}[thresholds=9]" for name in names)
    assert len({column.inputs[-1] for column in columns}) == 1
    values = plan.score_program(columns)(shared, raw)
    for column in columns:
        inputs = (given[name] for name in column.spec.inputs if name in given)
        where = {} if column.where is None else {"where": given[column.where.name]}
        alone = column.spec.fn(*inputs, **dict(column.options), **where)
        np.testing.assert_allclose(values[column.label][0, 0], alone, rtol=1e-6)
