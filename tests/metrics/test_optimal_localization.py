import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxcam.metrics import optimal_localization as olrp

THRESHOLDS = 6


def iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = np.prod(np.maximum(high - low, 0))
    areas = [np.prod(np.subtract(x[2:], x[:2])) for x in (a, b)]
    return common / (sum(areas) - common)


def reference(s, truths, correct, tau):
    """The definition, read literally: detections in the order of their scores."""
    rows = []
    for t in np.float32(np.arange(THRESHOLDS) / THRESHOLDS):
        labels, _ = ndimage.label(s / s.max() >= t, np.ones((3, 3)))
        detections = [
            (s[labels == i + 1].max(), [y.start, x.start, y.stop, x.stop])
            for i, (y, x) in enumerate(ndimage.find_objects(labels))
        ]
        detections.sort(key=lambda d: -d[0])  # Stable: raster order among equals.
        free, missed, hits = list(range(len(truths))), 0.0, 0
        for _, box in detections if correct else []:
            fits = [(iou(box, truths[j]), -j) for j in free]
            best, j = max(fits, default=(0, 0))
            if best >= tau:
                free.remove(-j)
                missed += (1 - best) / (1 - tau)
                hits += 1
        rows.append([missed, hits, len(detections) - hits, len(truths) - hits])
    return np.array(rows)


@pytest.mark.parametrize("tau", [0.5, 0.1])
@pytest.mark.parametrize("correct", [True, False])
def test_agrees_with_the_definition(correct, tau):
    rng = np.random.default_rng(0)
    boxes = np.array([[0, 0, 4, 4], [1, 5, 7, 9], [0, 0, 5, 5], [0, 0, 9, 9]])
    valid = np.array([True, True, True, False])
    matched = 0
    for _ in range(10):
        s = ndimage.gaussian_filter(rng.random((8, 9)), 1).astype(np.float32)
        s = np.maximum(s - s.mean(), 0)
        vector = olrp.optimal_localization_recall_precision_error(
            jnp.asarray(s),
            jnp.asarray(boxes, jnp.float32),
            jnp.asarray(valid),
            jnp.array(3),
            jnp.array(correct),
            thresholds=THRESHOLDS,
            tau=tau,
        )
        assert vector[0] == 3
        expected = reference(s, boxes[valid], correct, tau)
        actual = np.asarray(vector[1:]).reshape(THRESHOLDS, 4)
        np.testing.assert_allclose(actual, expected, rtol=1e-5)
        matched += actual[:, 1].sum()
    assert (matched > 10) == correct


@pytest.mark.parametrize("correct", [True, False])
def test_a_rules_region_is_judged_as_at_its_threshold(correct):
    rng = np.random.default_rng(1)
    boxes = np.array([[0, 0, 4, 4], [1, 5, 7, 9], [0, 0, 9, 9]])
    valid = np.array([True, True, False])
    for _ in range(4):
        s = ndimage.gaussian_filter(rng.random((8, 9)), 1).astype(np.float32)
        s = np.maximum(s - s.mean(), 0) / (s.max() - s.mean())
        expected = reference(s, boxes[valid], correct, 0.1)
        for k in (1, 3):
            vector = olrp.localization_recall_precision_error(
                jnp.asarray(s / s.max() >= np.float32(k / THRESHOLDS)),
                jnp.asarray(s),
                jnp.asarray(boxes, jnp.float32),
                jnp.asarray(valid),
                jnp.array(3),
                jnp.array(correct),
                tau=0.1,
            )
            np.testing.assert_allclose(vector, [3, *expected[k]], rtol=1e-5)


def test_one_region_worked_by_hand(per_image):
    """The square, IoU 4 / 6, and the corner; diagonal neighbours may be apart."""
    s = jnp.array([[1.0, 1.0, 0.0, 0.5], [1.0, 1.0, 0.5, 0.0]])
    truth = jnp.array([[0.0, 0.0, 2.0, 3.0]])

    def call(s, boxes, valid, target, correct, connectivity):
        return olrp.localization_recall_precision_error(
            s > 0.2, s, boxes, valid, target, correct, connectivity=connectivity
        )

    rest = jnp.array([True]), jnp.array(2), jnp.array(True)
    one = per_image(lambda *a: call(*a, 8), s, truth, *rest)
    np.testing.assert_allclose(one, [2, (1 - 6 / 8) / 0.5, 1, 0, 0], rtol=1e-5)
    two = per_image(lambda *a: call(*a, 4), s, truth, *rest)
    np.testing.assert_allclose(two, [2, 0, 1, 1, 0], atol=1e-6)
    values = np.stack([np.asarray(one), np.asarray(two)])
    expected = (0.5 + 0 + 1) / (1 + 1 + 1)
    np.testing.assert_allclose(olrp.pooled_optimal_error(values), expected)


def test_values_worked_by_hand(per_image):
    s = jnp.array([[1.0, 1.0, 0.0, 0.5], [1.0, 1.0, 0.0, 0.0]])
    truth = jnp.array([[0.0, 0.0, 2.0, 3.0]])
    vector = per_image(
        lambda *a: olrp.optimal_localization_recall_precision_error(*a, thresholds=2),
        s,
        truth,
        jnp.array([True]),
        jnp.array(0),
        jnp.array(True),
    )
    # At 0 the frame, IoU 6 / 8; at 1/2 the square, IoU 4 / 6, and the corner.
    expected = [0, (1 - 6 / 8) / 0.5, 1, 0, 0, (1 - 4 / 6) / 0.5, 1, 1, 0]
    np.testing.assert_allclose(vector, expected, rtol=1e-5)


def test_pooled_per_class_with_one_threshold():
    first = [0, 0.2, 1, 0, 0, 0.0, 1, 1, 0]  # Class 0: .2 or 1/2 at two thresholds.
    again = [0, 0.4, 1, 0, 1, 0.0, 1, 0, 0]
    other = [1, 0.0, 0, 2, 1, 0.0, 1, 0, 1]  # Class 1: 1 or 1/2.
    values = np.array([first, again, other], float)
    at_first = ((0.2 + 0.4 + 1) / 3 + 1) / 2
    at_second = (1 / 3 + 1 / 2) / 2
    assert at_second < at_first
    assert olrp.pooled_optimal_error(values) == pytest.approx(at_second)
    assert olrp.best_error_threshold(values) == 1 / 2

    draws = np.array([[1, 0, 0], [0, 0, 3], [0, 0, 0]])
    np.testing.assert_allclose(
        olrp.pooled_optimal_error(values, draws), [0.2, 1 / 2, np.nan]
    )
    np.testing.assert_allclose(
        olrp.best_error_threshold(values, draws), [0, 1 / 2, np.nan]
    )
    with_nan = np.vstack([values, np.full((1, 9), np.nan)])
    np.testing.assert_allclose(
        olrp.pooled_optimal_error(with_nan), olrp.pooled_optimal_error(values)
    )


def test_undefined():
    s, box = jnp.ones((3, 3)), jnp.array([[0.0, 0.0, 3.0, 3.0]])
    fn = olrp.optimal_localization_recall_precision_error
    arguments = jnp.array(0), jnp.array(True)
    plain = olrp.localization_recall_precision_error
    assert jnp.isnan(plain(s > 0, s, box, jnp.array([False]), *arguments)).all()
    hole = s.at[0, 0].set(jnp.nan)
    assert jnp.isnan(plain(s > 0, hole, box, jnp.array([True]), *arguments)).all()
    where = ~jnp.isnan(hole)
    kept = plain(s > 0, hole, box, jnp.array([True]), *arguments, where=where)
    np.testing.assert_allclose(kept, [0, 0, 1, 0, 0])
    nothing = plain(s > 2, s, box, jnp.array([True]), *arguments)
    np.testing.assert_allclose(nothing, [0, 0, 0, 0, 1])
    assert jnp.isnan(fn(s, box, jnp.array([False]), *arguments)).all()
    one_nan = s.at[0, 0].set(jnp.nan)
    assert jnp.isnan(fn(one_nan, box, jnp.array([True]), *arguments)).all()
