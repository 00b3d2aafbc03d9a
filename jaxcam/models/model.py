"""A network with everything needed to ask it about images."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam._types import Array, Edit, Network, PyTree

_RESIZING = {"bilinear": "bilinear", "bicubic": "cubic"}


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """What a network expects of an image.

    Attributes:
      size: Rows and columns, H and W.
      channels: Number of channels, C.
      mean: Subtracted from values in [0, 1], a number a channel or one for all.
      std: Divided by, likewise; positive.
      resize: How images of another shape are brought to `size`: the whole image
        squashed, or its centre cropped.
      crop_fraction: Crop size over resized size, in (0, 1], under "crop".
      interpolation: How images are resized, antialiased where they shrink.

    >>> InputSpec(size=(224, 224), mean=(0.5,), std=(0.5,)).resize
    'squash'
    """

    size: tuple[int, int]
    channels: int = 3
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: Literal["squash", "crop"] = "squash"
    crop_fraction: float = 1.0
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A network, its parameters, and what is known about its inputs and outputs.

    `jaxcam.models.load` and `jaxcam.models.wrap` make one. Called with images
    uint8[B, H, W, C], or float[B, H, W, C] in [0, 1], it gives logits float[B, K].

    Attributes:
      name: What it is called in tables.
      params: Parameters, a pytree; an argument of every compiled function.
      network: See `jaxcam._types.Network`.
      input: What it expects of images.
      layers: Names of the layers with a spatial activation, in order of execution.
      default_layer: The last spatial feature map; gradient methods tap it.
      cam_layer: The map that global average pooling reads; `cam` taps it.
      class_names: Names of the outputs, if known.
      label_set: Which classes the outputs stand for: "imagenet", "cifar10", "shapes".
      class_to_output: Output of each class of the label set, where they differ; -1 for
        a class without one.
      trained: False for random parameters.
      provenance: Where the parameters come from; part of every manifest.

    >>> model = jaxcam.models.load("shapes_net")
    >>> model.input.size, len(model.class_names), model.default_layer in model.layers
    ((64, 64), 8, True)
    """

    name: str
    params: PyTree = dataclasses.field(repr=False)
    network: Network = dataclasses.field(repr=False)
    input: InputSpec
    layers: tuple[str, ...]
    default_layer: str | None = None
    cam_layer: str | None = None
    class_names: tuple[str, ...] | None = dataclasses.field(default=None, repr=False)
    label_set: str | None = None
    class_to_output: np.ndarray | None = dataclasses.field(default=None, repr=False)
    trained: bool = True
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def description(self) -> dict[str, Any]:
        """What its answers depend on, for manifests: JSON values.

        Beside where the parameters come from: what is done to images, which layers are
        tapped where none is named, and what the outputs are called.

        >>> net = jaxcam.models.load("shapes_net")
        >>> net.description["input"]["size"], net.description["layers"]["cam"]
        ((64, 64), 'features.13')
        """
        outputs = (
            None if self.class_to_output is None else self.class_to_output.tolist()
        )
        classes = repr((self.class_names, outputs)).encode()
        return {
            **self.provenance,
            "input": dataclasses.asdict(self.input),
            "layers": {"default": self.default_layer, "cam": self.cam_layer},
            "label_set": self.label_set,
            "classes": hashlib.sha256(classes).hexdigest()[:16],
        }

    def apply(
        self,
        params: PyTree,
        x: Array,
        *,
        edit: Mapping[str, Edit] | None = None,
        keep: tuple[str, ...] = (),
    ) -> tuple[Array, dict[str, Array]]:
        """Logits of preprocessed images, and the activations of the layers in `keep`.

        Args:
          params: Parameters, as `self.params`.
          x: float[B, H, W, C], as `preprocess` makes them.
          edit: Functions `float[B, h, w, C] -> float[B, h, w, C]` applied to the
            activations of layers, by layer.
          keep: Layers whose activations, after their edits, are returned.

        Returns:
          Logits float[B, K], and `{layer: float[B, h, w, C]}` of the layers in `keep`.

        Raises:
          ValueError: There is no such layer in `edit` or `keep`.

        >>> model = jaxcam.models.load("shapes_net")
        >>> x = model.preprocess(np.zeros((1, 64, 64, 3), np.uint8))
        >>> off = {model.default_layer: lambda a: 0 * a}
        >>> _, kept = model.apply(model.params, x, edit=off, keep=tuple(off))
        >>> print(kept[model.default_layer].max())
        0.0
        """
        return self.network(params, x, edit=edit, keep=tuple(keep))

    def preprocess(self, images: Array) -> Array:
        """Images as the network expects them.

        Args:
          images: uint8[B, H, W, C], or floating point in [0, 1]. Images of another size
            are squashed to the network's, antialiased, by its interpolation.

        Returns:
          float32[B, *size, C], `(x - mean) / std`.

        Raises:
          TypeError: `images` is neither uint8 nor floating point.
          ValueError: `images` is not (B, H, W, C), or has another number of channels.

        >>> model = jaxcam.models.load("shapes_net")
        >>> model.preprocess(np.zeros((1, 32, 48, 3), np.uint8)).shape
        (1, 64, 64, 3)
        """
        images = jnp.asarray(images)
        if images.ndim != 4 or images.shape[-1] != self.input.channels:
            raise ValueError(
                f"images must have shape (B, H, W, {self.input.channels}) but have "
                f"shape {images.shape}; stack single images with images[None]."
            )
        if images.dtype == jnp.uint8:
            x = images.astype(jnp.float32) / 255.0
        elif jnp.issubdtype(images.dtype, jnp.floating):
            x = images.astype(jnp.float32)
        else:
            raise TypeError(
                f"images must be uint8 or floating point in [0, 1], not {images.dtype}."
            )
        if images.shape[1:3] != self.input.size:
            shape = (len(images), *self.input.size, self.input.channels)
            method = _RESIZING[self.input.interpolation]
            x = jax.image.resize(x, shape, method, antialias=True)
            if method == "cubic":
                x = jnp.clip(x, 0.0, 1.0)  # It overshoots; no image does.
        mean = jnp.asarray(self.input.mean, jnp.float32)
        std = jnp.asarray(self.input.std, jnp.float32)
        return (x - mean) / std

    def __call__(self, images: Array) -> Array:
        """float[B, K], logits of images."""
        return self.apply(self.params, self.preprocess(images))[0]
