"""The values of one image's maps in every universe of maps and truth: one program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxcam import _batching, metrics, ops
from jaxcam._types import Array
from jaxcam.multiverse import universes

MANY_PEAKS = 1000
"""Local maxima, plateaus pixel by pixel, beyond which a map's few thresholds are
labelled one by one: on noise the tree of all components costs several times more."""

RESIZINGS, RULES = (
    tuple(universes.RESIZING.values),
    tuple(universes.NORMALIZATION.values),
)

# Below it XLA on CPU knows no number, so "above zero" is "at least this".
_SMALLEST = float(jnp.finfo(jnp.float32).tiny)


class Truth(NamedTuple):
    """What is known of the object of one image.

    Attributes:
      mask: bool[H, W], the object without its unsure border.
      where: bool[H, W], false on the unsure border.
      boxes: float32[N, 4], half-open.
      box_valid: bool[N].
      frame: bool[H, W], the pixels of the image.
      extent: int32[2], rows and columns that are image.
    """

    mask: Array
    where: Array
    boxes: Array
    box_valid: Array
    frame: Array
    extent: Array


class Values(NamedTuple):
    """float32[U] a map, in the order of the questions of `universes.map_questions`."""

    region: Array
    energy: Array
    pointing: Array


@functools.partial(jax.jit, static_argnames="whole")
def place(natives: Array, truth: Truth, *, whole: bool) -> Array:
    """Maps float32[M, B, h, w] on the truth's grid in every way: [M, B, R, H, W].

    Args:
      natives: Maps of methods with one layer's grid.
      truth: Of the batch.
      whole: The image fills the truth's grid in every row.
    """
    shape = truth.frame.shape[1:]

    def one(native: Array, extent: Array) -> Array:
        if whole:
            ways = [ops.resize(native, shape, method=m) for m in RESIZINGS]
        else:
            ways = [ops.place(native, extent, shape, method=m) for m in RESIZINGS]
        return jnp.stack(ways)

    return jax.vmap(jax.vmap(one), in_axes=(0, None))(natives, truth.extent)


@jax.jit
def values(placed: Array, truth: Truth) -> Values:
    """The values of every map in every universe, float32[M, B, U].

    Args:
      placed: As `place` gives them.
      truth: Of the batch.
    """
    by_image = jnp.moveaxis(placed, 0, 1)
    if jax.default_backend() == "cpu":
        found = jax.lax.map(lambda both: _of_image(*both), (by_image, truth))
    else:
        found = jax.vmap(_of_image)(by_image, truth)
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), found)


def _of_image(placed: Array, truth: Truth) -> Values:
    """Values of the maps float32[M, R, H, W] of one image: [M, U]."""
    truth = truth._replace(where=truth.where & truth.frame)
    counted = _counted_regions(truth)
    units = jnp.stack([_normalized(placed, rule, truth.frame) for rule in RULES], 2)
    every_unit = units.reshape(-1, *units.shape[-2:])  # One program for all of them.
    region = _batching.looped_on_cpu(_region_values)
    found = jax.vmap(region, in_axes=(0, *[None] * 4))(
        every_unit, *counted, truth.frame
    )
    sought = counted.sought(truth)
    energies = _each(metrics.energy_pointing_game, every_unit, sought)
    rectified = units[:, :, RULES.index("max")]
    pointing = [
        _each(
            functools.partial(_pointing, tolerance=int(tolerance), ties=ties),
            rectified.reshape(-1, *rectified.shape[-2:]),
            sought,
        ).reshape(*rectified.shape[:2], -1)
        for tolerance in universes.TOLERANCE.values
        for ties in universes.TIES.values
    ]
    nan = jnp.any(jnp.isnan(placed), axis=(1, 2, 3))

    def by_map(x: Array) -> Array:
        """[M, U] in the order of the universes."""
        return jnp.where(nan[:, None], jnp.nan, x.reshape(len(placed), -1))

    return Values(by_map(found), by_map(energies), by_map(jnp.stack(pointing, axis=2)))


def _normalized(placed: Array, rule: str, frame: Array) -> Array:
    """float32[M, R, H, W], as `placed`."""
    one = functools.partial(ops.normalize, rule=rule, where=frame)
    return jax.vmap(jax.vmap(one))(placed)


def _each(metric: Callable[..., Array], maps: Array, sought: Any) -> Array:
    """[M, R]: a metric of every map and every truth."""
    by_truth = [
        jax.vmap(lambda m, r=region, w=where: metric(m, r, where=w))(maps)
        for region, where in sought
    ]
    return jnp.stack(by_truth, axis=1)


def _pointing(
    saliency: Array, region: Array, *, where: Array, tolerance: int, ties: str
) -> Array:
    """The pointing game, by what becomes of maxima that are tied."""
    if ties == "first":
        shown = jnp.where(where, saliency, -jnp.inf)
        first = jnp.argmax(shown.ravel()) == jnp.arange(saliency.size)
        saliency = first.reshape(saliency.shape).astype(saliency.dtype)
    share = metrics.pointing_game(saliency, region, where=where, tolerance=tolerance)
    return jnp.ceil(share) if ties == "any" else share


class _Counted(NamedTuple):
    """Regions in which pixels of a predicted region are counted.

    Attributes:
      masks: bool[3 + N, H, W]: the object, all that counts when the border does not,
        object and border, and the rasters of the boxes.
      sums: int32[3 + N, H + 1, W + 1], the sums of their pixels above and to the left.
      box_valid: bool[N].
    """

    masks: Array
    sums: Array
    box_valid: Array

    def sought(self, truth: Truth) -> list[tuple[Array, Array]]:
        """Region and pixels that count, as in `universes.TRUTHS`."""
        inside, ignored, border_too = self.masks[:3]
        return [
            (inside, ignored),
            (border_too, truth.frame),
            (inside, truth.frame),
            (jnp.any(self.masks[3:], axis=0), truth.frame),
        ]


def _counted_regions(truth: Truth) -> _Counted:
    def raster(box: Array, valid: Array) -> Array:
        return ops.box_mask(box, truth.frame.shape) & truth.frame & valid

    inside = truth.mask & truth.where
    border_too = (truth.mask | ~truth.where) & truth.frame
    rasters = jax.vmap(raster)(truth.boxes, truth.box_valid)
    masks = jnp.concatenate([jnp.stack([inside, truth.where, border_too]), rasters])
    sums = jnp.cumsum(jnp.cumsum(masks.astype(jnp.int32), axis=1), axis=2)
    return _Counted(masks, jnp.pad(sums, ((0, 0), (1, 0), (1, 0))), truth.box_valid)


def _region_values(
    unit: Array, masks: Array, sums: Array, box_valid: Array, frame: Array
) -> Array:
    """float32[rules, comparisons, components, truths, metrics], flat, of one map."""
    counted = _Counted(masks, sums, box_valid)
    limits = jnp.stack(
        [
            ops.threshold(unit, rule=rule, fraction=fraction, where=frame)
            for rule, fraction in universes.RULES.values()
        ]
    )
    above = jnp.nextafter(limits, jnp.inf)
    above = jnp.where(jnp.abs(limits) < _SMALLEST, _SMALLEST, above)
    thresholds = jnp.stack([limits, above], axis=1).ravel()
    found = []
    for component, connectivity in universes.COMPONENTS:
        if component == "all":
            found.append(_every_pixel(unit, thresholds, counted, frame))
            continue
        found.append(_largest(unit, thresholds, counted.masks, frame, connectivity))
    area, box, overlap = (jnp.stack(x, axis=1) for x in zip(*found, strict=True))
    return _scores(area, box, overlap, counted).ravel()


def _largest(
    unit: Array, thresholds: Array, masks: Array, frame: Array, connectivity: str
) -> tuple[Array, Array, Array]:
    """Area, box and overlaps of the largest component at each threshold."""
    touching = int(connectivity)
    around = jax.lax.reduce_window(unit, -jnp.inf, jax.lax.max, (3, 3), (1, 1), "SAME")
    peaks = jnp.sum((unit >= around) & (unit >= jnp.min(thresholds)), dtype=jnp.int32)
    return jax.lax.cond(
        peaks > MANY_PEAKS,
        functools.partial(by_labels, connectivity=touching),
        functools.partial(by_tree, connectivity=touching),
        unit,
        thresholds,
        masks,
        frame,
    )


def by_tree(
    unit: Array, thresholds: Array, masks: Array, frame: Array, *, connectivity: int
) -> tuple[Array, Array, Array]:
    """Every threshold's largest component from the tree of them all."""
    tree = ops.component_tree(
        unit, thresholds, connectivity=connectivity, truth_masks=masks, where=frame
    )
    return tree.area, tree.box, tree.overlap


def by_labels(
    unit: Array, thresholds: Array, masks: Array, frame: Array, *, connectivity: int
) -> tuple[Array, Array, Array]:
    """The same, threshold by threshold."""

    def at(threshold: Array) -> tuple[Array, Array, Array]:
        reached = (unit >= threshold) & frame
        region = ops.largest_component(reached, connectivity=connectivity)
        overlap = jnp.sum(masks & region, axis=(1, 2), dtype=jnp.int32)
        area = jnp.sum(region, dtype=jnp.int32)
        return area, ops.bounding_box(region), overlap

    return jax.lax.map(at, thresholds)


def _every_pixel(
    unit: Array, thresholds: Array, counted: _Counted, frame: Array
) -> tuple[Array, Array, Array]:
    """Area, box and overlaps of all pixels at each threshold."""
    shown = jnp.where(frame, unit, -jnp.inf)
    reached = shown[None] >= thresholds[:, None, None]
    area = jnp.sum(reached, axis=(1, 2), dtype=jnp.int32)
    flat = reached.reshape(len(thresholds), -1).astype(jnp.float32)
    masks = counted.masks.reshape(len(counted.masks), -1).astype(jnp.float32)
    overlap = jnp.matmul(flat, masks.T, precision="highest").astype(jnp.int32)
    return area, jax.vmap(ops.bounding_box)(reached), overlap


def _scores(area: Array, box: Array, overlap: Array, counted: _Counted) -> Array:
    """float32[..., truths, metrics] from the counts of predicted regions [...]."""
    in_box = _inside(counted.sums, box)
    extents = box[..., 2:] - box[..., :2]
    box_area = extents[..., 0] * extents[..., 1]
    sizes = counted.sums[:, -1, -1]
    inside, ignored, border_too = (overlap[..., i] for i in range(3))
    best = _best_box(in_box[..., 3:], box_area, sizes[3:], counted.box_valid)

    def of_best(x: Array) -> Array:
        return jnp.take_along_axis(x, best[..., None], axis=-1)[..., 0]

    pairs = [
        (inside, ignored, sizes[0]),
        (border_too, area, sizes[2]),
        (inside, area, sizes[0]),
        (of_best(in_box[..., 3:]), box_area, sizes[3:][best]),
    ]
    by_truth = []
    for both, predicted, truth in pairs:
        both, predicted, truth = jnp.broadcast_arrays(
            *(x.astype(jnp.float32) for x in (both, predicted, truth))
        )
        # A prediction is not wrong about an object that is not known.
        truth = jnp.where(truth > 0, truth, jnp.nan)
        iou = both / (predicted + truth - both)
        dice = 2.0 * both / (predicted + truth)
        named = {
            ("intersection_over_union", universes.MOOT): iou,
            ("dice", universes.MOOT): dice,
        }
        for overlap in universes.OVERLAP.values:
            hit = (iou >= float(overlap)).astype(jnp.float32)
            named["localization_hit", overlap] = jnp.where(jnp.isnan(iou), iou, hit)
        by_truth.append(
            jnp.stack([named[score] for score in universes.REGION_SCORES], axis=-1)
        )
    return jnp.stack(by_truth, axis=-2)


def _best_box(both: Array, area: Array, sizes: Array, valid: Array) -> Array:
    """int32[...]: the truth box whose raster the predicted box overlaps best."""
    either = area[..., None] + sizes - both
    iou = both.astype(jnp.float32) / jnp.maximum(either, 1).astype(jnp.float32)
    return jnp.argmax(jnp.where(valid, iou, -1.0), axis=-1)


def _inside(sums: Array, box: Array) -> Array:
    """int32[..., R]: pixels of each region within boxes [..., 4]."""
    top, left, bottom, right = (box[..., i] for i in range(4))
    sums = jnp.moveaxis(sums, 0, -1)
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
