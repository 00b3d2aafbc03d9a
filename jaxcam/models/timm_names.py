"""From the names that timm gives parameters to those of torchvision.

Each function takes the arrays of a state dict by name. What it does not know keeps its
name, for the converter to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

Arrays = dict[str, np.ndarray]


def _renamed(arrays: Arrays, modules: Mapping[str, str]) -> Arrays:
    """Arrays whose modules have other names."""
    found = {}
    for key, array in arrays.items():
        module, dot, leaf = key.rpartition(".")
        found[f"{modules.get(module, module)}{dot}{leaf}"] = array
    return found


def vgg(arrays: Arrays) -> Arrays:
    """The first two linear maps are convolutions over the whole map in timm."""
    names = {
        "pre_logits.fc1": "classifier.0",
        "pre_logits.fc2": "classifier.3",
        "head.fc": "classifier.6",
    }
    flat = {
        key: array.reshape(len(array), -1)
        for key, array in arrays.items()
        if key.startswith("pre_logits.") and key.endswith(".weight")
    }
    return _renamed(arrays | flat, names)


def convnext(arrays: Arrays) -> Arrays:
    """Stages and blocks are numbered apart in timm; the layer scale is a vector."""
    parts = {"conv_dw": 0, "norm": 2, "mlp.fc1": 3, "mlp.fc2": 5}
    names = {"stem.0": "features.0.0", "stem.1": "features.0.1"}
    names |= {"head.norm": "classifier.0", "head.fc": "classifier.2"}
    scales = {}
    for key in arrays:
        block = re.fullmatch(r"(stages\.(\d)\.blocks\.(\d+))\.(.+)\.\w+", key)
        scale = re.fullmatch(r"stages\.(\d)\.blocks\.(\d+)\.gamma", key)
        between = re.fullmatch(r"(stages\.(\d)\.downsample\.(\d))\.\w+", key)
        if block is not None and block[4] in parts:
            place = f"features.{2 * int(block[2]) + 1}.{block[3]}"
            names[f"{block[1]}.{block[4]}"] = f"{place}.block.{parts[block[4]]}"
        elif scale is not None:
            place = f"features.{2 * int(scale[1]) + 1}.{scale[2]}"
            scales[key] = f"{place}.layer_scale"
        elif between is not None:
            names[between[1]] = f"features.{2 * int(between[2])}.{between[3]}"
    rest = {key: array for key, array in arrays.items() if key not in scales}
    columns = {scales[key]: arrays[key].reshape(-1, 1, 1) for key in scales}
    return _renamed(rest, names) | columns


def vision_transformer(arrays: Arrays) -> Arrays:
    """Blocks, tokens and the packed attention have other names in timm."""
    names = {"patch_embed.proj": "conv_proj", "norm": "encoder.ln"}
    names["head"] = "heads.head"
    parts = {
        "norm1": "ln_1",
        "attn.proj": "self_attention.out_proj",
        "norm2": "ln_2",
        "mlp.fc1": "mlp.0",
        "mlp.fc2": "mlp.3",
    }
    whole = {"cls_token": "class_token", "pos_embed": "encoder.pos_embedding"}
    for key in arrays:
        block = re.fullmatch(r"(blocks\.(\d+))\.(.+)\.(\w+)", key)
        if block is None:
            continue
        place = f"encoder.layers.encoder_layer_{block[2]}"
        if block[3] in parts:
            names[f"{block[1]}.{block[3]}"] = f"{place}.{parts[block[3]]}"
        elif block[3] == "attn.qkv":
            whole[key] = f"{place}.self_attention.in_proj_{block[4]}"
    return _renamed({whole.get(key, key): a for key, a in arrays.items()}, names)


def mobilenet_v2(arrays: Arrays) -> Arrays:
    """Blocks are numbered through; a projection has no unit of its own."""
    names = {"conv_stem": "features.0.0", "bn1": "features.0.1"}
    blocks = _blocks(arrays)
    for number, (block, parts) in enumerate(blocks.items(), 1):
        *units, (last, norm) = _steps(parts)
        inside = f"features.{number}.conv"
        names |= _units(block, inside, units)
        names[f"{block}.{last}"] = f"{inside}.{len(units)}"
        names[f"{block}.{norm}"] = f"{inside}.{len(units) + 1}"
    end = f"features.{len(blocks) + 1}"
    names |= {"conv_head": f"{end}.0", "bn2": f"{end}.1", "classifier": "classifier.1"}
    return _renamed(arrays, names)


def mobilenet_v3(arrays: Arrays) -> Arrays:
    """Blocks are numbered through; the head's first map is a convolution in timm."""
    names = {"conv_stem": "features.0.0", "bn1": "features.0.1"}
    for number, (block, parts) in enumerate(_blocks(arrays).items(), 1):
        inside = f"features.{number}"
        if "conv" in parts:
            names |= {f"{block}.conv": f"{inside}.0", f"{block}.bn1": f"{inside}.1"}
        else:
            names |= _units(block, f"{inside}.block", _steps(parts))
    names |= {"conv_head": "classifier.0", "classifier": "classifier.3"}
    return _renamed(arrays, names)


def efficientnet(arrays: Arrays) -> Arrays:
    """Stages and blocks are numbered apart, in torchvision too."""
    names = {"conv_stem": "features.0.0", "bn1": "features.0.1"}
    last = 0
    for block, parts in _blocks(arrays).items():
        _, stage, number = block.split(".")
        last = int(stage) + 1
        names |= _units(block, f"features.{last}.{number}.block", _steps(parts))
    end = f"features.{last + 1}"
    names |= {"conv_head": f"{end}.0", "bn2": f"{end}.1", "classifier": "classifier.1"}
    return _renamed(arrays, names)


def _blocks(arrays: Arrays) -> dict[str, set[str]]:
    """What each block of an inverted residual network has, in their order."""
    found: dict[tuple[int, int], set[str]] = {}
    for key in arrays:
        match = re.match(r"blocks\.(\d+)\.(\d+)\.(\w+)\.", key)
        if match is not None:
            found.setdefault((int(match[1]), int(match[2])), set()).add(match[3])
    return {f"blocks.{s}.{b}": parts for (s, b), parts in sorted(found.items())}


def _steps(parts: set[str]) -> list[tuple[str, str]]:
    """Convolutions and their normalisations in order, squeeze and excitation between.

    A first block does not expand, and timm then counts its normalisations from there.
    """
    steps = [("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")]
    if "conv_pwl" not in parts:
        steps = [("conv_dw", "bn1"), ("conv_pw", "bn2")]
    if "se" in parts:
        steps.insert(-1, ("se.conv_reduce", "se.conv_expand"))
    return steps


def _units(block: str, inside: str, steps: list[tuple[str, str]]) -> dict[str, str]:
    """Names of the modules of each step."""
    names = {}
    for number, (first, second) in enumerate(steps):
        parts = ("fc1", "fc2") if first.startswith("se.") else ("0", "1")
        names[f"{block}.{first}"] = f"{inside}.{number}.{parts[0]}"
        names[f"{block}.{second}"] = f"{inside}.{number}.{parts[1]}"
    return names
