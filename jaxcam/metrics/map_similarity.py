"""Map against map: how alike two explanations are.

These compare any two maps, so they are functions rather than columns of a run, which
has one map a row.
"""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _checks, _numerics, _order, _spec
from jaxcam._types import Array

KENDALL_LENGTH = 2048
"""Above so many values the pairs that Kendall's tau compares take too much memory."""

_SIGMA = 1.5


def pearson(a: Array, b: Array, *, where: Array | None = None) -> Array:
    r"""Linear correlation of the values of two maps.

    .. math::
      r = \frac{\sum_p (a_p - \bar a)(b_p - \bar b)}
      {\sqrt{\sum_p (a_p - \bar a)^2 \sum_p (b_p - \bar b)^2}}

    Invariant to a positive factor and an offset of either map. One pair; batch with
    `jax.vmap`.

    Args:
      a: float[H, W], finite, any scale and sign.
      b: float[H, W], likewise.
      where: bool[H, W], pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [-1, 1]; higher is more alike. NaN if a map is constant or a valid
      value is NaN or infinite.

    Raises:
      TypeError: A map is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW).

    Source: standard.

    >>> a = jnp.array([[1., 2.], [3., 4.]])
    >>> print(f"{pearson(a, 5 - 2 * a):.4f}")
    -1.0000
    """
    a, b, where = _checks.two_maps(a, b, where)
    return _correlation(a, b, where)


def spearman(a: Array, b: Array, *, where: Array | None = None) -> Array:
    r"""Correlation of the ranks of the pixels in two maps.

    .. math::
      \rho = r(\mathrm{rank}(a), \mathrm{rank}(b))

    Ties share their average rank. Only the order of the values matters. One pair; batch
    with `jax.vmap`.

    Args:
      a: float[H, W], any scale and sign.
      b: float[H, W], likewise.
      where: bool[H, W], pixels that count. `None` counts every pixel.

    Returns:
      float32[], in [-1, 1]; higher is more alike. NaN if a map is constant or a valid
      value is NaN.

    Raises:
      TypeError: A map is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW log HW), a sort of each map.

    Source: C. Spearman, 1904; between explanations J. Adebayo et al., "Sanity checks
    for saliency maps", NeurIPS 2018 (arXiv:1810.03292).

    >>> a = jnp.array([[1., 2.], [3., 4.]])
    >>> print(f"{spearman(a, jnp.exp(a)):.4f}")
    1.0000
    """
    a, b, where = _checks.two_maps(a, b, where)
    nan_in = _numerics.any_nan(a, where) | _numerics.any_nan(b, where)
    ranks = (_order.average_ranks(x, where=where) for x in (a, b))
    return _numerics.undefined_if(nan_in, _correlation(*ranks, where))


def kendall(a: Array, b: Array, *, where: Array | None = None) -> Array:
    r"""How many more pairs two rankings put in the same order than in the opposite one.

    .. math::
      \tau_b = \frac{C - D}{\sqrt{(P - T_a)(P - T_b)}}

    Of P pairs, C are in the same order in both rankings, D in opposite ones, and T are
    tied. For rankings of methods, classes or layers, not of the pixels of a map:
    `spearman` does those. One pair; batch with `jax.vmap`.

    Args:
      a: float[n] or int[n], scores or ranks, n at most 2048.
      b: float[n] or int[n], likewise.
      where: bool[n], entries that count. `None` counts every entry.

    Returns:
      float32[], in [-1, 1]; higher is more alike. NaN if a ranking is constant or a
      valid value is NaN.

    Raises:
      TypeError: A ranking holds no numbers, or `where` is not boolean.
      ValueError: An argument is not a vector, the lengths differ, or they are too long.

    Cost: O(n^2) time and memory.

    Source: M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33,
    1945.

    >>> print(f"{kendall(jnp.array([1, 2, 3]), jnp.array([1, 3, 2])):.4f}")
    0.3333
    """
    a, b, where = _rankings(a, b, where)
    valid = where[:, None] & where[None]

    def orders(x: Array) -> Array:
        sign = jnp.sign(x[:, None] - x[None])
        return jnp.where(valid & (x[:, None] != x[None]), sign, 0.0).astype(jnp.int8)

    def total(pairs: Array) -> Array:
        return jnp.sum(pairs, dtype=jnp.int32).astype(jnp.float32)

    in_a, in_b = orders(a), orders(b)
    untied = jnp.sqrt(total(in_a != 0)) * jnp.sqrt(total(in_b != 0))
    tau = jnp.clip(_numerics.ratio(total(in_a * in_b), untied), -1.0, 1.0)
    nan_in = _numerics.any_nan(a, where) | _numerics.any_nan(b, where)
    return _numerics.undefined_if(nan_in, tau)


def ssim(
    a: Array,
    b: Array,
    *,
    where: Array | None = None,
    data_range: float | Array = 1.0,
    window: Literal["gaussian", "uniform"] = "gaussian",
    size: int | None = None,
    sample_covariance: bool = False,
) -> Array:
    r"""Structural similarity: means, variances and covariances, window by window.

    .. math::
      \frac{(2 \mu_a \mu_b + C_1)(2 \sigma_{ab} + C_2)}
      {(\mu_a^2 + \mu_b^2 + C_1)(\sigma_a^2 + \sigma_b^2 + C_2)},
      \qquad C_1 = (0.01 R)^2, \; C_2 = (0.03 R)^2

    averaged over the windows that lie wholly on pixels that count, R the `data_range`.
    The default is the published one: Gaussian weights of sigma 1.5 on 11 x 11 pixels,
    which have no blocking artefacts. scikit-image's own default is
    `window="uniform", sample_covariance=True`, its recipe for the published one
    `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`. One pair; batch
    with `jax.vmap`.

    Args:
      a: float[H, W], finite.
      b: float[H, W], on the same scale.
      where: bool[H, W], pixels that count. `None` counts every pixel.
      data_range: The range R of values that the maps may take: 1 for normalised maps.
      window: "gaussian" or "uniform" weights.
      size: Side of the window, odd; 11 for Gaussian and 7 for uniform weights.
      sample_covariance: Multiplies (co)variances by n / (n - 1), n pixels a window.

    Returns:
      float32[], in [-1, 1]; higher is more alike, 1 only for equal maps. NaN if no
      window lies on pixels that count or a valid value is NaN or infinite.

    Raises:
      TypeError: A map is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), the shapes differ, the window is unknown or
        even or does not fit into the map.

    Cost: O(HW size).

    Source: Z. Wang et al., "Image quality assessment: from error visibility to
    structural similarity", IEEE Transactions on Image Processing 13, 2004; between
    explanations Adebayo et al. 2018 (arXiv:1810.03292).

    >>> a = jnp.linspace(0.0, 1.0, 144).reshape(12, 12)
    >>> print(ssim(a, a), f"{ssim(a, 1 - a):.2f}")
    1.0 -0.93
    """
    a, b, where = _checks.two_maps(a, b, where)
    weights = _window(window, size, a.shape)
    n = len(weights) ** 2
    bias = n / (n - 1) if sample_covariance and n > 1 else 1.0
    scale = jnp.asarray(data_range, jnp.float32)
    c1, c2 = (0.01 * scale) ** 2, (0.03 * scale) ** 2

    def centred(x: Array) -> tuple[Array, Array]:
        mean = _numerics.masked_mean(x, where)
        return jnp.where(where, x - mean, 0.0), mean

    (a0, mean_a), (b0, mean_b) = centred(a), centred(b)
    moments = _windowed(jnp.stack([a0, b0, a0 * a0, b0 * b0, a0 * b0]), weights=weights)
    ua, ub, uaa, ubb, uab = moments
    var_a, var_b, cov = (
        bias * (uaa - ua**2),
        bias * (ubb - ub**2),
        bias * (uab - ua * ub),
    )
    ua, ub = ua + mean_a, ub + mean_b
    alike = (2 * ua * ub + c1) * (2 * cov + c2)
    alike = alike / ((ua**2 + ub**2 + c1) * (var_a + var_b + c2))
    outside = (~where).astype(jnp.float32)[None]
    (missing,) = _windowed(outside, weights=(1.0,) * len(weights))
    finite = jnp.all(~where | (jnp.isfinite(a) & jnp.isfinite(b)))
    return _numerics.undefined_if(~finite, _numerics.masked_mean(alike, missing == 0))


def top_k_overlap(
    a: Array, b: Array, *, where: Array | None = None, k: int | Array = 1000
) -> Array:
    r"""Share of the k most salient pixels of one map that are among the other's.

    .. math::
      \frac{|\mathrm{top}_k(a) \cap \mathrm{top}_k(b)|}{k}

    Only the order of the values matters. Pixels tied at the k-th value count at their
    expectation under random orders of the two maps apart, so two constant maps share
    k / N, not everything. One pair; batch with `jax.vmap`.

    Args:
      a: float[H, W], any scale and sign; larger means more relevant.
      b: float[H, W], likewise.
      where: bool[H, W], the N pixels that count. `None` counts every pixel.
      k: How many pixels, a whole number; kept between 1 and N.

    Returns:
      float32[], in [0, 1]; higher is more alike. NaN if no pixel counts or a valid
      value is NaN.

    Raises:
      TypeError: A map is not floating point, or `where` is not boolean.
      ValueError: An argument is not (H, W), or the shapes differ.

    Cost: O(HW) time and memory, no sort.

    Source: A. Ghorbani, A. Abid and J. Zou, "Interpretation of neural networks is
    fragile", AAAI 2019 (arXiv:1710.10547), k = 1000 on ImageNet; the rule for ties is
    ours.

    >>> a = jnp.array([[4., 3.], [2., 1.]])
    >>> print(top_k_overlap(a, jnp.array([[4., 1.], [3., 2.]]), k=2))
    0.5
    """
    a, b, where = _checks.two_maps(a, b, where)
    k = jnp.clip(jnp.asarray(k, jnp.float32), 1.0, _numerics.count(where))

    def chance(x: Array) -> Array:
        above, tied, share = _order.top(x, k, where=where)
        return jnp.where(above, 1.0, jnp.where(tied, share, 0.0))

    overlap = _numerics.ratio(jnp.sum(chance(a) * chance(b)), k)
    nan_in = _numerics.any_nan(a, where) | _numerics.any_nan(b, where)
    return _numerics.undefined_if(nan_in, overlap)


def _correlation(a: Array, b: Array, where: Array) -> Array:
    """Pearson's correlation; each map is first brought to [-1, 1], exactly if it can.

    So nothing overflows, and a small variation on a large offset keeps its digits.
    """

    def centred(x: Array) -> Array:
        low = jnp.min(x, where=where, initial=jnp.inf)
        high = jnp.max(x, where=where, initial=-jnp.inf)
        x = _numerics.ratio(x - (low / 2 + high / 2), (high - low) / 2)
        return jnp.where(where, x - _numerics.masked_mean(x, where), 0.0)

    a, b = centred(a), centred(b)
    scale = jnp.sqrt(jnp.sum(a * a)) * jnp.sqrt(jnp.sum(b * b))
    return jnp.clip(_numerics.ratio(jnp.sum(a * b), scale), -1.0, 1.0)


def _rankings(a: Array, b: Array, where: Array | None) -> tuple[Array, Array, Array]:
    a, b = jnp.asarray(a), jnp.asarray(b)
    for name, x in (("a", a), ("b", b)):
        if not (
            jnp.issubdtype(x.dtype, jnp.floating)
            or jnp.issubdtype(x.dtype, jnp.integer)
        ):
            raise TypeError(f"{name} is {x.dtype}; give scores or ranks, as numbers.")
        if x.ndim != 1 or x.shape != a.shape:
            raise ValueError(
                f"a and b have shapes {a.shape} and {b.shape}; give two rankings of "
                "one length, and compare the pixels of maps with spearman."
            )
    if a.size > KENDALL_LENGTH:
        raise ValueError(
            f"The pairs of {a.size} values take too much memory, at most "
            f"{KENDALL_LENGTH} fit; use spearman."
        )
    where = jnp.ones(a.shape, jnp.bool_) if where is None else jnp.asarray(where)
    if where.dtype != jnp.bool_ or where.shape != a.shape:
        raise TypeError(
            f"where is {where.dtype} of shape {where.shape}; it must be boolean and of "
            f"shape {a.shape}."
        )
    return a.astype(jnp.float32), b.astype(jnp.float32), where


def _window(window: str, size: int | None, shape: tuple[int, ...]) -> tuple[float, ...]:
    """Weights of a row of the window, which is their outer product."""
    _checks.choice("window", window, ("gaussian", "uniform"))
    size = size or (11 if window == "gaussian" else 7)
    if size % 2 == 0 or size > min(shape):
        raise ValueError(
            f"A window of {size} pixels is even or does not fit into a map of shape "
            f"{shape}; choose a smaller odd size=, or upsample the maps."
        )
    if window == "uniform":
        return (1 / size,) * size
    weights = np.exp(-0.5 * ((np.arange(size) - size // 2) / _SIGMA) ** 2)
    return tuple((weights / weights.sum()).tolist())


@functools.partial(jax.jit, static_argnames="weights")
def _windowed(x: Array, *, weights: tuple[float, ...]) -> Array:
    """Weighted sums of `x` float[C, H, W] over every window that fits."""

    def along(x: Array, axis: int) -> Array:
        length = x.shape[axis] - len(weights) + 1
        parts = (
            np.float32(w) * jax.lax.slice_in_dim(x, i, i + length, axis=axis)
            for i, w in enumerate(weights)
        )
        return sum(parts, start=next(parts))

    # Kept apart, or each window would be summed over its square.
    return along(jax.lax.optimization_barrier(along(x, 1)), 2)


def _pair(fn, formula, low, undefined, cost, source, *, static=()):
    return _spec.MetricSpec(
        fn=fn,
        inputs=("a", "b"),
        family="map against map",
        formula=formula,
        range=(low, 1.0),
        direction=1,
        undefined=undefined,
        cost=cost,
        source=source,
        static=static,
    )


_CONSTANT = "a map is constant"

SIMILARITIES = (
    _pair(pearson, "cov(a, b) / (sd a sd b)", -1.0, _CONSTANT, "O(HW)", "standard"),
    _pair(
        spearman,
        "pearson(rank a, rank b)",
        -1.0,
        _CONSTANT,
        "two sorts",
        "Spearman 1904; Adebayo et al. 2018",
    ),
    _pair(
        kendall,
        "(C - D) / sqrt((P - T_a)(P - T_b))",
        -1.0,
        "a ranking is constant",
        "O(n²), n at most 2048",
        "Kendall 1945",
    ),
    _pair(
        ssim,
        "mean over windows of (2 m_a m_b + C1)(2 v_ab + C2) / "
        "((m_a² + m_b² + C1)(v_a + v_b + C2))",
        -1.0,
        "no window lies on pixels that count",
        "O(HW size)",
        "Wang et al. 2004",
        static=("window", "size", "sample_covariance"),
    ),
    _pair(
        top_k_overlap,
        "|top_k(a) and top_k(b)| / k, k = 1000",
        0.0,
        "no pixel counts",
        "O(HW)",
        "Ghorbani et al. 2019",
    ),
)
