"""From arrays under their original names to the parameters of a network.

One converter for every source: each key is used, each parameter set, each shape
checked; what cannot be placed is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Place = tuple[str, str] | None
"""Path of a parameter and the source's layout, or `None` for a key to leave out."""

Rename = Callable[[str, np.ndarray], Place]

_AXES = {
    "as is": None,
    "HWIO": None,
    "OIHW": (2, 3, 1, 0),
    "OHWI": (1, 2, 3, 0),
    "1HWC": (1, 2, 0, 3),
    "OI": (1, 0),
    "C11": None,
}

_TORCH_NORM = {"weight": "scale", "running_mean": "mean", "running_var": "var"}


def convert(
    source: Mapping[str, np.ndarray],
    wanted: Mapping[str, Any],
    rename: Rename,
    *,
    network: str,
) -> dict[str, np.ndarray]:
    """Parameters by path, in the layout of the network.

    Args:
      source: Arrays under their original names.
      wanted: What the network has: shapes by path.
      rename: From an original name to its place; a `KeyError` says there is none.
      network: Its name, for messages.

    Returns:
      float32 arrays by path, one for each of `wanted`.

    Raises:
      ValueError: A key has no place, a parameter is missing or set twice, a shape
        differs, or something else than finite floating point numbers is there.
    """
    placed: dict[str, np.ndarray] = {}
    for key, array in source.items():
        try:
            place = rename(key, array)
        except (KeyError, IndexError) as error:
            raise ValueError(_no_place(key, network)) from error
        if place is None:
            continue
        path, layout = place
        if path not in wanted:
            raise ValueError(_no_place(key, network))
        if path in placed:
            raise ValueError(f"{key!r} is the second key of the weights for {path}.")
        value = _in_layout(array, layout, tuple(wanted[path].shape))
        if value.shape != tuple(wanted[path].shape):
            raise ValueError(
                f"{key!r} has shape {array.shape}, but {path} of {network} needs "
                f"{tuple(wanted[path].shape)}; these weights are of another network."
            )
        placed[path] = _finite(key, value)
    missing = sorted(set(wanted) - set(placed))
    if missing:
        raise ValueError(
            f"The weights set {len(placed)} of {len(wanted)} parameters of {network}; "
            f"{missing[0]} is missing. They are of another network, or incomplete."
        )
    return placed


def _no_place(key: str, network: str) -> str:
    return (
        f"The weights hold {key!r}, for which {network} has no place; they are of "
        "another network."
    )


def _finite(key: str, array: np.ndarray) -> np.ndarray:
    """float32 of floating point numbers, bfloat16 among them (kind V)."""
    if array.dtype.kind not in "fV":
        raise ValueError(
            f"{key!r} holds {array.dtype} instead of floating point numbers; give "
            "weights that are not quantised."
        )
    found = array.astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError(f"{key!r} holds NaN or infinity; give weights that are whole.")
    return found


def _in_layout(array: np.ndarray, layout: str, shape: tuple[int, ...]) -> np.ndarray:
    if layout == "C11" and array.shape[1:] == (1, 1):
        return array[:, 0, 0]
    axes = _AXES[layout]
    if axes is None or array.ndim != len(axes):
        return array
    array = np.transpose(array, axes)
    if len(shape) == 2 and array.shape[:2] == (1, 1):
        return array[0, 0]  # A 1 x 1 convolution after pooling is a linear map.
    return array


_PACKED = {"in_proj_weight": "kernel", "in_proj_bias": "bias"}
_AUXILIARY = "AuxLogits."


def _rewritten(module: str) -> str:
    """A module's name today, of one in an old file of torchvision's."""
    module = re.sub(r"(\.denselayer\d+\.(?:norm|conv))\.([12])$", r"\1\2", module)
    module = re.sub(r"(\.encoder_layer_\d+\.mlp)\.linear_1$", r"\1.0", module)
    return re.sub(r"(\.encoder_layer_\d+\.mlp)\.linear_2$", r"\1.3", module)


def torch_names(wanted: Mapping[str, Any]) -> Rename:
    """Names of a torch state dict, or the network's own, as jaxcam saves them.

    Also the names that published files of DenseNets and vision transformers still have,
    though torchvision itself has other ones since. Auxiliary classifiers, which only
    training reads, are left out.
    """

    def rename(key: str, array: np.ndarray) -> Place:
        if key in wanted:
            return key, "as is"
        key = key.removeprefix("module.")
        module, _, leaf = key.rpartition(".")
        if leaf == "num_batches_tracked" or key.startswith(_AUXILIARY):
            return None
        if leaf == "layer_scale":
            return f"{key}.scale", "C11"
        if leaf in _PACKED:
            return f"{module}.in_proj.{_PACKED[leaf]}", "OI"
        module = _rewritten(module)
        if leaf == "weight" and array.ndim == 4:
            return f"{module}.kernel", "OIHW"
        if leaf == "weight" and array.ndim == 2:
            return f"{module}.kernel", "OI"
        return f"{module}.{_TORCH_NORM.get(leaf, leaf)}", "as is"

    return rename


def squeezenet_mxnet(key: str, array: np.ndarray) -> Place:
    """Names of the ONNX model zoo's SqueezeNet 1.1, exported from MXNet."""
    match = re.fullmatch(r"squeezenet0_conv(\d+)_(weight|bias)", key)
    if match is None:
        raise KeyError(key)
    number, leaf = int(match[1]), match[2]
    if number == 0:
        module = "features.0"
    elif number == 25:
        module = "classifier.1"
    else:
        fire = (3, 4, 6, 7, 9, 10, 11, 12)[(number - 1) // 3]
        part = ("squeeze", "expand1x1", "expand3x3")[(number - 1) % 3]
        module = f"features.{fire}.{part}"
    return (
        (f"{module}.kernel", "OIHW")
        if leaf == "weight"
        else (f"{module}.bias", "as is")
    )


_DARKNET_UNITS = (0, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17, 18)
_KERAS_NORM = {
    "gamma": "scale",
    "beta": "bias",
    "moving_mean": "mean",
    "moving_variance": "var",
}


def darknet_keras(key: str, array: np.ndarray) -> Place:
    """Names of a Keras conversion of Tiny Darknet."""
    match = re.fullmatch(r"conv2d_(\d+)/(kernel|bias)", key)
    if match is not None:
        number = int(match[1])
        if number == 16:
            return f"classifier.{match[2]}", "HWIO" if match[2] == "kernel" else "as is"
        return f"features.{_DARKNET_UNITS[number - 1]}.conv.{match[2]}", "HWIO"
    match = re.fullmatch(r"batch_normalization_(\d+)/(\w+)", key)
    if match is None:
        raise KeyError(key)
    unit = _DARKNET_UNITS[int(match[1]) - 1]
    return f"features.{unit}.norm.{_KERAS_NORM[match[2]]}", "as is"


def mobilenet_tensorflow(key: str, array: np.ndarray) -> Place:
    """Names of TensorFlow's MobileNetV2 with batch normalisation folded in."""
    match = re.match(r"MobilenetV2/(\w+?)(?:_(\d+))?/(\w+)", key)
    if match is None:
        raise KeyError(key)
    scope, number, part = match[1], match[2], match[3]
    leaf = "kernel" if array.ndim == 4 else "bias"
    layout = "as is" if array.ndim == 1 else "OHWI"
    if scope == "Logits":
        return f"classifier.1.{leaf}", layout
    if scope == "Conv":
        return f"features.{18 if number else 0}.0.{leaf}", layout
    block = int(number or 0)
    steps = (
        ("depthwise", "project") if block == 0 else ("expand", "depthwise", "project")
    )
    step = steps.index(part) if part in steps else -1
    if scope != "expanded_conv" or step < 0:
        raise KeyError(key)
    module = f"features.{block + 1}.conv.{step}"
    if part == "project":
        return f"{module}.{leaf}", layout
    if part == "depthwise" and array.ndim == 4:
        layout = "1HWC"
    return f"{module}.0.{leaf}", layout
