"""Score-CAM and its relatives: activations as masks, scored by the whole network."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxcam import _checks, _spec, ops
from jaxcam._types import Array
from jaxcam.methods import chunks
from jaxcam.methods.question import Question


def score_cam(
    question: Question,
    activations: Array,
    *,
    variant: str = "reference",
    chunk: int = 16,
) -> Array:
    r"""Activations weighed by the score of the image seen through them.

    .. math::
      S = \mathrm{ReLU}\left(\sum_k w_k A_k\right), \qquad
      w_k = p\left(x \odot H_k\right), \qquad
      H_k = \frac{U(A_k) - \min U(A_k)}{\max U(A_k) - \min U(A_k)}

    `U` upsamples to the image (bilinear, half-pixel centres); `p` is the softmax
    probability of the class. The mask is applied to the preprocessed image, whose zero
    is the mean colour where inputs are standardised. A channel with a constant map has
    no mask: it is skipped, which costs nothing, and weighs nothing.

    Args:
      question: The images and what is asked. A target that is a function of logits is
        read from probabilities here.
      activations: float[B, h, w, C].
      variant: "reference" is the authors' released code, above; "paper" takes the
        logit instead and passes the weights of all live channels through a softmax
        over the channels, in which the paper's baseline cancels. The code made the
        published figures, so it is the default.
      chunk: Masked images in memory at a time.

    Returns:
      float32[B, h, w], non-negative.

    Raises:
      ValueError: `variant` is another word.

    Cost: 1 + C forward passes an image, less those of constant channels.

    Source: H. Wang et al., "Score-CAM: score-weighted visual explanations for
    convolutional neural networks", CVPR 2020 workshop (arXiv:1910.01279).
    """
    _checks.choice("variant", variant, ("reference", "paper"))
    maps = jnp.moveaxis(activations, -1, 1)
    read = question.scores if variant == "paper" else question.probabilities

    def score(rows: Array) -> Array:
        images, channels = jnp.divmod(rows, maps.shape[1])
        masked = _through(question, images, _masks(question, maps[images, channels]))
        return read(question.logits_of(masked), images)

    weights = _scores(score, _live(maps), chunk=chunk)
    if variant == "paper":
        weights = _softmax_of_live(weights, _live(maps))
    return _weighed(weights, activations)


def ss_cam(
    question: Question,
    activations: Array,
    *,
    samples: int = 35,
    noise: float = 2.0,
    chunk: int = 16,
) -> Array:
    r"""Score-CAM whose weights are averaged over noisy activations.

    .. math::
      S = \mathrm{ReLU}\left(\sum_k w_k A_k\right), \qquad
      w_k = \mathrm{softmax}_k \left(\frac{1}{n} \sum_{m=1}^{n}
        y\left(x \odot H(A_k + \epsilon_m)\right)\right),
      \qquad \epsilon_m \sim N(0, \sigma^2)

    `H` upsamples and stretches to [0, 1] as in `score_cam`. Channels with a constant
    map are left out, of the softmax too.

    Args:
      question: The images and what is asked; noise comes from their keys.
      activations: float[B, h, w, C].
      samples: Noisy copies of each channel, at least 1.
      noise: Standard deviation, in units of the activations.
      chunk: Masked images in memory at a time.

    Returns:
      float32[B, h, w], non-negative.

    Cost: `samples` times C forward passes an image, less those of constant channels.

    Source: H. Wang et al., "SS-CAM: smoothed Score-CAM for sharper visual feature
    localization", 2020 (arXiv:2006.14255), the variant with noise on the activations;
    35 samples and noise of 2 are the defaults of its implementation in torch-cam,
    which adds the noise after stretching.
    """
    maps = jnp.moveaxis(activations, -1, 1)

    def score(rows: Array) -> Array:
        images, channels = jnp.divmod(rows, maps.shape[1])

        def add(total, sample):
            number = channels * samples + sample
            drawn = _noise(question.keys[images], number, maps.shape[2:])
            masks = _masks(question, maps[images, channels] + noise * drawn)
            logits = question.logits_of(_through(question, images, masks))
            return total + question.scores(logits, images), None

        zeros = jnp.zeros(rows.shape, jnp.float32)
        return jax.lax.scan(add, zeros, jnp.arange(samples))[0] / samples

    weights = _scores(score, _live(maps), chunk=chunk)
    return _weighed(_softmax_of_live(weights, _live(maps)), activations)


def is_cam(
    question: Question, activations: Array, *, steps: int = 10, chunk: int = 16
) -> Array:
    r"""Score-CAM whose weights are averaged while the mask grows to full strength.

    .. math::
      S = \mathrm{ReLU}\left(\sum_k w_k A_k\right), \qquad
      w_k = \mathrm{softmax}_k \left(\frac{1}{n} \sum_{i=1}^{n}
        y\left(\tfrac{i}{n}\, x \odot H_k\right)\right)

    `H` is that of `score_cam`. Channels with a constant map are left out, of the
    softmax too.

    Args:
      question: The images and what is asked.
      activations: float[B, h, w, C].
      steps: Strengths of the mask `n`, at least 1.
      chunk: Masked images in memory at a time.

    Returns:
      float32[B, h, w], non-negative.

    Cost: `steps` times C forward passes an image, less those of constant channels.

    Source: R. Naidu et al., "IS-CAM: integrated Score-CAM for axiomatic-based
    explanations", 2020 (arXiv:2010.03023). The paper prints the masks as partial sums
    of i/n, which exceed full strength; integration from nothing to the mask is what it
    describes, and what is done here.
    """
    maps = jnp.moveaxis(activations, -1, 1)

    def score(rows: Array) -> Array:
        images, channels = jnp.divmod(rows, maps.shape[1])
        masks = _masks(question, maps[images, channels])
        masked = _through(question, images, masks)

        def add(total, step):
            logits = question.logits_of((step / steps).astype(masked.dtype) * masked)
            return total + question.scores(logits, images), None

        zeros = jnp.zeros(rows.shape, jnp.float32)
        strengths = jnp.arange(1, steps + 1, dtype=jnp.float32)
        return jax.lax.scan(add, zeros, strengths)[0] / steps

    weights = _scores(score, _live(maps), chunk=chunk)
    return _weighed(_softmax_of_live(weights, _live(maps)), activations)


def group_cam(
    question: Question,
    activations: Array,
    gradients: Array,
    *,
    groups: int = 32,
    blur_radius: int = 25,
    blur_sigma: float = 50.0,
    chunk: int = 16,
) -> Array:
    r"""Score-CAM with groups of gradient-weighted channels for masks.

    .. math::
      S = \sum_g \mathrm{ReLU}\left(p(x_g) - p(\tilde x)\right) M_g, \qquad
      x_g = x \odot H_g + \tilde x \odot (1 - H_g), \qquad
      M_g = \mathrm{ReLU}\left(\sum_{k \in g} \bar G_k A_k\right)

    The groups are runs of neighbouring channels; `G` bar is the gradient's mean over
    space, `H` is `M` upsampled and stretched to [0, 1], `x` tilde the blurred image and
    `p` the softmax probability of the class. A group whose map is constant is skipped.

    Args:
      question: The images and what is asked. A target that is a function of logits is
        read from probabilities here.
      activations: float[B, h, w, C].
      gradients: float[B, h, w, C], gradient of the score in them.
      groups: Number of groups, at least 1, as far as channels suffice.
      blur_radius: Half width of the blur's window, 25 for a window of 51.
      blur_sigma: Standard deviation of the blur, in pixels.
      chunk: Masked images in memory at a time.

    Returns:
      float32[B, h, w], non-negative.

    Cost: 2 + `groups` forward passes an image, 1 backward down to the layer.

    Source: Q. Zhang, L. Rao and Y. Yang, "Group-CAM: group score-weighted visual
    explanations for deep convolutional networks", 2021 (arXiv:2103.13859), as the
    authors' released code has it; there is no further denoising of the masks.
    """
    channels = activations.shape[-1]
    size = -(-channels // min(groups, channels))
    alpha = jnp.mean(gradients, axis=(1, 2), keepdims=True)
    padding = [(0, 0)] * 3 + [(0, -channels % size)]
    weighed = jnp.pad(alpha * activations, padding)
    summed = weighed.reshape(*weighed.shape[:3], -1, size).sum(axis=-1)
    maps = jax.nn.relu(jnp.moveaxis(summed, -1, 1))
    blurred = _blur(question.x, blur_radius, blur_sigma)
    base = question.probabilities(question.logits_of(blurred))

    def score(rows: Array) -> Array:
        images, group = jnp.divmod(rows, maps.shape[1])
        masks = _masks(question, maps[images, group])[..., None]
        seen = masks * question.x[images] + (1 - masks) * blurred[images]
        probabilities = question.probabilities(question.logits_of(seen), images)
        return jax.nn.relu(probabilities - base[images])

    weights = _scores(score, _live(maps), chunk=chunk)
    return jnp.einsum("bg,bghw->bhw", weights, maps)


def _live(maps: Array) -> Array:
    """bool[B, C]: the map is not constant, so that it makes a mask."""
    return jnp.max(maps, axis=(2, 3)) > jnp.min(maps, axis=(2, 3))


def _scores(score: Callable[[Array], Array], live: Array, *, chunk: int) -> Array:
    """float32[B, C]: the score of every live channel, 0 elsewhere."""
    flat = chunks.live_rows(score, live.reshape(-1), chunk=chunk, fill=0.0)
    return flat.reshape(live.shape)


def _masks(question: Question, maps: Array) -> Array:
    """float[N, H, W]: maps upsampled to the image, each stretched to [0, 1]."""
    shape = question.x.shape[1:3]
    upsampled = jax.vmap(lambda m: ops.resize(m, shape))(maps)
    low = jnp.min(upsampled, axis=(1, 2), keepdims=True)
    span = jnp.max(upsampled, axis=(1, 2), keepdims=True) - low
    masks = (upsampled - low) / jnp.where(span > 0, span, 1.0)
    return masks.astype(question.x.dtype)


def _through(question: Question, images: Array, masks: Array) -> Array:
    return question.x[images] * masks[..., None]


def _softmax_of_live(weights: Array, live: Array) -> Array:
    """Softmax over the live channels; all zero where none is."""
    shifted = jnp.where(live, weights, -jnp.inf)
    top = jnp.max(shifted, axis=1, keepdims=True)
    powers = jnp.exp(shifted - jnp.where(jnp.isneginf(top), 0.0, top))
    total = jnp.sum(powers, axis=1, keepdims=True)
    return powers / jnp.where(total == 0, 1.0, total)


def _weighed(weights: Array, activations: Array) -> Array:
    return jax.nn.relu(jnp.einsum("bk,bhwk->bhw", weights, activations))


def _noise(keys: Array, numbers: Array, shape: tuple[int, ...]) -> Array:
    """float32[N, *shape]: standard normal noise, the given number of each key's."""

    def one(key: Array, number: Array) -> Array:
        return jax.random.normal(jax.random.fold_in(key, number), shape, jnp.float32)

    return jax.vmap(one)(keys, numbers)


def _blur(x: Array, radius: int, sigma: float) -> Array:
    """Gaussian blur, the image continued by reflection; float[B, H, W, C]."""
    radius = min(radius, *(side - 1 for side in x.shape[1:3]))
    offsets = jnp.arange(-radius, radius + 1, dtype=jnp.float32)
    kernel = jnp.exp(-jnp.square(offsets / sigma) / 2)
    kernel = (kernel / jnp.sum(kernel)).astype(x.dtype)
    for axis in (1, 2):
        pad = [(radius, radius) if i == axis else (0, 0) for i in range(4)]
        padded = jnp.moveaxis(jnp.pad(x, pad, mode="reflect"), axis, -1)
        rows = padded.reshape(-1, padded.shape[-1])
        rows = jax.vmap(lambda r: jnp.convolve(r, kernel, mode="valid"))(rows)
        x = jnp.moveaxis(rows.reshape(*padded.shape[:-1], -1), -1, axis)
    return x


SPECS = (
    _spec.MethodSpec(
        fn=score_cam,
        kind="model",
        inputs=("question", "activations"),
        source="Wang et al. 2020",
        cost="1 + C forward",
        layer="feature",
        static=("variant", "chunk"),
    ),
    _spec.MethodSpec(
        fn=ss_cam,
        kind="model",
        inputs=("question", "activations"),
        source="Wang et al. 2020",
        cost="1 + `samples` C forward",
        layer="feature",
        static=("samples", "chunk"),
    ),
    _spec.MethodSpec(
        fn=is_cam,
        kind="model",
        inputs=("question", "activations"),
        source="Naidu et al. 2020",
        cost="1 + `steps` C forward",
        layer="feature",
        static=("steps", "chunk"),
    ),
    _spec.MethodSpec(
        fn=group_cam,
        kind="model",
        inputs=("question", "activations", "gradients"),
        source="Zhang et al. 2021",
        cost="2 + `groups` forward, 1 backward through what lies above the layer",
        layer="feature",
        static=("groups", "blur_radius", "chunk"),
    ),
)
