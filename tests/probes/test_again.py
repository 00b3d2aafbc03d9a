"""Maps made again: of the masked image, of another class."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import _spec, probes

X = jax.random.uniform(jax.random.key(0), (2, 3, 4, 3), minval=-1.0)
SALIENCY = jax.random.uniform(jax.random.key(1), (2, 2, 3, 4))
BLACK = jnp.array([[-1.0, -2.0, 0.5]] * 2)
FRAME = jnp.ones((2, 3, 4), bool)
TARGET = jnp.array([1, 4], jnp.int32)
CLASSES = 6


def of_targets(params, x, targets):
    """Two methods: one shows the class, the other the image times it."""
    shown = targets[:, None, None].astype(jnp.float32)
    own = (x, x) if x.ndim == 4 else x
    first = jnp.broadcast_to(shown, own[0].shape[:3])
    return jnp.stack([first + 0 * own[0][..., 0], params * shown * own[1][..., 1]])


EXPLAINER = _spec.Explainer(
    maps=of_targets,
    params=jnp.float32(2.0),
    predict=lambda params, x: jnp.zeros((len(x), CLASSES)) + params,
)


@pytest.mark.parametrize("space", ["normalised", "pixel"])
def test_each_method_explains_the_image_multiplied_by_its_own_map(space):
    found = probes.masked_explanation(
        EXPLAINER, X, BLACK, SALIENCY, FRAME, TARGET, masking_space=space
    )["masked_raw_saliency"]
    hidden = BLACK[:, None, None, 1] if space == "pixel" else 0.0
    second = X[..., 1] * SALIENCY[1] + hidden * (1 - SALIENCY[1])
    expected = 2.0 * TARGET[:, None, None] * second
    np.testing.assert_allclose(found[1], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found[0, :, 0, 0], TARGET)


def other(seed):
    keys = jax.random.split(jax.random.key(seed), 2)
    out = probes.other_explanation(EXPLAINER, X, TARGET, keys)
    return np.asarray(out["other_raw_saliency"])[0, :, 0, 0]


def test_the_other_class_is_any_other_by_the_key():
    found = np.stack([other(seed) for seed in range(60)])
    for image, target in enumerate(TARGET):
        others = set(range(CLASSES)) - {int(target)}
        assert set(found[:, image].astype(int)) == others
    np.testing.assert_array_equal(other(7), other(7))


def test_a_single_output_has_no_other_class():
    explainer = _spec.Explainer(
        maps=of_targets, params=1.0, predict=lambda params, x: jnp.zeros((len(x), 1))
    )
    with pytest.raises(ValueError, match="no other class"):
        probes.other_explanation(explainer, X, TARGET, jax.random.split(KEY, 2))


KEY = jax.random.key(0)
