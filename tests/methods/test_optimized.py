import jax
import jax.numpy as jnp
import numpy as np

TARGETS = jnp.array([3, 0])


def masked(maps, x):
    shape = (len(maps), 8, 8)
    large = jax.image.resize(maps, shape, "bilinear", antialias=False)
    low = large.min((1, 2), keepdims=True)
    span = large.max((1, 2), keepdims=True) - low
    return x * ((large - low) / span)[..., None]


def literal_adam(model, x, activations, steps, rate):
    """Adam written out, image by image, from the published update rule."""
    maps = []
    for i in range(len(x)):
        a = activations[i]

        def loss(u, a=a, i=i):
            mixture = (jax.nn.softmax(u) * a).sum(-1)[None]
            seen = masked(mixture, x[i : i + 1])
            return -model.apply(model.params, seen)[0][0, TARGETS[i]]

        u, m, v = (np.zeros(a.shape[-1]) for _ in range(3))
        for t in range(1, steps + 1):
            g = np.asarray(jax.grad(loss)(jnp.float32(u)))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            u = u - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        maps.append((np.asarray(jax.nn.softmax(u)) * a).sum(-1))
    return np.array(maps)


def test_opti_cam_is_adam_on_the_masked_score(tiny_model, images, explain):
    model, x = tiny_model(), images(2)
    a = np.asarray(model.apply(model.params, x, keep=("second",))[1]["second"])
    request = "opti_cam[learning_rate=0.2,steps=6]"
    _, _, maps = explain(model, x, [request], targets=TARGETS)
    expected = literal_adam(model, x, a, 6, 0.2)
    # A dead channel's weight only scales the map, so that its gradient is rounding.
    for actual, wanted in zip(maps[request], expected, strict=True):
        np.testing.assert_allclose(
            actual / actual.max(), wanted / wanted.max(), atol=1e-3
        )


def test_steps_raise_the_score_seen_through_the_map(tiny_model, images, explain):
    model, x = tiny_model(head="hidden"), images(2)
    requests = ["opti_cam[steps=0]", "opti_cam"]
    _, _, maps = explain(model, x, requests, targets=TARGETS)
    before, after = (
        model.apply(model.params, masked(maps[name], x))[0][jnp.arange(2), TARGETS]
        for name in requests
    )
    assert (after > before).all()
