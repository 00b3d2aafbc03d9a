"""Boxes of contours, as the published tool for localisation benchmarks finds them.

The tool turns a map into bytes, thresholds it and asks OpenCV for all contours of the
result: the outer contour of every 8-connected component, and the contour of every hole,
which runs along the component's pixels around a 4-connected piece of background. A
contour is as large as the polygon through its pixels' centres: holes count as filled,
and a line has no area at all.

Nothing is labelled threshold by threshold. The components of a map at all thresholds
are contiguous segments of one order of its basins; its holes are the components of the
map upside down; and the polygon's area is a sum over blocks of 2 x 2 pixels, once the
holes' basins have told up to which threshold each pixel is filled. Maps with too many
basins for that are labelled at every threshold after all, with equal results.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcam import _batching, _checks
from jaxcam._types import Array, Connectivity, PyTree
from jaxcam.ops import boxes as box_ops
from jaxcam.ops import components

LEVELS = 256
"""Levels of a byte; level n is the mask of the pixels whose byte is above n."""

_CAPACITIES = (128, 1024)
_FORWARD = {4: ((0, 1), (1, 0)), 8: ((0, 1), (1, 0), (1, 1), (1, -1))}


def to_bytes(saliency: Array) -> Array:
    """A map stretched to [0, 255] by its minimum and maximum, with its fractions.

    The tool truncates these values to bytes. A byte is above n where they are at least
    n + 1, so the functions below take them as they are.

    Args:
      saliency: float[H, W], without NaN.

    Returns:
      float32[H, W]; zeros if the map is constant.

    >>> print(to_bytes(jnp.array([[-1.0, 0.0, 1.0]])))
    [[  0.  127.5 255. ]]
    """
    saliency = _checks.saliency_map(saliency)
    low, high = jnp.min(saliency), jnp.max(saliency)
    constant = low == high
    stretched = (saliency - low) / jnp.where(constant, 1.0, high - low)
    return jnp.where(constant, 0.0, stretched * 255.0)


def fill_holes(mask: Array) -> Array:
    """`mask` and its holes: all that no 4-connected path of background leads out of.

    Args:
      mask: bool[H, W].

    Returns:
      bool[H, W].

    >>> ring = jnp.ones((3, 3), bool).at[1, 1].set(False)
    >>> opened = ring.at[0, 1].set(False)
    >>> print(jnp.sum(fill_holes(ring)), jnp.sum(fill_holes(opened)))
    9 7
    """
    return _background_labels(_checks.mask(mask))[1:-1, 1:-1] != 1


def label_boxes(labels: Array) -> tuple[Array, Array]:
    """Boxes of all labels that a map of this size can have.

    Args:
      labels: int32[H, W], 0 for background; see `ops.label_components`.

    Returns:
      Boxes int32[L, 4], half-open `[y0, x0, y1, x1]`, of the labels 1 to L, and zeros
      where there is no such label; bool[L], whether there is.

    Cost: O(HW).

    >>> boxes, exists = label_boxes(jnp.array([[1, 0, 2], [0, 0, 2]]))
    >>> print(boxes[:2].tolist(), jnp.sum(exists))
    [[0, 0, 1, 1], [0, 2, 2, 3]] 2
    """
    most = labels.size // 2 + 1
    corners = jnp.zeros((most + 1, 4), jnp.int32).at[labels].max(_corners(labels.shape))
    return _to_boxes(corners[1:], labels.shape)


@jax.jit
def largest_contour_boxes(values: Array) -> Array:
    """Box of the contour with the largest polygon, at each of the 256 levels.

    Of several polygons of that area (single pixels and lines have none) it is the one
    whose component starts last in raster order, as OpenCV lists them. Where nothing is
    above a level it is the pixel in the corner. Boxes are one pixel too large below
    and to the right, but end with the map, as the tool has them.

    Args:
      values: float[H, W] in [0, 255], without NaN; see `to_bytes`.

    Returns:
      int32[256, 4], half-open `[y0, x0, y1, x1]`.

    Raises:
      TypeError: `values` is not floating point.
      ValueError: `values` is not (H, W).

    Cost: a few passes over the pixels and a table of 256 x basins; up to 512
    labellings for a map of more than 1024 basins.

    >>> values = jnp.zeros((4, 6)).at[1:3, 1:4].set(100.0)
    >>> print(largest_contour_boxes(values)[jnp.array([0, 99, 100])])
    [[1 1 4 5]
     [1 1 4 5]
     [0 0 1 1]]
    """
    values = _checks.saliency_map(values, "values")
    return _as_the_tool_has_it(_largest(values), values.shape)


@jax.jit
def best_contour_iou(values: Array, boxes: Array, box_valid: Array) -> Array:
    """Best IoU of any contour's box with any truth box, at each of the 256 levels.

    All contours take part, those of holes and those inside holes included. Their
    boxes and the truth's are one pixel too large, as the tool has them. Where nothing
    is above a level, the pixel in the corner stands for a contour.

    Args:
      values: float[H, W] in [0, 255], without NaN; see `to_bytes`.
      boxes: float[N, 4], half-open `[y0, x0, y1, x1]`.
      box_valid: bool[N], true where there is a box.

    Returns:
      float32[256], in [0, 1]; 0 if no box is valid.

    Raises:
      TypeError: `values` is not floating point.
      ValueError: `values` is not (H, W).

    Cost: as `largest_contour_boxes`, and 256 x basins x N box IoUs.

    >>> values = jnp.zeros((4, 6)).at[1:3, 1:4].set(100.0)
    >>> truth = jnp.array([[1.0, 1.0, 3.0, 4.0], [0.0, 0.0, 4.0, 6.0]])
    >>> print(best_contour_iou(values, truth, jnp.array([True, True]))[99])
    1.0
    """
    values = _checks.saliency_map(values, "values")
    one_larger = jnp.array([[0.0, 0.0, 1.0, 1.0]])
    truth = jnp.asarray(boxes, jnp.float32) + one_larger
    return _best(values, truth, jnp.asarray(box_valid))


@_batching.looped_on_cpu
def _largest(values: Array) -> Array:
    holes = _upside_down(values)
    nothing = jnp.zeros(values.shape, jnp.int32)
    filled = _by_capacity(_filled, 4, holes, nothing)
    peaks = _upright(jnp.maximum(values, filled.astype(jnp.float32)))
    boxes = _by_capacity(_largest_by_order, 8, peaks, jnp.zeros((LEVELS, 4), jnp.int32))
    return _by_labelling(_largest_by_label, (holes, peaks), boxes, values)


@_batching.looped_on_cpu
def _best(values: Array, truth: Array, valid: Array) -> Array:
    peaks, holes = _upright(values), _upside_down(values)
    none = jnp.zeros(LEVELS)
    iou = jnp.maximum(
        _by_capacity(_best_outer, 8, peaks, none, truth, valid),
        _by_capacity(_best_inner, 4, holes, none, truth, valid),
    )
    iou = _by_labelling(_best_by_label, (holes, peaks), iou, values, truth, valid)
    (corner,) = _best_of(
        jnp.zeros((1, 4), jnp.int32), jnp.array([True]), values.shape, truth, valid
    )
    level = jnp.arange(1.0, LEVELS + 1)
    return jnp.where(jnp.max(values) < level, corner, iou)


def _best_of(
    boxes: Array, exists: Array, shape: tuple[int, int], truth: Array, valid: Array
) -> Array:
    """Best IoU float32[K] of each of the boxes [K, 4] with the valid true ones."""
    boxes = _as_the_tool_has_it(boxes, shape).astype(jnp.float32)
    ious = jnp.vectorize(box_ops.box_iou, signature="(n),(n)->()")
    counts = exists[:, None] & valid[None]
    return jnp.max(ious(boxes[:, None], truth[None]), 1, where=counts, initial=0.0)


def _as_the_tool_has_it(boxes: Array, shape: tuple[int, int]) -> Array:
    """One pixel larger below and to the right, inside the map."""
    larger = boxes + jnp.array([[0, 0, 1, 1]])
    return jnp.minimum(larger, jnp.array([[*shape, *shape]]))


def _around(holes: Array, exists: Array) -> tuple[Array, Array]:
    """Boxes of the pixels around holes, from those of the holes in the padded map.

    The padding is one pixel wide, and the piece of background with it is no hole.
    """
    return holes + jnp.array([[-2, -2, 0, 0]]), exists & (holes[..., 0] > 0)


# A map's basins, and the order that makes components of them.


class _Basins(NamedTuple):
    """The maxima of a map and what climbs to them."""

    height: Array  # int32[H, W] in [0, 256]: the pixel is in {height >= u}.
    basin: Array  # int32[H, W]: which maximum the pixel climbs to.
    count: Array  # int32[]


class _Order(NamedTuple):
    """Basins in an order of which the components are contiguous segments."""

    height: Array  # int32[H, W]
    rank: Array  # int32[H, W]: the place of the pixel's basin.
    cut: Array  # int32[capacity]: at {height >= u} a segment starts where cut < u.
    count: Array  # int32[]: how many basins there are, or fit.


def _upright(values: Array) -> _Basins:
    return _basins(values, jnp.floor(values).astype(jnp.int32), 8)


def _upside_down(values: Array) -> _Basins:
    """Background is high, and what lies around the map is highest."""
    height = LEVELS - 1 - jnp.floor(values).astype(jnp.int32)
    return _basins(
        jnp.pad(-values, 1, constant_values=1.0),
        jnp.pad(height, 1, constant_values=LEVELS),
        4,
    )


def _shifted(x: Array, step: tuple[int, int], fill: float | int) -> Array:
    """Each pixel's neighbour at `step`; `fill` where that is outside."""
    height, width = x.shape
    down, right = step
    padded = jnp.pad(x, 1, constant_values=fill)
    return jax.lax.dynamic_slice(padded, (1 + down, 1 + right), (height, width))


def _basins(map_: Array, height: Array, connectivity: Connectivity) -> _Basins:
    """Every pixel points to its highest neighbour, the later one of equals.

    What climbs to one maximum is connected in every upper level set.
    """
    index = jnp.arange(map_.size, dtype=jnp.int32).reshape(map_.shape)
    best, parent = map_, index
    for down, right in _FORWARD[connectivity]:
        for step in ((down, right), (-down, -right)):
            value = _shifted(map_, step, -jnp.inf)
            other = _shifted(index, step, -1)
            higher = (value > best) | ((value == best) & (other > parent))
            best = jnp.where(higher, value, best)
            parent = jnp.where(higher, other, parent)
    parent = parent.ravel()
    root = jax.lax.while_loop(lambda p: jnp.any(p[p] != p), lambda p: p[p], parent)
    number = jnp.cumsum(parent == index.ravel(), dtype=jnp.int32)
    return _Basins(height, number[root].reshape(map_.shape) - 1, number[-1])


def _order(basins: _Basins, capacity: int, connectivity: Connectivity) -> _Order:
    """Prim's order of the maximum spanning tree of the saddles.

    It starts at the basin of the last pixel, which upside down is the outside.
    """
    height, basin, count = basins
    saddles = jnp.full(capacity * capacity, -1, jnp.int32)
    for step in _FORWARD[connectivity]:
        other = _shifted(basin, step, -1)
        saddle = jnp.minimum(height, _shifted(height, step, -1))
        saddle = jnp.where(other == basin, -1, saddle)
        saddles = saddles.at[basin * capacity + other].max(saddle, mode="drop")
    saddles = saddles.reshape(capacity, capacity)
    saddles = jnp.maximum(saddles, saddles.T)

    def join(k: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        reach, rank, cut = state
        chosen = jnp.argmax(reach)
        cut = cut.at[k].set(reach[chosen])
        rank = rank.at[chosen].set(k)
        reach = jnp.where(reach == -2, -2, jnp.maximum(reach, saddles[chosen]))
        return reach.at[chosen].set(-2), rank, cut

    reach = jnp.where(jnp.arange(capacity) < count, -1, -2)
    reach = reach.at[basin[-1, -1]].set(LEVELS + 1)
    zeros = jnp.zeros(capacity, jnp.int32)
    state = reach.astype(jnp.int32), zeros, zeros - 1
    count = jnp.minimum(count, capacity)
    _, rank, cut = jax.lax.fori_loop(0, count, join, state)
    return _Order(height, rank[basin], cut.at[0].set(-1), count)


def _most(shape: tuple[int, int]) -> int:
    """No two neighbours are both maxima, so there are no more basins than this."""
    return shape[0] * shape[1] // 2 + 1


def _by_capacity(
    fn: Callable[..., Array],
    connectivity: Connectivity,
    basins: _Basins,
    default: Array,
    *operands: Array,
) -> Array:
    """`fn(order, *operands)`, or `default` if the basins are too many to be ordered."""

    def kernel(
        capacity: int, basins: _Basins, default: Array, *operands: Array
    ) -> Array:
        if capacity > _CAPACITIES[-1]:
            return default
        return fn(_order(basins, capacity, connectivity), *operands)

    most = _most(basins.basin.shape)
    capacities = (*(c for c in _CAPACITIES if c < most), most)
    return _batching.with_capacity(
        basins.count, capacities, kernel, basins, default, *operands
    )


# Quantities of every component at every level.


def _corners(shape: tuple[int, int]) -> Array:
    """int32[H, W, 4] whose maxima over pixels give a box, and are 0 over none."""
    height, width = shape
    row = jnp.arange(height, dtype=jnp.int32)[:, None]
    column = jnp.arange(width, dtype=jnp.int32)[None, :]
    parts = height - row, width - column, row + 1, column + 1
    return jnp.stack([jnp.broadcast_to(part, shape) for part in parts], axis=-1)


def _to_boxes(corners: Array, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Boxes `[y0, x0, y1, x1]`, all zero over none; and whether there is one."""
    exists = corners[..., 2] > 0
    height, width = shape
    y0, x0, y1, x1 = jnp.moveaxis(corners, -1, 0)
    boxes = jnp.stack([height - y0, width - x0, y1, x1], axis=-1)
    return jnp.where(exists[..., None], boxes, 0), exists


def _table(order: _Order, features: Array) -> Array:
    """Maxima of features `[H, W, F]` by rank and level, `[capacity, 257, F]`."""
    shape = (order.cut.size, LEVELS + 1, features.shape[-1])
    table = jnp.zeros(shape, jnp.int32).at[order.rank, order.height].max(features)
    return jax.lax.cummax(table, axis=1, reverse=True)


def _fold(
    order: _Order,
    own: PyTree,
    merge: Callable[[PyTree, PyTree], PyTree],
    best: PyTree,
    better: Callable[[PyTree, PyTree, Array], PyTree],
) -> PyTree:
    """Merges what each basin owns into components, and picks the best of each level.

    Args:
      order: The basins' order.
      own: Arrays `[capacity, 257, ...]`.
      merge: Joins what two parts of a component own, `[257, ...]`.
      best: To start from.
      better: `(best, component, ends)` to the new best, where `ends[u]` tells at which
        levels this is a whole component.
    """
    level = jnp.arange(LEVELS + 1)
    cuts = jnp.append(order.cut, -1)

    def visit(k: Array, state: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        parts, best = state
        mine = jax.tree.map(lambda x: x[k], own)
        starts, ends = cuts[k] < level, cuts[k + 1] < level

        def join(alone: Array, joined: Array) -> Array:
            begin = starts.reshape((-1,) + (1,) * (alone.ndim - 1))
            return jnp.where(begin, alone, joined)

        parts = jax.tree.map(join, mine, merge(parts, mine))
        return parts, better(best, parts, ends)

    nothing = jax.tree.map(lambda x: jnp.zeros_like(x[0]), own)
    return jax.lax.fori_loop(0, order.count, visit, (nothing, best))[1]


def _best_component(order: _Order, score: Callable[[Array, Array], Array]) -> Array:
    """Best score float32[257] of the components of {height >= u}, 0 if there is none.

    `score` takes boxes int32[257, 4] and whether there are any.
    """
    shape = order.height.shape

    def better(best: Array, corners: Array, ends: Array) -> Array:
        boxes, exists = _to_boxes(corners, shape)
        return jnp.maximum(best, score(boxes, exists & ends))

    table = _table(order, _corners(shape))
    return _fold(order, table, jnp.maximum, jnp.zeros(LEVELS + 1), better)


def _best_outer(order: _Order, truth: Array, valid: Array) -> Array:
    shape = order.height.shape

    def score(boxes: Array, exists: Array) -> Array:
        return _best_of(boxes, exists, shape, truth, valid)

    return _best_component(order, score)[1:]


def _best_inner(order: _Order, truth: Array, valid: Array) -> Array:
    height, width = order.height.shape

    def score(boxes: Array, exists: Array) -> Array:
        around, exists = _around(boxes, exists)
        return _best_of(around, exists, (height - 2, width - 2), truth, valid)

    return _best_component(order, score)[LEVELS - 1 :: -1]


def _filled(order: _Order) -> Array:
    """The byte up to which a pixel belongs to a contour's inside, from the holes.

    The outside comes first in the order, so that the lowest cut up to a basin is the
    height of the way out of it.
    """
    way_out = jax.lax.cummin(order.cut.at[0].set(LEVELS))[order.rank]
    height = jnp.minimum(order.height, way_out)
    return (LEVELS - 1 - height)[1:-1, 1:-1]


def _largest_by_order(order: _Order) -> Array:
    """Box int32[256, 4] of the largest polygon; `order` is of a map without holes."""
    shape = order.height.shape
    to_end = order.height.size - jnp.arange(order.height.size).reshape(shape)
    features = jnp.concatenate([_corners(shape), to_end[..., None]], axis=-1)
    own = _table(order, features), _areas(order)

    def merge(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
        return jnp.maximum(a[0], b[0]), a[1] + b[1]

    def better(
        best: tuple[Array, Array], component: tuple[Array, Array], ends: Array
    ) -> tuple[Array, Array]:
        features, area = component
        exists = ends & (features[:, 4] > 0)
        later = features[:, 4] < best[0][:, 4]
        wins = exists & ((area > best[1]) | ((area == best[1]) & later))
        return (
            jnp.where(wins[:, None], features, best[0]),
            jnp.where(wins, area, best[1]),
        )

    none = jnp.zeros((LEVELS + 1, 5), jnp.int32), jnp.full(LEVELS + 1, -1, jnp.int32)
    features, _ = _fold(order, own, merge, none, better)
    return _to_boxes(features[1:, :4], shape)[0]


def _areas(order: _Order) -> Array:
    """Polygon areas in half units that each basin adds at each level.

    Four filled pixels of a 2 x 2 block make 1, three of them 1/2. That is one half for
    the block's lowest pixel, and one for the second lowest, each from its own height
    downwards.
    """
    key = jnp.pad(order.height * order.cut.size + order.rank, 1)
    a, b, c, d = key[1:, 1:], key[1:, :-1], key[:-1, 1:], key[:-1, :-1]
    low, high = jnp.minimum(a, b), jnp.maximum(a, b)
    low_2, high_2 = jnp.minimum(c, d), jnp.maximum(c, d)
    lowest = jnp.minimum(low, low_2)
    second = jnp.minimum(jnp.maximum(low, low_2), jnp.minimum(high, high_2))
    halves = jnp.zeros((LEVELS + 1) * order.cut.size, jnp.int32)
    halves = halves.at[lowest].add(1).at[second].add(1)
    halves = halves.reshape(LEVELS + 1, order.cut.size).T
    return jax.lax.cumsum(halves, axis=1, reverse=True)


# The same by labelling one level.


def _by_labelling(
    fn: Callable[..., Array],
    basins: tuple[_Basins, ...],
    result: Array,
    values: Array,
    *operands: Array,
) -> Array:
    """`result`, or `fn(mask, *operands)` of each level if some basins are too many."""
    if all(_most(b.basin.shape) <= _CAPACITIES[-1] for b in basins):
        return result

    def one(level: Array, result: Array) -> Array:
        above = values >= (level + 1).astype(jnp.float32)
        return result.at[level].set(fn(above, *operands))

    many = functools.reduce(jnp.maximum, [b.count for b in basins]) > _CAPACITIES[-1]
    return jax.lax.fori_loop(0, jnp.where(many, LEVELS, 0), one, result)


def _background_labels(mask: Array) -> Array:
    """4-connected pieces of the padded background; the outside has label 1."""
    background = jnp.pad(~mask, 1, constant_values=True)
    return components.label_components(background, connectivity=4)


def _largest_by_label(mask: Array) -> Array:
    labels = components.label_components(fill_holes(mask), connectivity=8)
    boxes, exists = label_boxes(labels)
    padded = jnp.pad(labels, 1)
    block = jnp.stack(
        [padded[1:, 1:], padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]]
    )
    halves = jnp.maximum(jnp.sum(block > 0, axis=0) - 2, 0)
    areas = jnp.zeros(exists.size + 1, jnp.int32)
    areas = areas.at[jnp.max(block, axis=0)].add(halves)[1:]
    areas = jnp.where(exists, areas, -1)
    return boxes[areas.size - 1 - jnp.argmax(areas[::-1])]


def _best_by_label(mask: Array, truth: Array, valid: Array) -> Array:
    outer = label_boxes(components.label_components(mask, connectivity=8))
    inner = _around(*label_boxes(_background_labels(mask)))
    ious = [_best_of(*found, mask.shape, truth, valid) for found in (outer, inner)]
    return jnp.max(jnp.concatenate(ious))
