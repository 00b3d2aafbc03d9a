import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import methods


def relu(x):
    return np.maximum(x, 0)


def weighed(activations, weights):
    return sum(w * activations[:, :, k] for k, w in enumerate(weights))


def reference_grad_cam(a, g):
    return relu(weighed(a, [g[:, :, k].mean() for k in range(a.shape[2])]))


def reference_plus_plus(a, g, *, normalised):
    weights = []
    for k in range(a.shape[2]):
        total, alpha = a[:, :, k].sum(), np.zeros(a.shape[:2])
        for ij in np.ndindex(alpha.shape):
            d = g[ij][k]
            denominator = 2 * d**2 + total * d**3
            alpha[ij] = d**2 / denominator if denominator != 0 else 0
        positive = relu(g[:, :, k])
        norm = alpha[positive > 0].sum() if normalised else 1
        weights.append((alpha * positive).sum() / (norm if norm != 0 else 1))
    return relu(weighed(a, weights))


def reference_xgrad(a, g):
    weights = []
    for k in range(a.shape[2]):
        total = a[:, :, k].sum()
        weights.append((a[:, :, k] * g[:, :, k]).sum() / total if total else 0)
    return relu(weighed(a, weights))


REFERENCES = {
    "grad_cam": reference_grad_cam,
    "grad_cam_plus_plus": lambda a, g: reference_plus_plus(a, g, normalised=True),
    "grad_cam_plus_plus[variant=eq19]": lambda a, g: reference_plus_plus(
        a, g, normalised=False
    ),
    "xgrad_cam": reference_xgrad,
    "layer_cam": lambda a, g: relu((relu(g) * a).sum(-1)),
    "hires_cam": lambda a, g: (g * a).sum(-1),
    "grad_cam_elementwise": lambda a, g: relu(g * a).sum(-1),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", REFERENCES)
def test_agrees_with_the_definition(name, seed):
    rng = np.random.default_rng(seed)
    a = relu(rng.normal(size=(4, 5, 6)))
    g = (rng.normal(size=a.shape) + 0.5) * (rng.random(a.shape) < 0.8)
    a[:, :, 2], g[:, :, 4] = 0, 0  # A dead channel, and one that nothing reads.
    fn = {**vars(methods)}[name.partition("[")[0]]
    options = {"variant": "eq19"} if "eq19" in name else {}
    actual = fn(jnp.float32(a), jnp.float32(g), **options)
    expected = REFERENCES[name](a, g)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_on_a_linear_read_out_of_the_mean_all_roads_lead_to_cam(
    tiny_model, images, explain
):
    """CAM up to scale: Grad-CAM, XGrad-CAM and HiResCAM; LayerCAM is its own."""
    requests = ["cam", "grad_cam", "xgrad_cam", "hires_cam", "layer_cam"]
    _, _, maps = explain(tiny_model(), images(), requests, targets=jnp.array([0, 1, 2]))
    pixels = maps["cam"][0].size
    np.testing.assert_allclose(maps["hires_cam"], maps["cam"] / pixels, atol=1e-6)
    for name in ("grad_cam", "xgrad_cam"):
        np.testing.assert_allclose(maps[name], relu(maps["hires_cam"]), atol=1e-6)
    assert np.abs(maps["layer_cam"] - maps["grad_cam"]).max() > 1e-3


@pytest.mark.parametrize("name", ["grad_cam_plus_plus", "smooth_grad_cam_plus_plus"])
def test_an_unknown_variant_is_refused(tiny_model, images, explain, name):
    with pytest.raises(ValueError, match="variant='nth' is not known"):
        explain(tiny_model(), images(), [f"{name}[variant=nth]"])


def test_smooth_without_noise_is_plus_plus(tiny_model, images, explain):
    smooth = "smooth_grad_cam_plus_plus[noise=0.0,samples=3]"
    first = "smooth_grad_cam_plus_plus[noise=0.0,samples=3,variant=first]"
    plain = "grad_cam_plus_plus[variant=eq19]"
    _, _, maps = explain(tiny_model(head="hidden"), images(), [smooth, plain, first])
    assert maps[plain].max() > 0.01
    np.testing.assert_allclose(maps[smooth], maps[plain], rtol=1e-4)
    assert np.abs(maps[first] - maps[plain]).max() > 1e-3


def test_smooth_averages_powers_of_gradients(tiny_model, images, explain):
    """Against the formula, with the noise drawn as documented."""
    import jax

    model, x, seed = tiny_model(head="hidden"), images(2), 5
    request = "smooth_grad_cam_plus_plus[noise=0.3,samples=4]"
    targets = jnp.array([1, 4])
    _, _, maps = explain(model, x, [request], targets=targets, seed=seed)
    keys = jax.random.split(jax.random.key(seed), 2)
    a = np.asarray(model.apply(model.params, x, keep=("second",))[1]["second"])
    for i in range(2):

        def score(offset, x, i=i):
            edit = {"second": lambda a: a + offset}
            return model.apply(model.params, x[None], edit=edit)[0][0, targets[i]]

        g = []
        for m in range(4):
            noise = jax.random.normal(jax.random.fold_in(keys[i], m), x[i].shape)
            noisy = x[i] + 0.3 * (x[i].max() - x[i].min()) * noise
            g.append(np.asarray(jax.grad(score)(jnp.zeros(a[i].shape), noisy)))
        d1, d2, d3 = (np.mean([d**p for d in g], axis=0) for p in (1, 2, 3))
        denominator = 2 * d2 + d3 * a[i].sum((0, 1))
        alpha = np.divide(
            d2, denominator, out=np.zeros_like(d2), where=denominator != 0
        )
        weights = (alpha * relu(d1)).sum((0, 1))
        expected = relu((weights * a[i]).sum(-1))
        np.testing.assert_allclose(maps[request][i], expected, rtol=1e-3, atol=1e-6)
