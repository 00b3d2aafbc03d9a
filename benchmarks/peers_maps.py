"""The model-free metrics of one image as libraries and scripts compute them.

scikit-learn, scikit-image, SciPy and OpenCV where they have the metric, otherwise the
definition in NumPy as evaluation toolkits write it. Each function stands alone, as when
libraries are called one by one; only the predicted region is found once for all.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from scipy import ndimage, stats
from skimage import measure, morphology
from sklearn import metrics

THRESHOLDS, K, TOLERANCE = 1000, 1000, 15


def predicted_region(s: np.ndarray) -> np.ndarray:
    """The largest component of what reaches the mean."""
    above = (s >= s.mean()).astype(np.uint8)
    _, labels, found, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    return labels == 1 + np.argmax(found[1:, cv2.CC_STAT_AREA])


def box_of(region: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    return [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]


def raster(region: np.ndarray) -> np.ndarray:
    y0, x0, y1, x1 = box_of(region)
    filled = np.zeros_like(region)
    filled[y0:y1, x0:x1] = True
    return filled


def iou(p, m):
    return metrics.jaccard_score(m.ravel(), p.ravel())


def tolerant_pointing(s, m):
    distance = ndimage.distance_transform_edt(~m)
    return np.mean(distance[s == s.max()] < TOLERANCE)


def hits_in_top(s, m, k):
    top = np.argsort(s, axis=None)[::-1][:k]
    return len(np.intersect1d(top, np.flatnonzero(m)))


def soft_f(s, m):
    precision, recall = s[m].sum() / s.sum(), s[m].mean()
    return 2 * precision * recall / (precision + recall)


def gini(s):
    ordered = np.sort(s, axis=None).astype(float)
    n = ordered.size
    return np.sum((2 * np.arange(1, n + 1) - n - 1) * ordered) / (n * ordered.sum())


def box_iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = np.prod(np.maximum(high - low, 0))
    return common / sum(
        (*(np.prod(np.subtract(x[2:], x[:2])) for x in (a, b)), -common)
    )


def components(s, t):
    above = (s >= t).astype(np.uint8)
    _, labels, found, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    boxes = found[1:, [1, 0, 3, 2]]
    boxes[:, 2:] += boxes[:, :2]
    return labels, boxes, found[1:, cv2.CC_STAT_AREA]


def levels(s):
    """Of the normalised map: thresholds as the float32 they are compared in."""
    return s / s.max(), (np.arange(THRESHOLDS) / THRESHOLDS).astype(np.float32)


def box_curve(s, m):
    unit, thresholds = levels(s)
    truth, curve = box_of(m), []
    for t in thresholds:
        _, boxes, areas = components(unit, t)
        curve.append(box_iou(boxes[np.argmax(areas)], truth) if len(areas) else 0.0)
    return np.array(curve)


def best_box_curve(s, m):
    unit, thresholds = levels(s)
    truth = box_of(m)
    found = [components(unit, t)[1] for t in thresholds]
    return np.array([max((box_iou(b, truth) for b in bs), default=0.0) for bs in found])


def mask_curve(s, m):
    unit, thresholds = levels(s)
    curve, area = [], m.sum()
    for t in thresholds:
        labels, _, areas = components(unit, t)
        p = labels == 1 + np.argmax(areas) if len(areas) else np.zeros_like(m)
        both = np.sum(p & m)
        curve.append(both / (p.sum() + area - both))
    return np.array(curve)


def pixel_histograms(s, m):
    unit, _ = levels(s)
    edges = np.append(np.arange(THRESHOLDS + 1) / THRESHOLDS, np.inf)
    edges = edges.astype(np.float32)
    return np.concatenate([np.histogram(unit[x], edges)[0] for x in (m, ~m)])


def betti_error(p, m):
    def numbers(region):
        objects = measure.label(region, connectivity=2).max()
        return objects, objects - measure.euler_number(region, connectivity=2)

    return np.sum(np.abs(np.subtract(numbers(p), numbers(m))))


def cl_dice(p, m):
    ours, theirs = morphology.skeletonize(p), morphology.skeletonize(m)
    precision, recall = m[ours].mean(), p[theirs].mean()
    return 2 * precision * recall / (precision + recall)


ON_REGIONS: dict[str, Callable] = {
    "intersection_over_union": iou,
    "localization_error": lambda p, m: 1 - iou(p, m),
    "localization_hit": lambda p, m: float(iou(p, m) >= 0.5),
    "dice": lambda p, m: metrics.f1_score(m.ravel(), p.ravel()),
    "precision": lambda p, m: metrics.precision_score(m.ravel(), p.ravel()),
    "recall": lambda p, m: metrics.recall_score(m.ravel(), p.ravel()),
    "betti_error": betti_error,
    "cl_dice": cl_dice,
}
ON_MAPS: dict[str, Callable] = {
    "pointing_game": lambda s, m: np.mean(m[s == s.max()]),
    "pointing_game[tolerance=15]": tolerant_pointing,
    "energy_pointing_game": lambda s, m: s[m].sum() / s.sum(),
    "soft_precision": lambda s, m: s[m].sum() / s.sum(),
    "soft_recall": lambda s, m: s[m].mean(),
    "soft_f_score": soft_f,
    "mean_absolute_error": lambda s, m: np.abs(s - m).mean(),
    "relevance_rank_accuracy": lambda s, m: hits_in_top(s, m, m.sum()) / m.sum(),
    "top_k_intersection": lambda s, m: hits_in_top(s, m, K) / min(K, m.sum()),
    "concept_influence": lambda s, m: hits_in_top(s, m, K) / K * m.size / m.sum(),
    "roc_auc": lambda s, m: metrics.roc_auc_score(m.ravel(), s.ravel()),
    "average_precision": (
        lambda s, m: metrics.average_precision_score(m.ravel(), s.ravel())
    ),
    "max_box_accuracy": box_curve,
    "max_box_accuracy_v2": best_box_curve,
    "best_box_iou": lambda s, m: box_curve(s, m).max(),
    "max_mask_accuracy": mask_curve,
    "best_mask_iou": lambda s, m: mask_curve(s, m).max(),
    "pixel_average_precision": pixel_histograms,
}
ALONE: dict[str, Callable] = {
    "entropy_complexity": lambda s: stats.entropy(s.ravel()),
    "effective_size": lambda s: np.exp(stats.entropy(s.ravel())) / s.size,
    "l1_complexity": lambda s: np.abs(s).mean(),
    "gini_sparseness": gini,
}


def peer(
    label: str, s: np.ndarray, m: np.ndarray, p: np.ndarray
) -> Callable[[], object]:
    """The call that stands for a column, its regions prepared."""
    name = label.replace("region=box,", "").replace("[region=box]", "")
    boxed = "region=box" in label
    if name in ALONE:
        return lambda: ALONE[name](s)
    p, m = (raster(p), raster(m)) if boxed else (p, m)
    if name in ON_REGIONS:
        return lambda: ON_REGIONS[name](p, m)
    return lambda: ON_MAPS[name](s, m)
