"""Smooth registration: its pieces against closed forms, its gradient, its result."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxcam.metrics import topology
from jaxcam.ops import flow


def disc(shape, y, x, radius):
    rows, columns = np.indices(shape)
    return ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2).astype(np.float32)


def waves(shape, size=1.0):
    """A smooth velocity, nowhere constant, that ends at the rim."""
    y, x = (np.indices(shape) + 0.5) / np.array(shape).reshape(2, 1, 1)
    rim = np.sin(np.pi * y) * np.sin(np.pi * x)
    field = np.stack([np.cos(3 * x + y), np.sin(2 * y - x)], axis=-1)
    return jnp.asarray(size * rim[..., None] * field, jnp.float32)


def test_pulling_by_nothing_and_by_whole_pixels(per_image):
    image = jnp.asarray(np.random.default_rng(0).random((7, 9)), jnp.float32)
    still = jnp.zeros((7, 9, 2))
    np.testing.assert_array_equal(per_image(flow.pull, image, still), image)
    moved = per_image(flow.pull, image, still.at[..., 0].set(2).at[..., 1].set(-1))
    expected = np.pad(np.asarray(image)[2:, :-1], ((0, 2), (1, 0)))
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    far = per_image(flow.pull, image, still + 100)
    np.testing.assert_array_equal(far, 0)


def test_pulling_between_pixels_is_bilinear():
    rng = np.random.default_rng(1)
    image = rng.random((8, 6)).astype(np.float32)
    by = rng.uniform(-2, 2, (8, 6, 2)).astype(np.float32)
    at = np.moveaxis(by, -1, 0) + np.indices((8, 6))
    expected = ndimage.map_coordinates(
        np.pad(image, 4), at + 4, order=1, mode="constant"
    )
    actual = flow.pull(jnp.asarray(image), jnp.asarray(by))
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_constant_velocity_is_a_shift():
    velocity = jnp.broadcast_to(jnp.array([0.5, -0.25]), (6, 5, 2))
    moved = flow.displacement(velocity, (24, 20))
    np.testing.assert_allclose(moved[..., 0], 0.5 * 4, rtol=1e-5)
    np.testing.assert_allclose(moved[..., 1], -0.25 * 4, rtol=1e-5)
    half = flow.displacement(velocity, (24, 20), time=0.5)
    np.testing.assert_allclose(half, moved / 2, rtol=1e-5)


def euler(velocity, steps=2000):
    """The flow by many small steps along the velocity."""
    position = np.indices(velocity.shape[:2]).astype(float)
    start = position.copy()
    for _ in range(steps):
        step = [
            ndimage.map_coordinates(velocity[..., c], position, order=1, mode="nearest")
            for c in (0, 1)
        ]
        position = position + np.stack(step) / steps
    return np.moveaxis(position - start, 0, -1)


def test_scaling_and_squaring_is_the_flow_of_the_velocity():
    velocity = waves((12, 10), size=2)
    actual = flow.displacement(velocity, (12, 10))
    expected = euler(np.asarray(velocity))
    error = np.abs(actual - expected).max()
    assert error < 0.05
    assert error < np.abs(velocity - expected).max() / 5  # Itself it is not the flow.


def test_a_fold_is_a_cell_turned_over():
    still = np.zeros((4, 5, 2), np.float32)
    assert flow.folded(jnp.asarray(still)) == 0
    swapped = still.copy()
    swapped[:, 2, 1], swapped[:, 3, 1] = 1.5, -1.5  # Columns 2 and 3 change places.
    assert flow.folded(jnp.asarray(swapped)) == 3 / (3 * 4)
    assert flow.folded(waves((12, 10))[..., :]) == 0
    assert jnp.isnan(flow.folded(jnp.zeros((1, 5, 2))))


def test_the_gradient_is_that_of_the_error_at_a_frozen_deformation(monkeypatch):
    """Against finite differences; the fit is replaced by the flow it might return."""
    rng = np.random.default_rng(2)
    saliency = jnp.asarray(disc((16, 16), 7, 6, 4) * 0.8 + 0.1 * rng.random((16, 16)))
    saliency = saliency.astype(jnp.float32)
    truth = jnp.asarray(disc((16, 16), 9, 9, 4) > 0)
    monkeypatch.setattr(flow, "_fit", lambda source, target, steps: waves((4, 4)))
    monkeypatch.setattr(flow, "register", flow.register.__wrapped__)
    for direction in ("prediction_to_truth", "truth_to_prediction", "both"):
        error = jax.jit(
            functools.partial(
                topology.differentiable_warping_error, truth=truth, direction=direction
            )
        )
        gradient = jax.grad(error)(saliency)
        for seed in range(3):
            way = np.random.default_rng(seed).normal(size=(16, 16)).astype(np.float32)
            way = jnp.asarray(way / np.linalg.norm(way))
            size = 0.02
            slope = (error(saliency + size * way) - error(saliency - size * way)) / 0.04
            np.testing.assert_allclose(jnp.sum(gradient * way), slope, rtol=0.02)


def test_refusals():
    soft = jnp.zeros((4, 4))
    with pytest.raises(TypeError, match="source must be floating point"):
        flow.register(soft > 0, soft)
    with pytest.raises(ValueError, match="shape"):
        flow.register(soft, soft[:2])


@functools.cache
def registered(steps=60):
    source, target = disc((40, 48), 14, 16, 8), disc((40, 48), 24, 30, 10)
    return (
        source,
        target,
        flow.register(jnp.asarray(source), jnp.asarray(target), steps=steps),
    )


@pytest.mark.slow
def test_a_disc_is_registered_onto_another_without_a_fold():
    source, target, fit = registered()
    assert fit.error < 0.02 * np.mean((source - target) ** 2)
    assert fit.folded == 0
    overlap = (np.asarray(fit.warped) > 0.5) & (target > 0)
    assert overlap.sum() > 0.97 * target.sum()
    assert fit.displacement.shape == (40, 48, 2)


@pytest.mark.slow
def test_a_loss_on_the_map_pulls_it_towards_the_truth():
    """Steps down the gradient of the whole, fit included, lower the error."""
    truth = jnp.asarray(disc((32, 32), 16, 16, 9) > 0)
    saliency = jnp.asarray(disc((32, 32), 16, 16, 9) - 0.8 * disc((32, 32), 16, 16, 3))
    error = functools.partial(
        topology.differentiable_warping_error, truth=truth, steps=15
    )
    # A hole that no deformation can fill.
    value_and_grad = jax.jit(jax.value_and_grad(error))
    first, gradient = value_and_grad(saliency)
    assert jnp.isfinite(gradient).all()
    inside = disc((32, 32), 16, 16, 3) > 0
    assert gradient[inside].sum() < 0  # More saliency in the hole, less error.
    for _ in range(12):
        saliency = saliency - 30 * gradient
        last, gradient = value_and_grad(saliency)
    assert last < first / 2


@pytest.mark.slow
def test_the_path_leads_from_one_mask_to_the_other():
    source, target, _ = registered()
    masks = np.asarray(
        flow.path(jnp.asarray(source > 0), jnp.asarray(target > 0), times=4, steps=60)
    )
    differing = [(m ^ (target > 0)).sum() for m in masks]
    assert differing == sorted(differing, reverse=True)
    assert differing[-1] < 0.05 * target.sum()


@pytest.mark.slow
def test_a_batch_is_its_images_alone_and_large_images_are_registered_small():
    source = np.stack([disc((96, 80), 30, 30, 12), disc((96, 80), 60, 40, 18)])
    target = source[::-1].copy()
    together = jax.vmap(functools.partial(flow.register, steps=20))(
        jnp.asarray(source), jnp.asarray(target)
    )
    assert together.velocity.shape == (2, 16, 14, 2)
    alone = flow.register(jnp.asarray(source[1]), jnp.asarray(target[1]), steps=20)
    np.testing.assert_array_equal(together.velocity[1], alone.velocity)
    np.testing.assert_allclose(together.error[1], alone.error, rtol=1e-4)
