"""Whether a part's share of the map is what the model loses without that part."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from jaxcam import _numerics, _spec
from jaxcam._types import Array
from jaxcam.metrics import map_similarity


def faithfulness_correlation(subset_sums: Array, subset_drops: Array) -> Array:
    r"""Correlation of what the map gives to random subsets and what they are worth.

    .. math::
      r_{\,T} \left(\sum_{i \in T} s_i,\; f(x) - f(x_{T \to b})\right),
      \qquad |T| = 0.2\, N

    r is Pearson's correlation over 100 random subsets T of the N = 14 x 14 cells of the
    image, all of one size; :math:`s_i` is the map summed over a cell, f the probability
    of the explained class, and the cells of T are replaced by the baseline b: the mean
    colour, or black with `masking_space="pixel"`. Invariant to a positive factor. The
    options `grid` (`none`: pixels), `samples`, `subset_fraction`, `masking_space` and
    `score` (`logit`) change this; the subsets come from the image's id. One image;
    batch with `jax.vmap`.

    Args:
      subset_sums: float[n], the map summed over each subset.
      subset_drops: float[n], what the model loses when the subset is hidden.

    Returns:
      float32[], in [-1, 1]; higher is better. NaN if either is the same for all
      subsets, as the sums of a constant map over cells of one size are, or a value is
      NaN.

    Raises:
      ValueError: The lengths differ.

    Cost: 100 forward passes an image, whatever the number of maps, by the probe
    `subset_drops`.

    Source: U. Bhatt, A. Weller and J. Moura, "Evaluating and aggregating feature-based
    model explanations", IJCAI 2020 (arXiv:2005.00631); the cells, their number and the
    size of the subsets are ours, 100 subsets those of Quantus.

    >>> sums = jnp.array([1., 2., 3.])
    >>> print(f"{faithfulness_correlation(sums, 0.1 * sums):.4f}")
    1.0000
    """
    return _pearson(subset_sums, subset_drops)


def mu_fidelity(subset_sums: Array, subset_drops: Array) -> Array:
    r"""Rank correlation of what the map gives to random subsets and their worth.

    .. math::
      \rho_{\,T} \left(\sum_{i \in T} s_i,\; f(x) - f(x_{T \to b})\right),
      \qquad |T| = 0.2\, N

    `faithfulness_correlation` by ranks (Spearman's), over 200 subsets of 9 x 9 cells,
    with the same options. Only the order of the sums matters. One image; batch with
    `jax.vmap`.

    Args:
      subset_sums: float[n], the map summed over each subset.
      subset_drops: float[n], what the model loses when the subset is hidden.

    Returns:
      float32[], in [-1, 1]; higher is better. NaN if either is the same for all
      subsets, or a value is NaN.

    Raises:
      ValueError: The lengths differ.

    Cost: 200 forward passes an image, whatever the number of maps, by the probe
    `subset_drops`.

    Source: the metric of that name in Xplique (T. Fel et al., 2022, arXiv:2206.04394),
    after Bhatt et al. 2020 (arXiv:2005.00631): its ranks, cells, share, number and
    baseline, and subsets of one size as it defines them; its code hides each cell by
    chance and counts NaN as 0.

    >>> sums = jnp.array([1., 2., 3.])
    >>> print(f"{mu_fidelity(sums, jnp.exp(sums)):.4f}")
    1.0000
    """
    return _spearman(subset_sums, subset_drops)


def sensitivity_n(sized_subset_sums: Array, sized_subset_drops: Array) -> Array:
    r"""Correlation of the map's share and the worth of subsets, over their sizes.

    .. math::
      \frac{1}{|\mathcal{N}|} \sum_{n \in \mathcal{N}} r_{\,|T| = n}
      \left(\sum_{i \in T} s_i,\; f(x) - f(x_{T \to b})\right)

    r is Pearson's correlation over 100 random subsets of n cells of a grid of 14 x 14,
    the sizes :math:`\mathcal{N}` 5 from one cell to 80 % of them at equal ratios. A
    method that has the property sensitivity-n correlates perfectly at that n. The
    options `grid`, `sizes`, `samples`, `masking_space` and `score` change this. One
    image; batch with `jax.vmap`.

    Args:
      sized_subset_sums: float[k, n], the map summed over n subsets of each of k sizes.
      sized_subset_drops: float[k, n], what the model loses when they are hidden.

    Returns:
      float32[], in [-1, 1]; higher is better. Sizes at which either is the same for all
      subsets are left out of the mean; NaN if all are, or a value is NaN.

    Raises:
      ValueError: The shapes differ.

    Cost: 500 forward passes an image, whatever the number of maps, by the probe
    `sized_subset_drops`.

    Source: M. Ancona et al., "Towards better understanding of gradient-based
    attribution methods for deep neural networks", ICLR 2018 (arXiv:1711.06104), 100
    subsets a size up to 80 % of the features; the cells and the mean over sizes are
    ours.

    >>> sums = jnp.array([[1., 2., 3.], [4., 6., 5.]])
    >>> print(f"{sensitivity_n(sums, 0.1 * sums):.4f}")
    1.0000
    """
    correlations = jax.vmap(_pearson)(sized_subset_sums, sized_subset_drops)
    defined = ~jnp.isnan(correlations)
    nan_in = jnp.any(jnp.isnan(sized_subset_sums) | jnp.isnan(sized_subset_drops))
    mean = _numerics.masked_mean(correlations, defined)
    return _numerics.undefined_if(nan_in, mean)


def monotonicity(revealed_scores: Array, *, share: bool = False) -> Array:
    r"""Whether each part that is revealed, the least salient first, adds to the score.

    .. math::
      \prod_{i=2}^{N} 1\left[f(x_{(1 \dots i)}) \ge f(x_{(1 \dots i - 1)})\right]

    :math:`x_{(1 \dots i)}` shows the i least salient of the image's N = 7 x 7 cells on
    the baseline: the mean colour, or black with `masking_space="pixel"`. Cells that are
    equally salient come in an order of the image's id. Only the order of the map over
    the cells matters. The options `grid`, `masking_space` and `score` change this. One
    image; batch with `jax.vmap`.

    Args:
      revealed_scores: float[N], f after each cell that is revealed.
      share: Gives the share of the steps at which f does not fall: few images pass all.

    Returns:
      float32[], 0 or 1, or a share; higher is better. NaN if a score is NaN or there is
      one cell only.

    Raises:
      Nothing.

    Cost: 49 forward passes a map, by the probe `revealed_scores`.

    Source: V. Arya et al., "One explanation does not fit all: a toolkit and taxonomy of
    AI explainability techniques", 2019 (arXiv:1909.03012), as its code has it: in the
    order of increasing importance and without the step from the empty image to the
    first feature. The cells are ours.

    >>> scores = jnp.array([0.1, 0.3, 0.2, 0.9])
    >>> print(monotonicity(scores), f"{monotonicity(scores, share=True):.4f}")
    0.0 0.6667
    """
    steps = revealed_scores[1:] >= revealed_scores[:-1]
    kept = _numerics.masked_mean(
        steps.astype(jnp.float32), jnp.ones(steps.shape, jnp.bool_)
    )
    value = kept if share else jnp.where(jnp.isnan(kept), jnp.nan, jnp.floor(kept))
    return _numerics.undefined_if(jnp.any(jnp.isnan(revealed_scores)), value)


def monotonicity_correlation(cell_sums: Array, cell_effects: Array) -> Array:
    r"""Rank correlation of the map's magnitude and what the model makes of each part.

    .. math::
      \rho_{\,i} \left(|s_i|,\; \frac{1}{m} \sum_{j=1}^{m}
      \left(f(x) - f(x_{i \to c_j})\right)^2\right)

    :math:`s_i` is the map summed over one of 7 x 7 cells, which is painted over, alone,
    with m = 10 random colours :math:`c_j`: each channel is uniform between its lowest
    and highest value in the image. Only the order of the magnitudes matters. The
    options `grid`, `samples` and `score` change this; the colours come from the image's
    id. One image; batch with `jax.vmap`.

    Args:
      cell_sums: float[N], the map's magnitude summed over each cell.
      cell_effects: float[N], mean squared change of the score.

    Returns:
      float32[], in [-1, 1]; higher is better. NaN if either is the same for all cells,
      as the sums of a constant map over cells of one size are, or a value is NaN.

    Raises:
      ValueError: The lengths differ.

    Cost: 490 forward passes an image, whatever the number of maps, by the probe
    `cell_effects`.

    Source: A. Nguyen and M. R. Martinez, "On quantitative aspects of model
    interpretability", 2020 (arXiv:2007.07584), where the metric is called monotonicity;
    the cells, their number and the distribution of the colours are ours, squares of
    changes that are not divided by f(x) have the same ranks.

    >>> sums = jnp.array([1., 2., 3.])
    >>> print(f"{monotonicity_correlation(sums, sums**2):.4f}")
    1.0000
    """
    return _spearman(cell_sums, cell_effects)


def infidelity(perturbation_products: Array, perturbation_drops: Array) -> Array:
    r"""Squared error of what the map says that a change of the image costs, scaled.

    .. math::
      \mathrm{E}_I \left[\left(\beta\, I \cdot s - (f(x) - f(x - I))\right)^2\right],
      \qquad \beta = \frac{\mathrm{E}_I[I \cdot s\, (f(x) - f(x - I))]}
      {\mathrm{E}_I[(I \cdot s)^2]}

    The factor :math:`\beta` is the one that fits best, so that the scale of the map
    does not matter; `infidelity_raw` has none. The distribution of I is the option
    `perturbation`: `square`, the default, hides a square whose side is uniform from 1
    to 10/28 of the image's shorter one; I is 1 there, so that :math:`I \cdot s` is the
    map summed over the square, a pixel counting once with all its channels. `noise`
    replaces the image by Gaussian noise of deviation 0.2 about the baseline; I is then
    what each channel loses, and the map stands for each channel alike. The expectation
    is a mean of 100 draws by the image's id; the baseline is the mean colour. The
    options `samples`, `masking_space` and `score` change this. One image; batch with
    `jax.vmap`.

    Args:
      perturbation_products: float[n], I . s.
      perturbation_drops: float[n], f(x) - f(x - I).

    Returns:
      float32[], at least 0, in squares of the score; lower is better. A map of zeros
      has the mean square of the drops. NaN if a value is NaN.

    Raises:
      ValueError: The lengths differ.

    Cost: 100 forward passes an image, whatever the number of maps, by the probe
    `perturbation_drops`.

    Source: C.-K. Yeh et al., "On the (in)fidelity and sensitivity of explanations",
    NeurIPS 2019 (arXiv:1901.09392), with the factor and the squares of its code, which
    takes every square of 28 x 28 pixels.

    >>> print(infidelity(jnp.array([1., 2.]), jnp.array([0.5, 1.])))
    0.0
    """
    _same_length(perturbation_products, perturbation_drops)
    square = jnp.mean(perturbation_products**2)
    product = jnp.mean(perturbation_products * perturbation_drops)
    beta = jnp.where(square > 0, _numerics.ratio(product, square), 0.0)
    return infidelity_raw(beta * perturbation_products, perturbation_drops)


def infidelity_raw(perturbation_products: Array, perturbation_drops: Array) -> Array:
    r"""Squared error of what the map says that a change of the image costs.

    .. math::
      \mathrm{E}_I \left[\left(I \cdot s - (f(x) - f(x - I))\right)^2\right]

    As `infidelity`, without its factor: the value depends on the scale of the map, and
    means something for an attribution in units of the score only. One image; batch with
    `jax.vmap`.

    Args:
      perturbation_products: float[n], I . s.
      perturbation_drops: float[n], f(x) - f(x - I).

    Returns:
      float32[], at least 0, in squares of the score; lower is better. NaN if a value is
      NaN.

    Raises:
      ValueError: The lengths differ.

    Cost: as `infidelity`.

    Source: as `infidelity`.

    >>> print(infidelity_raw(jnp.array([1., 2.]), jnp.array([0.5, 1.])))
    0.625
    """
    _same_length(perturbation_products, perturbation_drops)
    return jnp.mean((perturbation_products - perturbation_drops) ** 2)


def _pearson(a: Array, b: Array) -> Array:
    return map_similarity.pearson(a[None], b[None])


def _spearman(a: Array, b: Array) -> Array:
    return map_similarity.spearman(a[None], b[None])


def _same_length(a: Array, b: Array) -> None:
    if a.shape != b.shape:
        raise ValueError(
            f"There are {a.shape} products and {b.shape} drops; give one of each for "
            "every perturbation."
        )


def _attribution(fn, inputs, formula, bounds, direction, undefined, cost, source, **kw):
    return _spec.MetricSpec(
        fn=fn,
        inputs=inputs,
        family="faithfulness",
        formula=formula,
        range=bounds,
        direction=direction,
        undefined=undefined,
        cost=cost,
        source=source,
        **kw,
    )


_CORRELATION = (-1.0, 1.0)
_SUBSETS = ("subset_sums", "subset_drops")
_SIZED = ("sized_subset_sums", "sized_subset_drops")
_PERTURBED = ("perturbation_products", "perturbation_drops")
_SAME = "the map gives all subsets the same, or the model does"

SPECS = (
    _attribution(
        faithfulness_correlation,
        _SUBSETS,
        "pearson over subsets T of (sum_T S, f(x) - f(x without T))",
        _CORRELATION,
        1,
        _SAME,
        "100 forward passes, shared by all maps",
        "Bhatt et al. 2020",
    ),
    _attribution(
        mu_fidelity,
        _SUBSETS,
        "spearman over subsets T of (sum_T S, f(x) - f(x without T))",
        _CORRELATION,
        1,
        _SAME,
        "200 forward passes, shared by all maps",
        "Fel et al. 2022",
        default_options={"grid": 9, "samples": 200},
    ),
    _attribution(
        sensitivity_n,
        _SIZED,
        "mean over n of pearson over |T| = n of (sum_T S, f(x) - f(x without T))",
        _CORRELATION,
        1,
        _SAME,
        "500 forward passes, shared by all maps",
        "Ancona et al. 2018",
    ),
    _attribution(
        monotonicity,
        ("revealed_scores",),
        "1[f never falls as cells are revealed, the least salient first]",
        (0.0, 1.0),
        1,
        "a score is NaN",
        "49 forward passes",
        "Arya et al. 2019",
        static=("share",),
    ),
    _attribution(
        monotonicity_correlation,
        ("cell_sums", "cell_effects"),
        "spearman over cells of (|S|, mean (f(x) - f(painted over))²)",
        _CORRELATION,
        1,
        "the map gives all cells the same, or the model does",
        "490 forward passes, shared by all maps",
        "Nguyen and Martinez 2020",
    ),
    _attribution(
        infidelity,
        _PERTURBED,
        "E[(b I·S - (f(x) - f(x - I)))²], b the best factor",
        (0.0, math.inf),
        -1,
        "a score is NaN",
        "100 forward passes, shared by all maps",
        "Yeh et al. 2019",
        companions=("infidelity_raw",),
    ),
    _attribution(
        infidelity_raw,
        _PERTURBED,
        "E[(I·S - (f(x) - f(x - I)))²]",
        (0.0, math.inf),
        -1,
        "a score is NaN",
        "100 forward passes, shared by all maps",
        "Yeh et al. 2019",
    ),
)
