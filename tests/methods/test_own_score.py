import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import methods

TARGETS = jnp.array([3, 0, 1])


def activations_of(model, x):
    return model.apply(model.params, x, keep=("second",))[1]["second"]


def reference_map(model, x, i, score, correct=0.0):
    """Grad-CAM of `score(logits)` less a share of Hessian times activation."""
    a = activations_of(model, x)[i]

    def of(flat):
        edit = {"second": lambda _: flat.reshape(1, *a.shape)}
        return score(model.apply(model.params, x[i : i + 1], edit=edit)[0][0])

    flat = a.reshape(-1)
    gradient = jax.grad(of)(flat) - correct * jax.hessian(of)(flat) @ flat
    weights = gradient.reshape(a.shape).mean((0, 1))
    return np.maximum(np.asarray((weights * a).sum(-1)), 0)


@pytest.mark.parametrize("target", ["rest", "score"])
def test_shapley_cam_agrees_with_an_explicit_hessian(
    tiny_model, images, explain, target
):
    model, x = tiny_model(head="hidden"), images()
    request = f"shapley_cam[target={target}]"
    _, _, maps = explain(model, x, [request], targets=TARGETS)
    for i, t in enumerate(TARGETS):

        def score(logits, t=t):
            rest = jax.nn.log_softmax(logits)[t] if target == "rest" else 0.0
            return logits[t] + rest

        expected = reference_map(model, x, i, score, correct=0.5)
        np.testing.assert_allclose(maps[request][i], expected, atol=1e-5)


def test_shapley_cam_on_the_logit_of_a_linear_read_out_is_grad_cam(
    tiny_model, images, explain
):
    requests = ["shapley_cam[target=score]", "grad_cam", "shapley_cam"]
    _, _, maps = explain(tiny_model(), images(), requests, targets=TARGETS)
    np.testing.assert_allclose(maps[requests[0]], maps["grad_cam"], atol=1e-6)
    assert np.abs(maps["shapley_cam"] - maps["grad_cam"]).max() > 1e-3


@pytest.mark.parametrize(
    ("variant", "strength", "alpha"),
    [("reference", None, 1.0), ("mean", None, 0.6), ("reference", 0.3, 0.3)],
)
def test_finer_cam_agrees_with_the_definition(
    tiny_model, images, explain, variant, strength, alpha
):
    model, x = tiny_model(head="hidden"), images()
    written = "" if strength is None else f"strength={strength},"
    request = f"finer_cam[references=2,{written}variant={variant}]"
    logits, _, maps = explain(model, x, [request], targets=TARGETS)
    for i, t in enumerate(np.asarray(TARGETS)):
        order = sorted(range(5), key=lambda c: abs(logits[i, c] - logits[i, t]))
        nearest = np.array([c for c in order if c != t][:2])

        def score(logits, t=t, nearest=nearest):
            gaps = logits[t] - alpha * logits[nearest]
            p = jax.nn.softmax(logits)[nearest]
            return (p * gaps).sum() / p.sum() if variant == "reference" else gaps.mean()

        (actual,) = maps.values()
        expected = reference_map(model, x, i, score)
        np.testing.assert_allclose(actual[i], expected, atol=1e-5)


def test_finer_cam_of_a_contrast_is_refused(tiny_model, images, explain):
    pairs = jnp.array([[0, 1], [1, 2], [2, 3]])
    with pytest.raises(ValueError, match="one class an image"):
        explain(
            tiny_model(),
            images(),
            ["finer_cam"],
            targets=pairs,
            score=methods.class_contrast,
        )
