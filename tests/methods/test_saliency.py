import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import methods

FLOORS = ("uniform", "centre", "random", "sobel", "truth")


def test_cam_is_the_logit_before_it_is_averaged(tiny_model, images, explain):
    model = tiny_model()
    logits, targets, maps = explain(model, images(), ["cam"])
    bias = np.asarray(model.params["head_bias"])[targets]
    expected = logits[np.arange(3), targets]
    np.testing.assert_allclose(maps["cam"].mean((1, 2)) + bias, expected, rtol=1e-5)


def test_grad_cam_is_cam_up_to_scale_on_a_linear_read_out(tiny_model, images, explain):
    targets = jnp.arange(8) % 5
    _, _, maps = explain(tiny_model(), images(8), ["cam", "grad_cam"], targets=targets)
    scaled = maps["cam"].clip(0) / maps["cam"][0].size
    assert scaled.max() > 0.01
    np.testing.assert_allclose(maps["grad_cam"], scaled, atol=1e-6)


@pytest.mark.parametrize("layer", ["first", "second"])
def test_grad_cam_of_any_layer_agrees_with_the_definition(
    tiny_model, images, explain, layer
):
    """The gradient, taken here by putting the activation in place, is the same."""
    model, x, target = tiny_model(head="hidden"), images(), 2
    activation = model.apply(model.params, x, keep=(layer,))[1][layer]

    def score(activation):
        edit = {layer: lambda a: activation}
        return model.apply(model.params, x, edit=edit)[0][:, target].sum()

    weights = np.asarray(jax.grad(score)(activation)).mean((1, 2), keepdims=True)
    expected = (weights * np.asarray(activation)).sum(-1).clip(0)
    requests = ["grad_cam[layer=first]", "grad_cam[layer=second]"]
    targets = jnp.full(3, target)
    _, _, maps = explain(model, x, requests, targets=targets)
    assert expected.max() > 0.01
    np.testing.assert_allclose(maps[f"grad_cam[layer={layer}]"], expected, atol=1e-6)


def test_one_forward_and_one_backward_serve_all_layers(tiny_model, images):
    """The compiled program holds each convolution once, and one for its gradient."""
    model, x = tiny_model(), images()

    def program(params, x):
        return methods.explain_batch(
            model,
            params,
            x,
            lambda logits: jnp.argmax(logits, axis=1),
            ["cam", "grad_cam", "grad_cam[layer=first]"],
            keys=jax.random.split(jax.random.key(0), 3),
        )

    text = jax.jit(program).lower(model.params, x).compile().as_text()
    convolutions = text.count(" convolution(") + text.count("custom-call(")
    assert convolutions <= 3, "two forward; one backward, through the upper one"


def test_several_layers_are_normalised_resized_and_aggregated(
    tiny_model, images, explain
):
    model, x = tiny_model(head="hidden"), images()
    single = ["grad_cam[layer=first]", "grad_cam[layer=second]"]
    both = ["grad_cam[layer=(first,second)]"]
    both += ["grad_cam[aggregate=max,layer=(first,second)]"]
    _, _, maps = explain(model, x, [*single, *both])
    tops = [maps[name].max((1, 2), keepdims=True) for name in single]
    assert min(top.min() for top in tops) > 0
    fine, coarse = (maps[n] / top for n, top in zip(single, tops, strict=True))
    resized = jax.image.resize(coarse, fine.shape, "bilinear", antialias=False)
    np.testing.assert_allclose(maps[both[0]], (fine + resized) / 2, atol=1e-5)
    np.testing.assert_allclose(maps[both[1]], np.maximum(fine, resized), atol=1e-5)


def test_a_contrast_of_two_classes_explains_the_difference(tiny_model, images, explain):
    model, x = tiny_model(), images()
    pairs = jnp.array([[0, 1], [2, 1], [4, 3]])
    _, _, contrast = explain(
        model, x, ["cam"], targets=pairs, score=methods.class_contrast
    )
    _, _, first = explain(model, x, ["cam"], targets=pairs[:, 0])
    _, _, second = explain(model, x, ["cam"], targets=pairs[:, 1])
    np.testing.assert_allclose(contrast["cam"], first["cam"] - second["cam"], atol=1e-5)


SMALL = {
    "integrated_gradients": "steps=2",
    "is_cam": "steps=2",
    "opti_cam": "steps=2",
    "occlusion": "stride=0.5,window=0.5",
    "rise": "samples=3",
    "smooth_grad": "samples=2",
    "smooth_grad_cam_plus_plus": "samples=2",
    "ss_cam": "samples=2",
}
ALL = [f"{n}[{SMALL[n]}]" if n in SMALL else n for n in methods.table()]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_map_does_not_depend_on_batch_mates(tiny_model, images, part):
    model, x = tiny_model(), images(3)
    requests = ALL[part::4]
    targets, masks = jnp.array([0, 1, 2]), x[..., 0] > 0
    keys = jax.random.split(jax.random.key(0), 3)

    @jax.jit
    def run(rows):
        return methods.saliency_maps(
            model,
            model.params,
            x[rows],
            targets[rows],
            requests,
            keys=keys[rows],
            masks=masks[rows],
        )

    together, reordered = run(jnp.arange(3)), run(jnp.array([2, 0, 1]))
    alone = run(jnp.array([2]))
    for name, maps in together.items():
        chex.assert_type(maps, jnp.float32)
        chex.assert_shape(maps, (3, None, None))
        assert np.isfinite(maps).all(), name
        np.testing.assert_allclose(maps[2], alone[name][0], atol=1e-5, err_msg=name)
        np.testing.assert_allclose(maps[2], reordered[name][0], atol=1e-5, err_msg=name)


def test_cam_is_nan_where_positions_are_read_differently(tiny_model, images, explain):
    model = tiny_model(head="spatial")
    _, _, maps = explain(model, images(), ["cam[layer=second]", "grad_cam"])
    assert np.isnan(maps["cam[layer=second]"]).all()
    assert np.isfinite(maps["grad_cam"]).all()


@pytest.mark.parametrize(
    ("head", "request_", "message"),
    [
        ("linear", "grad_cma", "did you mean grad_cam"),
        ("linear", "grad_cam[layer=secnd]", "has no layer 'secnd'; it has second"),
        ("linear", "grad_cam[depth=2]", "it takes layer, aggregate"),
        ("linear", "grad_cam[aggregate=sum]", "choose one of 'mean', 'max'"),
        ("linear", "uniform[layer=second]", "uniform taps no layer"),
        ("linear", "cam[layer=first]", "not defined at layer 'first'"),
        ("spatial", "cam", r"cam needs a layer .* one of first, second"),
        ("spatial", "cam[layer=second]", "not defined at layer 'second'"),
    ],
)
def test_what_cannot_be_delivered_is_refused_before_the_work(
    tiny_model, head, request_, message
):
    with pytest.raises(ValueError, match=message):
        methods.validate(tiny_model(head=head), [request_])


def test_what_can_be_delivered_is_accepted(tiny_model):
    methods.validate(tiny_model(), ["cam", "grad_cam[layer=(first,second)]", *FLOORS])


def test_truth_without_masks_is_refused(tiny_model, images):
    model, x = tiny_model(), images(1)
    keys = jax.random.split(jax.random.key(0), 1)
    with pytest.raises(ValueError, match="truth needs masks"):
        methods.saliency_maps(
            model, model.params, x, jnp.zeros(1, int), ["truth"], keys=keys
        )
