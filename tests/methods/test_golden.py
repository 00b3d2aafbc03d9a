"""Maps of the peer libraries on really trained networks, made by `make_methods.py`.

The networks are run here from their descriptions, apart from the package's own models,
so that a disagreement is a method's.
"""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import _spec, methods
from jaxcam.models.model import InputSpec, Model

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
LAYERS = {
    "resnet20_cifar10": ("layer2.2.out", "layer3.2.out"),
    "squeezenet1_1": ("fire10", "fire22"),
}
SCALE = 1000.0


def batch_norm(x, p, bn):
    scale = p[bn["gamma"]] / jnp.sqrt(p[bn["var"]] + bn["eps"])
    return (x - p[bn["mean"]]) * scale + p[bn["beta"]]


def run_node(node, p, inputs):
    x = inputs[0]
    if node["op"] == "conv":
        layout = ("NHWC", "OIHW", "NHWC")
        pad = node["pad"] if isinstance(node["pad"], str) else list(node["pad"])
        stride = (node["stride"],) * 2
        x = jax.lax.conv_general_dilated(
            x, p[node["w"]], stride, pad, dimension_numbers=layout
        )
        x = x + p[node["b"]] if node["b"] else x
        x = batch_norm(x, p, node["bn"]) if "bn" in node else x
    elif node["op"] == "maxpool":
        window, step = ((1, n, n, 1) for n in (node["k"], node["stride"]))
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, step, "VALID")
    elif node["op"] == "linear":
        x = x @ p[node["w"]].T + p[node["b"]]
    elif node["op"] == "shortcutA":
        n = node["pad_channels"]
        x = jnp.pad(x[:, ::2, ::2], [(0, 0)] * 3 + [(n, n)])
    elif node["op"] == "add":
        x = x + inputs[1]
    elif node["op"] == "concat":
        x = jnp.concatenate(inputs, axis=-1)
    elif node["op"] == "gap":
        x = x.mean((1, 2))
    return jax.nn.relu(x) if node.get("act") == "relu" else x


def network(nodes, params, x, /, *, edit=None, keep=()):
    values = {"input": x}
    for node in nodes:
        inputs = [values[i] for i in node["inputs"]]
        out = run_node(node, params, inputs)
        values[node["out"]] = (edit or {}).get(node["out"], lambda a: a)(out)
    return values["logits"], {name: values[name] for name in keep}


@pytest.fixture(scope="module", params=LAYERS)
def case(request, shared_dir):
    """The peers' maps, the model and the images they were made of."""
    name = request.param
    folder = shared_dir / "weights" / name
    arch = json.loads((folder / "arch.json").read_text())
    params = {k: jnp.asarray(v) for k, v in np.load(folder / f"{name}.npz").items()}
    golden = dict(np.load(GOLDEN / f"methods_{name}.npz"))
    images = np.load(folder / "reference.npz")
    image = images[next(k for k in images.files if images[k].dtype == np.uint8)]
    spec = InputSpec(
        size=image.shape[1:3], mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    model = Model(
        name=name,
        params=params,
        network=functools.partial(network, arch["nodes"]),
        input=spec,
        layers=LAYERS[name],
        default_layer=LAYERS[name][-1],
    )
    return model, golden, model.preprocess(image[: len(golden["classes"])])


def explain(case, requests, *, score=methods.class_logit):
    model, golden, x = case

    @jax.jit
    def program(params, x):
        targets = jnp.asarray(golden["classes"].astype(np.int32))
        return methods.saliency_maps(
            model,
            params,
            x,
            targets,
            requests,
            keys=jax.random.split(jax.random.key(0), len(x)),
            score=score,
        )

    return jax.device_get(program(model.params, x))


def agree(actual, expected, tolerance, message):
    """To a share of the larger one's maximum."""
    scale = np.abs(expected).max()
    assert scale > 0, message
    error = np.abs(actual - expected).max() / scale
    assert error < tolerance, f"{message}: {error}"


def check(case, wanted, tolerance=1e-4, **options):
    """`wanted` are (request, peer's map); peers rectify before they show a map."""
    wanted = [(str(_spec.parse(request)), key) for request, key in wanted]
    maps = explain(case, [request for request, _ in wanted], **options)
    for request, key in wanted:
        expected = case[1][key].clip(0)
        agree(maps[request].clip(0), expected, tolerance, key)


def test_the_networks_are_the_same(case):
    model, golden, x = case
    logits = model.apply(model.params, x)[0]
    np.testing.assert_allclose(logits, golden["logits"], atol=1e-3)


ALIKE = {
    "pytorch-grad-cam": {
        "grad_cam": "grad_cam[layer={}]",
        "xgrad_cam": "xgrad_cam[layer={}]",
        "layer_cam": "layer_cam[layer={}]",
        "hires_cam": "hires_cam[layer={}]",
        "grad_cam_elementwise": "grad_cam_elementwise[layer={}]",
        "ablation_cam": "ablation_cam[layer={},relative=true]",
        "shapley_cam": "shapley_cam[layer={}]",
        "finer_cam": "finer_cam[layer={}]",
    },
    "torch-cam": {
        "grad_cam": "grad_cam[layer={}]",
        "xgrad_cam": "xgrad_cam[layer={}]",
        "layer_cam": "layer_cam[layer={}]",
        "finer_cam": "finer_cam[layer={},variant=mean]",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("depth", [0, 1])
def test_maps_are_those_of_the_peers(case, depth):
    layer = case[0].layers[depth]
    check(
        case,
        [
            (request.format(layer), f"{layer}/{peer}/{name}")
            for peer, requests in ALIKE.items()
            for name, request in requests.items()
        ],
    )


@pytest.mark.parametrize("depth", [0, 1])
def test_eigen_maps_are_the_peer_s_up_to_its_arbitrary_sign(case, depth):
    layer = case[0].layers[depth]
    requests = [
        f"eigen_cam[layer={layer},centred=true]",
        f"eigen_grad_cam[layer={layer}]",
    ]
    requests = [str(_spec.parse(request)) for request in requests]
    maps = explain(case, requests)
    for request, name in zip(requests, ("eigen_cam", "eigen_grad_cam"), strict=True):
        theirs = case[1][f"{layer}/pytorch-grad-cam/{name}"]
        for actual, expected in zip(maps[request], theirs, strict=True):
            expected = expected * np.sign(np.vdot(actual, expected))
            agree(actual, expected, 1e-4, request)


def test_plus_plus_is_the_peer_s_where_its_epsilon_is_small(case):
    """The peer adds 1e-6 to a denominator of squared gradients: they are scaled up."""
    for layer in case[0].layers:
        request = f"grad_cam_plus_plus[layer={layer},variant=eq19]"
        key = f"{layer}/pytorch-grad-cam/grad_cam_plus_plus"
        check(case, [(request, key)], 5e-3, score=lambda y, t: SCALE * y[t])


def test_torch_cam_s_plus_plus_is_known_to_be_wrong(case):
    """Its coefficients are never divided: the weights are sums of cubed gradients.

    What is right is the formula, with which `test_gradient_weighted.py` compares.
    """
    model, golden, x = case
    layer = model.layers[-1]
    a = model.apply(model.params, x, keep=(layer,))[1][layer]
    targets = golden["classes"].astype(np.int32)

    def score(a):
        logits = model.apply(model.params, x, edit={layer: lambda _: a})[0]
        return logits[jnp.arange(len(x)), targets].sum()

    cubes = jnp.sum(jax.nn.relu(jax.grad(score)(a)) ** 3, (1, 2), keepdims=True)
    expected = jax.nn.relu((cubes * a).sum(-1))
    theirs = golden[f"{layer}/torch-cam/grad_cam_plus_plus"]
    agree(np.asarray(expected), theirs, 1e-3, "cubes")


@pytest.mark.slow
def test_lift_cam_is_captum_s_deep_lift(case):
    model = case[0]
    if not model.name.startswith("resnet"):
        pytest.skip("made for the network with a nonlinear part above the layer")
    wanted = [(f"lift_cam[layer={n}]", f"{n}/captum/lift_cam") for n in model.layers]
    check(case, wanted)


@pytest.mark.slow
def test_maps_of_a_small_network_s_input(case):
    model = case[0]
    if not model.name.startswith("resnet"):
        pytest.skip("kept for small images only")
    last = model.layers[-1]
    check(
        case,
        [
            ("gradient", "input/captum/gradient"),
            ("input_x_gradient", "input/captum/input_x_gradient"),
            (
                "occlusion[output=logit,stride=0.125,window=0.25]",
                "input/captum/occlusion",
            ),
            (f"cam[layer={last}]", f"{last}/torch-cam/cam"),
        ],
    )
    integrated = "input/captum/integrated_gradients"
    check(case, [("integrated_gradients[baseline=zero]", integrated)], 2e-3)
