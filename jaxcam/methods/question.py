"""What a method may ask of a model: scores of altered images and activations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from jaxcam import _checks
from jaxcam._types import Array, PyTree

Score: TypeAlias = Callable[[Array, PyTree], Array]
"""What is explained: `(logits float[K], target) -> float[]` of one image."""


def class_logit(logits: Array, target: Array) -> Array:
    """The logit of one class, the default score.

    Args:
      logits: float[K], of one image.
      target: int[], the class.

    Returns:
      float[], the score.

    >>> print(class_logit(jnp.array([1.0, 3.0]), 1))
    3.0
    """
    return logits[target]


def class_contrast(logits: Array, target: Array) -> Array:
    """How much more one class is seen than another: `logits[a] - logits[b]`.

    Args:
      logits: float[K], of one image.
      target: int[2], the classes a and b.

    Returns:
      float[], the score.

    >>> print(class_contrast(jnp.array([1.0, 3.0]), jnp.array([1, 0])))
    2.0
    """
    return logits[target[0]] - logits[target[1]]


@dataclasses.dataclass(frozen=True, eq=False)
class Question:
    """A batch of images, what is asked about each, and the model that answers.

    Attributes:
      model: Its `apply` is used.
      params: The model's parameters.
      x: float[B, H, W, C], preprocessed images.
      targets: What is explained in each image, leading axis B: int32[B] for classes.
      score: See `Score`.
      keys: One PRNG key an image.
      layer: The tapped layer, "" for a method that taps none.
    """

    model: Any
    params: PyTree
    x: Array
    targets: PyTree
    score: Score
    keys: Array
    layer: str = ""

    def targets_of(self, rows: Array | None = None) -> PyTree:
        """What is asked of some images.

        Args:
          rows: int32[N], positions of the images; all of them by default.

        Returns:
          Targets, leading axis N.
        """
        if rows is None:
            return self.targets
        return jax.tree.map(lambda t: t[rows], self.targets)

    def scores(self, logits: Array, rows: Array | None = None) -> Array:
        """The score of each row of logits.

        Args:
          logits: float[N, K].
          rows: int32[N], the images that they belong to; all of them by default.

        Returns:
          float32[N].
        """
        logits = logits.astype(jnp.float32)
        return jax.vmap(self.score)(logits, self.targets_of(rows))

    def probabilities(self, logits: Array, rows: Array | None = None) -> Array:
        """The score read from softmax probabilities instead of logits.

        Args:
          logits: float[N, K].
          rows: int32[N], the images that they belong to; all of them by default.

        Returns:
          float32[N]; in [0, 1] where the score is a class's.
        """
        return self.scores(jax.nn.softmax(logits.astype(jnp.float32)), rows)

    def logits_of(self, x: Array) -> Array:
        """Logits of any batch of images.

        Args:
          x: float[N, H, W, C], preprocessed.

        Returns:
          float[N, K].
        """
        return self.model.apply(self.params, x)[0]

    def x_gradients(self, x: Array) -> Array:
        """Gradient of the scores of other images in them.

        Args:
          x: float[B, H, W, C], preprocessed, asked what these images are asked.

        Returns:
          float32[B, H, W, C].
        """

        def total(x: Array) -> Array:
            return jnp.sum(self.scores(self.logits_of(x)))

        return jax.grad(total)(x).astype(jnp.float32)

    def layer_gradients(self, x: Array) -> Array:
        """Gradient of other images' scores in the tapped layer.

        Args:
          x: float[B, H, W, C], preprocessed, asked what these images are asked.

        Returns:
          float32[B, h, w, C].
        """

        def total(offset: Array) -> Array:
            edit = {self.layer: lambda a: a + offset}
            return jnp.sum(self.scores(self.model.apply(self.params, x, edit=edit)[0]))

        return jax.grad(total)(self.layer_zeros(x)).astype(jnp.float32)

    def layer_zeros(self, x: Array) -> Array:
        """Zeros like the tapped layer's activation.

        Args:
          x: float[B, H, W, C], preprocessed.

        Returns:
          float[B, h, w, C], of the activation's dtype.
        """
        shape = jax.eval_shape(
            lambda params, x: self.model.apply(params, x, keep=(self.layer,))[1],
            self.params,
            x,
        )[self.layer]
        return jnp.zeros(shape.shape, shape.dtype)

    def baseline(self, name: str) -> Array:
        """An image that shows nothing.

        Args:
          name: "black", the image; or "zero" in the preprocessed space.

        Returns:
          float[1, H, W, C], preprocessed.

        Raises:
          ValueError: `name` is another word.
        """
        _checks.choice("baseline", name, ("black", "zero"))
        zeros = jnp.zeros((1, *self.x.shape[1:]), self.x.dtype)
        if name == "zero":
            return zeros
        return self.model.preprocess(zeros).astype(self.x.dtype)

    def noisy(self, sample: Array, noise: float) -> Array:
        """The images with the noise of one sample, drawn from their keys.

        Args:
          sample: int[], number of the sample.
          noise: Standard deviation, as a share of each image's range.

        Returns:
          float[B, H, W, C], preprocessed.
        """

        def one(x: Array, key: Array) -> Array:
            drawn = jax.random.normal(jax.random.fold_in(key, sample), x.shape, x.dtype)
            return x + noise * (jnp.max(x) - jnp.min(x)) * drawn

        return jax.vmap(one)(self.x, self.keys)

    def head(self, activation: Array, rows: Array | None = None) -> Array:
        """Logits when the tapped layer's activation is `activation`.

        What lies below the layer is not computed unless a connection bypasses it.

        Args:
          activation: float[N, h, w, C].
          rows: int32[N], the images they belong to; all of them by default.

        Returns:
          float[N, K].
        """
        x = self.x if rows is None else self.x[rows]

        def given(a: Array) -> Array:
            return activation.astype(a.dtype)

        return self.model.apply(self.params, x, edit={self.layer: given})[0]


def score_gradient(score: Score, logits: Array, targets: PyTree) -> Array:
    """float[B, K]: gradient of each score in its logits, one-hot for a class."""

    def total(logits: Array) -> Array:
        return jnp.sum(jax.vmap(score)(logits.astype(jnp.float32), targets))

    return jax.grad(total)(logits)
