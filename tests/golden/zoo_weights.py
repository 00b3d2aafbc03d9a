"""Weights and images that `make_zoo.py` and the tests of its file draw alike."""

import zlib

import numpy as np

# Rows and columns of the images: odd and unequal where a network takes any, so that a
# wrong rounding of a stride, or rows in place of columns, shows.
SIDES = {
    "inception_v3": (139, 171),
    "vit_b_16": (224, 224),
    "deit_small_patch16_224": (224, 224),
    "deit_base_patch16_224": (224, 224),
    "resnet20": (32, 32),
    "resnet56": (32, 32),
}
USUAL_SIDES = (97, 129)

CLASSES = {"resnet20": (3, 5), "resnet56": (3, 5)}
USUAL_CLASSES = (281, 207)


def classes(name):
    """Of which class the Grad-CAM maps of the two images are."""
    return CLASSES.get(name, USUAL_CLASSES)


STEP = 20
"""Of 1000 logits only every twentieth is stored."""


def base(name):
    """The network of a name that may say whose form of it is meant."""
    return name.partition(".")[0]


def images(name):
    """float64[2, rows, columns, 3] in [0, 1]: coloured patches with noise on them."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    rows, columns = SIDES.get(base(name), USUAL_SIDES)
    coarse = rng.random((2, 7, 9, 3))
    patches = coarse[:, np.arange(rows) * 7 // rows][
        :, :, np.arange(columns) * 9 // columns
    ]
    return 0.8 * patches + 0.2 * rng.random((2, rows, columns, 3))


def state_dict(shapes, gain):
    """Arrays under the names of a torch state dict.

    Each is drawn from its own name. Variances are small, so that the constant that is
    added to them counts; statistics and biases are large enough to count beside what
    comes in.

    Args:
      shapes: `{name: shape}`.
      gain: By how much a convolution followed by its normalisation multiplies the mean
        square of what it reads.
    """
    return {
        name: _drawn(name, tuple(shape), shapes, gain) for name, shape in shapes.items()
    }


def _drawn(name, shape, shapes, gain):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    module, _, leaf = name.rpartition(".")
    if leaf == "num_batches_tracked":
        return np.array(1)
    if len(shape) == 2 or len(shape) == 4:
        scale = np.sqrt((gain if len(shape) == 4 else 1.0) / np.prod(shape[1:]))
        value = rng.standard_normal(shape, np.float32) * np.float32(scale)
    elif leaf == "running_var":
        value = rng.uniform(0.1, 0.5, shape)
    elif leaf == "weight" and f"{module}.running_var" in shapes:
        value = rng.uniform(0.3, 0.7, shape)
    elif leaf == "weight":
        value = rng.uniform(0.5, 1.5, shape)
    elif leaf in ("layer_scale", "gamma"):
        value = rng.uniform(0.2, 0.8, shape)
    elif leaf in ("bias", "in_proj_bias", "running_mean"):
        value = rng.normal(0, 0.2, shape)
    else:  # Tokens and positions.
        value = rng.normal(0, 0.02, shape)
    return value.astype(np.float32)


SUMMING = ("resnet", "xception", "convnext", "vit", "deit")


def gain_of(name):
    """1 where long rows of shortcuts add up; else 2, which a rectifier halves."""
    if base(name) == "mobilenet_v3_large":
        return 1.5  # At 2 its rounding errors grow to half of what is allowed.
    return 1.0 if name.startswith(SUMMING) else 2.0
