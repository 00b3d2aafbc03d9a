"""Makes `wsol.npz`: what OpenCV and the published tool give for maps with holes.

Run `python tests/golden/make_wsol.py`; the versions are kept in the file. The rules are
written out here from their description; nothing of this package is used.
"""

from pathlib import Path

import cv2
import numpy as np

SIDE = 40
THRESHOLDS = np.arange(0, 1, 0.001)


def contours_of(mask):
    return cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE
    )[0]


def inclusive_box(contour):
    """`[y0, x0, y1, x1]`, both corners part of the box, one pixel too large."""
    x, y, width, height = cv2.boundingRect(contour)
    return [y, x, min(y + height, SIDE - 1), min(x + width, SIDE - 1)]


def iou(a, b):
    """Both corners are part of a box."""
    top, left = max(a[0], b[0]), max(a[1], b[1])
    bottom, right = min(a[2], b[2]), min(a[3], b[3])
    common = max(bottom - top + 1, 0) * max(right - left + 1, 0)
    areas = [(y1 - y0 + 1) * (x1 - x0 + 1) for y0, x0, y1, x1 in (a, b)]
    return common / (sum(areas) - common)


def curves(values, truth):
    """IoU of the largest contour's box, and the best IoU of all, per threshold."""
    largest, every = [], []
    for threshold in THRESHOLDS:
        found = contours_of(values > int(threshold * values.max()))
        boxes = [inclusive_box(contour) for contour in found] or [[0, 0, 0, 0]]
        best = max(found, key=cv2.contourArea) if found else None
        one = inclusive_box(best) if found else [0, 0, 0, 0]
        largest.append(max(iou(one, t) for t in truth))
        every.append(max(iou(box, t) for box in boxes for t in truth))
    return largest, every


def stretched(x):
    return (x - x.min()) / (x - x.min()).max()


def upsampled(native):
    return stretched(cv2.resize(native, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))


def ring_maps():
    """Maps with holes, and with components inside holes."""
    y, x = np.mgrid[:SIDE, :SIDE] - 19.0
    radius = np.hypot(y, x)
    ring = np.exp(-((radius - 12) ** 2) / 12)
    target = ring + 0.8 * np.exp(-(radius**2) / 8)
    # A thin ring has fewer pixels than the blob but the larger polygon.
    blob = np.exp(-((y - 11) ** 2 + (x - 11) ** 2) / 36)
    thin = np.exp(-((np.hypot(y + 9, x + 9) - 8) ** 2))
    broken = ring * (np.abs(np.arctan2(y, x)) > 0.2)
    diagonal = ((y + x) % 4 == 0) * np.exp(-radius / 12)
    return {
        "ring": ring,
        "ring_with_core": target,
        "thin_ring_and_blob": np.maximum(blob, 0.9 * thin),
        "broken_ring": broken,
        "diagonals": diagonal,
    }


def main():
    rng = np.random.default_rng(0)
    natives = {f"native_{i}": rng.random((14, 14)) for i in range(4)}
    natives["native_7"] = rng.random((7, 7))
    truth = np.array([[5, 6, 25, 28], [18, 12, 38, 39]])
    arrays = {"truth_inclusive": truth}
    for name, native in natives.items():
        arrays[f"{name}.map"] = native.astype(np.float32)
    maps = {name: stretched(x) for name, x in ring_maps().items()}
    maps |= {name: upsampled(x) for name, x in natives.items()}
    for name, unit_map in maps.items():
        values = (unit_map * 255).astype(np.uint8)
        largest, every = curves(values, truth)
        arrays[f"{name}.bytes"] = values
        arrays[f"{name}.largest"] = np.array(largest, np.float32)
        arrays[f"{name}.every"] = np.array(every, np.float32)
    versions = f"opencv {cv2.__version__}, numpy {np.__version__}"
    path = Path(__file__).with_name("wsol.npz")
    np.savez_compressed(path, versions=versions, **arrays)


if __name__ == "__main__":
    main()
