"""Every row of the catalogue: it builds, and what it names can be tapped."""

import jax
import numpy as np
import pytest
from flax import nnx

from jaxcam import models
from jaxcam.models import catalogue, convert, nnx_adapter, tapping
from jaxcam.models.zoo import layers

FAST = ("shapes_net", "squeezenet1_0", "squeezenet1_1", "resnet20", "vgg11")

# Outputs of residual blocks and stages, and the grids of what the rows name.
STAGES = {
    **{f"resnet{depth}": 4 for depth in (18, 34, 50, 101, 152)},
    **{f"resnet{depth}": 3 for depth in (20, 56)},
}
BLOCKS = {
    "resnet18": [f"layer{s}.{b}" for s in range(1, 5) for b in range(2)],
    "resnet50": [
        f"layer{s}.{b}" for s, n in enumerate((3, 4, 6, 3), 1) for b in range(n)
    ],
    "resnet152": [
        f"layer{s}.{b}" for s, n in enumerate((3, 8, 36, 3), 1) for b in range(n)
    ],
    "resnet20": [f"layer{s}.{b}" for s in (1, 2, 3) for b in range(3)],
    "resnet56": [f"layer{s}.{b}" for s in (1, 2, 3) for b in range(9)],
    "mobilenet_v2": [f"features.{n}" for n in range(19)],
    "mobilenet_v3_small": [f"features.{n}" for n in range(13)],
    "mobilenet_v3_large": [f"features.{n}" for n in range(17)],
    "efficientnet_b0": [
        *(f"features.{n}" for n in range(9)),
        *(f"features.{s}.{b}" for s, n in ((2, 2), (4, 3), (6, 4)) for b in range(n)),
    ],
    "densenet121": [
        *(f"features.denseblock{n}" for n in (1, 2, 3, 4)),
        *(f"features.denseblock4.denselayer{n}" for n in range(1, 17)),
        *(f"features.transition{n}" for n in (1, 2, 3)),
    ],
    "convnext_tiny": [
        f"features.{s}.{b}"
        for s, n in ((1, 3), (3, 3), (5, 9), (7, 3))
        for b in range(n)
    ],
    "xception": [f"block{n}" for n in range(1, 13)],
    "inception_v3": ["Mixed_5b", "Mixed_6a", "Mixed_6e", "Mixed_7a", "Mixed_7c"],
    "vit_b_16": [f"encoder.layers.encoder_layer_{n}" for n in range(12)],
    "deit_small_patch16_224": [f"blocks.{n}" for n in range(12)],
}
GRIDS = {"shapes_net": (16, 16), "resnet20": (8, 8), "resnet56": (8, 8)} | {
    "squeezenet1_0": (13, 13),
    "squeezenet1_1": (13, 13),
    "darknet_tiny": (14, 14),
    "inception_v3": (8, 8),
    "xception": (10, 10),
    "vit_b_16": (14, 14),
    "deit_small_patch16_224": (14, 14),
    "deit_base_patch16_224": (14, 14),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
        for name in catalogue.ROWS
    ],
)
def test_named_layers_and_every_block_can_be_tapped(name):
    """By shapes alone: nothing is computed."""
    row = catalogue.ROWS[name]
    module = nnx.eval_shape(lambda: row.build(nnx.Rngs(0)))
    structure, params = nnx.split(module)
    call = nnx_adapter.tapped_call(structure, type(module))
    shape = (1, *row.input.size, row.input.channels)
    shapes, _, hidden = tapping.list_layers(call, params, shape)
    assert not hidden
    assert shapes[row.default_layer][1:3] == GRIDS.get(name, (7, 7))
    assert shapes[row.cam_layer][1:3] == GRIDS.get(name, (7, 7))
    blocks = BLOCKS.get(name, [])
    blocks += [f"layer{number + 1}" for number in range(STAGES.get(name, 0))]
    assert set(blocks) <= set(shapes)
    logits = jax.eval_shape(
        lambda p, x: call(p, x, tapping.Taps()),
        params,
        jax.ShapeDtypeStruct(shape, "f4"),
    )
    classes = {"shapes": 8, "cifar10": 10}.get(row.label_set, 1000)
    assert logits.shape == (1, classes)


def test_bicubic_images_are_resized_as_a_cubic_does():
    spec = {"size": (8, 8), "resize": "squash"}
    module = models.load("shapes_net")
    image = np.random.default_rng(0).random((1, 24, 24, 3)).astype(np.float32)
    made = {}
    for interpolation in ("bilinear", "bicubic"):
        own = models.InputSpec(**spec, interpolation=interpolation)
        made[interpolation] = models.Model(
            name="", params=None, network=module.network, input=own, layers=()
        ).preprocess(image)
    cubic = jax.image.resize(image, (1, 8, 8, 3), "cubic", antialias=True)
    np.testing.assert_allclose(made["bicubic"], cubic.clip(0, 1), atol=1e-6)
    assert np.abs(made["bicubic"] - made["bilinear"]).max() > 0.01


@pytest.mark.parametrize(("length", "side"), [(3, 7), (7, 7), (14, 7), (10, 4)])
def test_adaptive_means_are_those_of_their_windows(length, side):
    x = np.random.default_rng(0).random((1, length, length, 2)).astype(np.float32)
    actual = layers.adaptive_mean(x, side)
    for i in range(side):
        rows = slice(i * length // side, -(-(i + 1) * length // side))
        for j in range(side):
            columns = slice(j * length // side, -(-(j + 1) * length // side))
            expected = x[0, rows, columns].mean((0, 1))
            np.testing.assert_allclose(actual[0, i, j], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("key", "shape", "place"),
    [
        ("a.denselayer2.norm.1.weight", (4,), ("a.denselayer2.norm1.scale", "as is")),
        (
            "a.denselayer2.conv.2.weight",
            (4,) * 4,
            ("a.denselayer2.conv2.kernel", "OIHW"),
        ),
        (
            "e.encoder_layer_0.mlp.linear_1.bias",
            (4,),
            ("e.encoder_layer_0.mlp.0.bias", "as is"),
        ),
        (
            "e.encoder_layer_0.mlp.linear_2.weight",
            (4, 4),
            ("e.encoder_layer_0.mlp.3.kernel", "OI"),
        ),
        ("s.in_proj_weight", (12, 4), ("s.in_proj.kernel", "OI")),
        ("s.in_proj_bias", (12,), ("s.in_proj.bias", "OI")),
        ("f.layer_scale", (4, 1, 1), ("f.layer_scale.scale", "C11")),
        ("AuxLogits.fc.weight", (4, 4), None),
    ],
)
def test_names_of_old_and_of_packed_parameters(key, shape, place):
    assert convert.torch_names({})(key, np.zeros(shape)) == place
