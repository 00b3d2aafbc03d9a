"""Maps of noisy images, of explainers whose maps are arithmetic."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _spec, probes

X = jax.random.uniform(jax.random.key(0), (3, 5, 6, 2), minval=0.5, maxval=2.0)
KEYS = jax.random.split(jax.random.key(1), 3)
TARGET = jnp.array([0, 1, 0])
FRAME = jnp.ones((3, 5, 6), bool)


def first_channel(x):
    return x[..., 0]


def constant(x):
    """What the gradient of a linear model is."""
    return jnp.ones(x.shape[:3])


def squares(x):
    return jnp.sum(x**2, axis=3)


def explainer(*methods, predict=lambda params, x: jnp.eye(2)[TARGET]):
    def maps(params, x, targets):
        return params * jnp.stack([method(x) for method in methods])

    return _spec.Explainer(maps=maps, params=jnp.float32(3.0), predict=predict)


def changes(*methods, keys=KEYS, **options):
    asked = explainer(*methods)
    raw = asked.maps(asked.params, X, TARGET)
    out = probes.neighbour_changes(asked, X, raw, TARGET, keys, **options)
    return out["neighbour_changes"]


def test_a_linear_model_and_its_gradient_do_not_move():
    """The first cases of captum's test of sensitivity."""
    found = changes(constant)
    assert found.shape == (1, 3, 10)
    np.testing.assert_array_equal(found, 0)


def test_noise_is_uniform_in_the_ball():
    found = changes(first_channel, samples=200)[0]
    length = jnp.linalg.norm(X[..., 0].reshape(3, -1), axis=1)
    rms = found * length[:, None] / np.sqrt(30)
    np.testing.assert_allclose(rms.mean(1), 0.02 / np.sqrt(3), rtol=0.05)
    assert rms.max() < 0.02


def neighbours(sample, radius):
    """The definition, read literally."""
    drawn = [jax.random.fold_in(key, sample) for key in KEYS]
    noise = [jax.random.uniform(k, X.shape[1:], minval=-1.0) for k in drawn]
    return X + radius * jnp.stack(noise)


def test_changes_are_relative_lengths_of_each_methods_map():
    found = changes(squares, first_channel, samples=2, radius=0.3)
    for sample in range(2):
        near = neighbours(sample, 0.3)
        for number, method in enumerate((squares, first_channel)):
            moved = np.asarray(method(near) - method(X)).reshape(3, -1)
            size = np.linalg.norm(np.asarray(method(X)).reshape(3, -1), axis=1)
            expected = np.linalg.norm(moved, axis=1) / size
            np.testing.assert_allclose(found[number, :, sample], expected, rtol=1e-4)


def test_a_map_of_zeros_has_no_relative_change():
    assert np.isnan(changes(lambda x: jnp.zeros(x.shape[:3]))).all()


def test_noise_belongs_to_the_image():
    together = changes(squares)
    turned = changes(squares, keys=KEYS[jnp.array([1, 0, 2])])
    np.testing.assert_array_equal(together[:, 2], turned[:, 2])
    assert not np.allclose(together[:, 0], turned[:, 0])


def relative(method, predict, **options):
    asked = explainer(method, predict=predict)
    raw = asked.maps(asked.params, X, TARGET)
    saliency = raw / raw.max((2, 3), keepdims=True)
    out = probes.relative_neighbour_changes(
        asked,
        X,
        saliency,
        FRAME,
        TARGET,
        TARGET,
        KEYS,
        radius=0.3,
        samples=3,
        **options,
    )
    return saliency[0], np.asarray(out["relative_neighbour_changes"])


def test_relative_changes_follow_the_definition():
    def half_empty(x):
        return squares(x).at[:, :2].set(0.0).at[:, 0, 0].add(first_channel(x)[:, 0, 0])

    def predict(params, x):
        """The second image is taken for another class whatever the noise."""
        return jnp.eye(2)[jnp.array([0, 0, 0])]

    saliency, found = relative(half_empty, predict, epsilon=0.05)
    assert np.isneginf(found[0, 1]).all()
    for sample in range(3):
        near = neighbours(sample, 0.3)
        new = half_empty(near)
        new = new / new.max((1, 2), keepdims=True)
        for image in (0, 2):
            of_map = (new[image] - saliency[image]) / np.maximum(saliency[image], 0.05)
            of_input = (near[image] - X[image]) / np.maximum(np.abs(X[image]), 0.05)
            expected = np.linalg.norm(of_map) / np.linalg.norm(of_input)
            np.testing.assert_allclose(found[0, image, sample], expected, rtol=1e-4)
