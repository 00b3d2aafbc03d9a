"""Region against region by their structure: objects and holes, skeletons.

Pixels whose truth is unknown (`where` is false) are taken to agree with the prediction,
see `jaxcam.metrics._unknown`.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jaxcam import _checks, _numerics, _spec
from jaxcam._types import Array, Connectivity
from jaxcam.metrics import _unknown
from jaxcam.ops import components, thinning


def betti_error(
    predicted: Array,
    truth: Array,
    *,
    where: Array | None = None,
    connectivity: Connectivity = 8,
) -> Array:
    r"""How far two regions differ in their numbers of objects and of holes.

    .. math::
      |\beta_0(P) - \beta_0(M)| + |\beta_1(P) - \beta_1(M)|

    Says nothing about where they lie. One image; batch with `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: bool[H, W], pixels that count; in the others the truth is taken to agree
        with the prediction. `None` counts every pixel.
      connectivity: Of objects, 8 or 4; background has the other one, and lies all
        around the image.

    Returns:
      float32[], at least 0, a count; lower is better. NaN if no pixel counts.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), the shapes differ, or the connectivity is
        neither 4 nor 8.

    Cost: two labellings; holes follow from the Euler number.

    Source: X. Hu, F. Li, D. Samaras and C. Chen, "Topology-preserving deep image
    segmentation", NeurIPS 2019 (arXiv:1906.05404), who average it over patches of the
    image; here the image is one patch. The Euler number by counts of 2 x 2 pixels is
    that of S. B. Gray, "Local properties of binary images in two dimensions", IEEE
    Transactions on Computers C-20, 1971.

    >>> ring = jnp.ones((3, 3), bool).at[1, 1].set(False)
    >>> print(betti_error(ring, jnp.ones((3, 3), bool)))
    1.0
    """
    predicted, truth, valid = _unknown.completed(predicted, truth, where)
    _checks.choice("connectivity", connectivity, (4, 8))
    count = functools.partial(_betti_numbers, connectivity=connectivity)
    ours, theirs = jax.vmap(count)(jnp.stack([predicted, truth]))
    error = jnp.sum(jnp.abs(ours - theirs)).astype(jnp.float32)
    return _numerics.undefined_if(~jnp.any(valid), error)


def cl_dice(
    predicted: Array,
    truth: Array,
    *,
    where: Array | None = None,
    connectivity: Connectivity = 8,
) -> Array:
    r"""Agreement of each region's skeleton with the other region.

    .. math::
      \mathrm{clDice} = \frac{2\, T_p T_s}{T_p + T_s}, \quad
      T_p = \frac{|S_P \cap M|}{|S_P|}, \quad T_s = \frac{|S_M \cap P|}{|S_M|}

    A thin branch counts by its length, as much as a thick one. One image; batch with
    `jax.vmap`.

    Args:
      predicted: bool[H, W], the region that the explanation points out.
      truth: bool[H, W], the object.
      where: bool[H, W], pixels that count; in the others the truth is taken to agree
        with the prediction. `None` counts every pixel.
      connectivity: Of objects, 8 or 4.

    Returns:
      float32[], in [0, 1]; higher is better, 1 is perfect. 0 if one of the regions is
      empty, NaN if both are.

    Raises:
      TypeError: A region is not boolean.
      ValueError: A region is not (H, W), the shapes differ, or the connectivity is
        neither 4 nor 8.

    Cost: two thinnings, see `ops.skeleton`.

    Source: S. Shit et al., "clDice: a novel topology-preserving loss function for
    tubular structure segmentation", CVPR 2021 (arXiv:2003.07311), with hard skeletons.

    >>> bar = jnp.zeros((5, 9), bool).at[1:4, 1:8].set(True)
    >>> print(cl_dice(bar, bar.at[:, 5:].set(False)))  # 2 (3/5) (2/2) / (3/5 + 2/2)
    0.75
    """
    predicted, truth, valid = _unknown.completed(predicted, truth, where)

    def lies_in(line, region):
        length = _numerics.count(line & valid)
        return _numerics.count(line & region & valid), length

    ours, our_length = lies_in(
        thinning.skeleton(predicted, connectivity=connectivity), truth
    )
    theirs, their_length = lies_in(
        thinning.skeleton(truth, connectivity=connectivity), predicted
    )
    # 2 / (1 / Tp + 1 / Ts), free of a division by zero where nothing agrees.
    score = _numerics.ratio(
        2 * ours * theirs, ours * their_length + theirs * our_length
    )
    score = jnp.where(ours + theirs > 0, score, 0.0)
    return _numerics.undefined_if(our_length + their_length == 0, score)


def _betti_numbers(region: Array, connectivity: Connectivity) -> Array:
    """Objects and holes, int32[2]: their difference is counted on 2 x 2 pixels."""
    around = jnp.pad(region, 1)
    objects = jnp.max(components.label_components(around, connectivity=connectivity))
    nw, ne, sw, se = (
        around[dy : dy + region.shape[0] + 1, dx : dx + region.shape[1] + 1]
        for dy in (0, 1)
        for dx in (0, 1)
    )
    odd = nw ^ ne ^ sw ^ se
    corners = jnp.sum(odd & ((nw & ne) | (sw & se)), dtype=jnp.int32)  # Of three.
    ends = jnp.sum(odd, dtype=jnp.int32) - corners  # Of one.
    diagonals = jnp.sum((nw == se) & (ne == sw) & (nw ^ ne), dtype=jnp.int32)
    sign = -2 if connectivity == 8 else 2
    euler = (ends - corners + sign * diagonals) // 4
    return jnp.stack([objects, objects - euler])


SPECS = (
    _spec.MetricSpec(
        fn=betti_error,
        inputs=("predicted", "truth"),
        family="topology",
        formula="|b0(P) - b0(M)| + |b1(P) - b1(M)|",
        range=(0.0, float("inf")),
        direction=-1,
        undefined="no pixel counts",
        cost="two labellings",
        source="Hu et al., NeurIPS 2019",
        static=("connectivity",),
        regions=("mask", "box"),
    ),
    _spec.MetricSpec(
        fn=cl_dice,
        inputs=("predicted", "truth"),
        family="topology",
        formula="harmonic mean of |S_P and M| / |S_P| and |S_M and P| / |S_M|",
        range=(0.0, 1.0),
        direction=1,
        undefined="both regions are empty",
        cost="two thinnings",
        source="Shit et al., CVPR 2021",
        static=("connectivity",),
        regions=("mask", "box"),
    ),
)
