import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import methods


def per_image_gradients(model, x, targets):
    def score(x, target):
        return model.apply(model.params, x[None])[0][0, target]

    return np.stack([jax.grad(score)(*pair) for pair in zip(x, targets, strict=True)])


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [("max", [[3.0, 2.0]]), ("sum", [[-2.0, 2.5]]), ("absolute_sum", [[4.0, 2.5]])],
)
def test_channels_become_one_value(reduce, expected):
    attribution = jnp.array([[[1.0, -3.0], [0.5, 2.0]]])
    np.testing.assert_allclose(methods.gradient(attribution, reduce=reduce), expected)


def test_gradient_and_input_x_gradient_agree_with_jax(tiny_model, images, explain):
    model, x, targets = tiny_model(head="hidden"), images(), jnp.array([0, 3, 1])
    requests = ["gradient", "input_x_gradient"]
    _, _, maps = explain(model, x, requests, targets=targets)
    g = per_image_gradients(model, x, targets)
    np.testing.assert_allclose(maps["gradient"], np.abs(g).max(-1), rtol=1e-4)
    products = (g * np.asarray(x)).sum(-1)
    np.testing.assert_allclose(maps["input_x_gradient"], products, atol=1e-5)


@pytest.mark.parametrize("baseline", ["black", "zero"])
def test_integrated_gradients_are_complete(tiny_model, images, explain, baseline):
    model, x = tiny_model(head="hidden"), images()
    request = f"integrated_gradients[baseline={baseline},steps=300]"
    logits, targets, maps = explain(model, x, [request])
    zeros = jnp.zeros((1, 8, 8, 3))
    start = model.preprocess(zeros) if baseline == "black" else zeros
    base = np.asarray(model.apply(model.params, start)[0])[0, targets]
    drop = logits[np.arange(3), targets] - base
    assert np.abs(drop).min() > 0.01
    np.testing.assert_allclose(maps[request].sum((1, 2)), drop, rtol=1e-2, atol=2e-3)


def test_integrated_gradients_by_the_right_rule_is_the_paper_s_sum(
    tiny_model, images, explain
):
    model, x, targets = tiny_model(head="hidden"), images(2), jnp.array([2, 0])
    request = "integrated_gradients[baseline=zero,rule=right,steps=3]"
    _, _, maps = explain(model, x, [request], targets=targets)
    steps = [per_image_gradients(model, x * k / 3, targets) for k in (1, 2, 3)]
    expected = (np.mean(steps, axis=0) * np.asarray(x)).sum(-1)
    np.testing.assert_allclose(maps[request], expected, atol=1e-5)


def test_smooth_grad_averages_before_it_takes_the_size(tiny_model, images, explain):
    model, x, targets = tiny_model(head="hidden"), images(2), jnp.array([2, 0])
    keys = jax.random.split(jax.random.key(7), 2)
    request = "smooth_grad[noise=0.2,samples=3]"
    _, _, maps = explain(model, x, [request], targets=targets, seed=7)
    total = 0
    for m in range(3):
        noise = [
            jax.random.normal(jax.random.fold_in(key, m), x.shape[1:]) for key in keys
        ]
        spread = [0.2 * (image.max() - image.min()) for image in x]
        noisy = jnp.stack([a + s * n for a, s, n in zip(x, spread, noise, strict=True)])
        total = total + per_image_gradients(model, noisy, targets)
    np.testing.assert_allclose(maps[request], np.abs(total / 3).max(-1), atol=1e-5)


def test_unknown_options_are_refused(tiny_model, images, explain):
    for request, message in {
        "gradient[reduce=mean]": "reduce='mean' is not known",
        "integrated_gradients[rule=left]": "rule='left' is not known",
        "integrated_gradients[baseline=white]": "baseline='white' is not known",
    }.items():
        with pytest.raises(ValueError, match=message):
            explain(tiny_model(), images(), [request])
