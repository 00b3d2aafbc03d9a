"""The components of a map at every threshold at once."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam import _batching, _checks
from jaxcam._types import Array, Connectivity
from jaxcam.ops import component_tree_basins as basins
from jaxcam.ops import component_tree_cells as cells
from jaxcam.ops import component_tree_levels as levels_of_map
from jaxcam.ops import component_tree_merge as merging
from jaxcam.ops import component_tree_sparse as sparse
from jaxcam.ops import packed

# A table of basins x levels larger than this is not made.
_LARGEST_TABLE = 1 << 20

# Of a map so small that this many cells hold any, one table serves all.
_CELLS_OF_A_SMALL_MAP = 1 << 17


def _cells_per_level(basins: int) -> int:
    """Room for components at each level; on maps and noise a tenth of the basins."""
    return min(basins, 16 + basins // 10)


class ComponentTree(NamedTuple):
    """The largest component of `{saliency >= t}` for each of T thresholds.

    What `component_tree` returns; its docstring has an example.

    Attributes:
      area: int32[T], its pixels; 0 if no pixel reaches the threshold.
      box: int32[T, 4], its tight box `[y0, x0, y1, x1]`, half-open; zeros if none.
      overlap: int32[T, N], its pixels inside each truth mask.
      best_box_iou: float32[T, N], for each truth box the best IoU that the tight box
        of any component, not only of the largest, has with it; 0 if none.
    """

    area: Array
    box: Array
    overlap: Array
    best_box_iou: Array


@functools.partial(jax.jit, static_argnames=("connectivity", "strict"))
def component_tree(
    saliency: Array,
    thresholds: Array,
    *,
    connectivity: Connectivity = 8,
    strict: bool = False,
    truth_masks: Array | None = None,
    truth_boxes: Array | None = None,
    where: Array | None = None,
) -> ComponentTree:
    """The largest component of a map above each threshold, for all thresholds at once.

    Equal to labelling `{saliency >= t}` anew for every t, exactly, ties included. The
    cost hardly depends on the number of thresholds: the map is cut into the basins of
    its local maxima, which join at its saddles, and the components at every threshold
    are read off the tree of these joins.

    Of components that are equally large, the one whose first pixel comes first in
    raster order. Pixels that are NaN reach no threshold; a threshold that is NaN is
    reached by none. Like all of XLA on CPU, subnormal numbers count as 0.

    One image. Batch with `jax.vmap`; share the thresholds by `in_axes=(0, None)`.

    Args:
      saliency: float[H, W], any range.
      thresholds: float[T], in any order, repeated or not.
      connectivity: 8 if pixels that share a corner touch, 4 if they must share a side.
      strict: Compare by `saliency > t` instead of `>=`.
      truth_masks: bool[N, H, W]; `None` for none.
      truth_boxes: int or float[N, 4], `[y0, x0, y1, x1]`, half-open; `None` for none.
      where: bool[H, W], true on pixels that count; the others reach no threshold.

    Returns:
      A `ComponentTree`, in the order of `thresholds`; never NaN.

    Raises:
      TypeError: A map or the thresholds are not floating point, or a mask is not
        boolean.
      ValueError: A shape does not fit, there is no threshold, or `connectivity` is
        neither 4 nor 8.

    Cost: O(HW) comparisons, a table look-up and a scatter per pixel, and work that
    grows with the numbers of maxima and saddles of the map.

    Source: the tree of the components of level sets is that of P. Salembier, A.
    Oliveras and L. Garrido, "Antiextensive connected operators for image and sequence
    processing", IEEE Transactions on Image Processing 7, 1998; the algorithm is ours.

    >>> s = jnp.array([[3., 1., 2.], [1., 0., 2.], [0., 0., 2.]])
    >>> tree = component_tree(s, jnp.array([1., 2., 3., 4.]))
    >>> print(tree.area)
    [6 3 1 0]
    >>> print(tree.box)
    [[0 0 3 3]
     [0 2 3 3]
     [0 0 1 1]
     [0 0 0 0]]
    """
    saliency = jax.lax.stop_gradient(_checks.saliency_map(saliency))
    _checks.choice("connectivity", connectivity, (4, 8))
    packed.padded_height(saliency.shape)
    where = _checks.valid_pixels(where, saliency)
    thresholds = _thresholds(thresholds)
    masks = _truth_masks(truth_masks, saliency)
    boxes = _truth_boxes(truth_boxes)
    if saliency.size == 0:
        sizes = thresholds.shape[0] - 1, masks.shape[0], boxes.shape[0]
        return ComponentTree(*cells.nothing(*sizes))

    levels, level = levels_of_map.prepare(jax.lax.stop_gradient(thresholds))
    kernel = _batched(connectivity, strict)
    return ComponentTree(*kernel(saliency, where, masks, boxes, level, *levels))


@functools.cache
def _batched(connectivity: Connectivity, strict: bool):
    """The kernel for one or many maps; it answers in the thresholds' own order."""

    def one_map(saliency, where, masks, boxes, level, *table):
        levels = level.shape[0]
        table = levels_of_map.Levels(*table)
        reached = levels_of_map.level_of(saliency, table, strict=strict)
        reached = jnp.where(where, reached, 0)
        ground = basins.terrain(saliency, reached, connectivity)
        sizes, worst = _capacities(saliency.shape, levels)
        counts = (ground.starts, ground.roots, ground.saddles, ground.sides)

        # By tables, for maps that fit one of `sizes`; by sorting, for the others.
        best, missed = _batching.with_capacity(
            jnp.stack([marks.count for marks in counts]),
            tuple(dict.fromkeys((*sizes, worst))),
            functools.partial(_by_tables, connectivity, levels, sizes),
            ground,
            masks,
            boxes,
        )
        if sizes == (worst,):
            return tuple(x[level] for x in best)
        best = _batching.with_capacity(
            missed,
            (0, 1),
            functools.partial(_by_sorting, connectivity, levels, worst),
            best,
            ground,
            masks,
            boxes,
        )
        return tuple(x[level] for x in best)

    return _batching.looped_on_cpu(one_map)


def _capacities(
    shape: tuple[int, int], levels: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Numbers of segments, basins, saddles and sides to make tables for, and the most.

    For a small map the most are the only ones: its table holds whatever it is like.

    The most: segments and basins have peaks, and of two neighbours in a column only one
    is a peak; any pixel might be a saddle or a side.
    """
    height, width = shape
    worst = (-(-height // 2) * width,) * 2 + (height * width,) * 2
    if worst[1] * levels <= _CELLS_OF_A_SMALL_MAP:
        return (worst,), worst
    smooth = (6 * width, 64, 128, 6 * height)
    rough = (20 * width, 512, 1024, 16 * height)
    sizes = tuple(
        tuple(min(size, most) for size, most in zip(sizes, worst, strict=True))
        for sizes in (smooth, rough)
        if sizes[1] * (levels + 1) <= _LARGEST_TABLE
    )
    return sizes, worst


def _by_tables(connectivity, levels, known, sizes, ground, masks, boxes):
    """The best components of a map that fits `sizes`, and 1 if it does not fit.

    Whether the cells fit is known only when the basins have been merged.
    """
    if sizes not in known:
        nothing = cells.nothing(levels, masks.shape[0], boxes.shape[0])
        return nothing, jnp.int32(1)
    graph = basins.graph(ground, sizes[:3], connectivity)
    tree = merging.merge(graph)
    places = cells.layout(tree)
    per_level = sizes[1] if known == (sizes,) else _cells_per_level(sizes[1])
    capacity = cells.capacity_for(per_level * levels)
    table, node = cells.cell_table(graph, tree, places, levels, capacity)
    own = cells.own_contents(ground, graph, table, masks, capacity, sizes[3])
    held, level = cells.accumulate(tree, places, node, own)
    best = cells.best(held, level, levels, ground.level.shape[1], boxes)
    return best, (places.total > capacity).astype(jnp.int32)


def _by_sorting(connectivity, levels, worst, missed, best, ground, masks, boxes):
    """`best`, or the best components of any map if `missed`."""
    if not missed:
        return best
    graph = basins.graph(ground, worst[:3], connectivity)
    tree = merging.merge(graph)
    return sparse.best(ground, graph, tree, levels, masks, boxes)


def _thresholds(thresholds: Array) -> Array:
    thresholds = jnp.asarray(thresholds)
    if not jnp.issubdtype(thresholds.dtype, jnp.floating):
        raise TypeError(
            f"thresholds must be floating point but are {thresholds.dtype}; convert "
            "them with thresholds.astype(jnp.float32)."
        )
    if thresholds.ndim != 1 or thresholds.size == 0:
        raise ValueError(
            f"thresholds must have shape (T,) with T >= 1 but have shape "
            f"{thresholds.shape}; use jnp.linspace(0, 1, 256)[1:] for 255 levels."
        )
    return thresholds.astype(jnp.float32)


def _truth_masks(masks: Array | None, saliency: Array) -> Array:
    if masks is None:
        return jnp.zeros((0, *saliency.shape), jnp.bool_)
    masks = jnp.asarray(masks)
    if masks.dtype != jnp.bool_:
        raise TypeError(
            f"truth_masks must be boolean but are {masks.dtype}; say which values are "
            "the object, for example masks > 0.5."
        )
    if masks.ndim != 3 or masks.shape[1:] != saliency.shape:
        raise ValueError(
            f"truth_masks must have shape (N, {saliency.shape[0]}, "
            f"{saliency.shape[1]}) but have shape {masks.shape}; give a single mask "
            "as mask[None]."
        )
    return masks


def _truth_boxes(boxes: Array | None) -> Array:
    if boxes is None:
        return jnp.zeros((0, 4), jnp.float32)
    boxes = jnp.asarray(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"truth_boxes must have shape (N, 4) but have shape {boxes.shape}; give a "
            "single box as box[None]."
        )
    return boxes.astype(jnp.float32)
