"""Hiding random subsets: an additive model loses exactly what its exact map says."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics, probes
from jaxcam.probes import cells, inputs, subsets

SHAPE = (6, 8)
KEYS = jax.random.split(jax.random.key(3), 2)
X = jax.random.normal(jax.random.key(0), (2, *SHAPE, 3))
W = jax.random.normal(jax.random.key(1), (*SHAPE, 3))
BLACK = jnp.array([[-1.0, -2.0, 0.5]] * 2)
FRAME = jnp.ones((2, *SHAPE), bool)
TARGET = jnp.array([0, 0])
LOGITS = {"score": "logit"}


def linear(x):
    """Logits (w . x, 0)."""
    first = jnp.sum(x * W, axis=(1, 2, 3))
    return jnp.stack([first, jnp.zeros_like(first)], axis=1)


def shown_pixels(x):
    """Logits (number of pixels that are not zero, 0)."""
    first = jnp.sum(jnp.any(x != 0, axis=3), axis=(1, 2)).astype(jnp.float32)
    return jnp.stack([first, jnp.zeros_like(first)], axis=1)


def asked(model, name="subset_drops", x=X, keys=KEYS, **options):
    score = model(x)[:, 0]
    probe = getattr(probes, name)
    return probe(model, x, BLACK, TARGET, score, keys, **LOGITS, **options)[name]


def summed(saliency, name="subset_sums", keys=KEYS, frame=FRAME, **options):
    return getattr(probes, name)(None, X, saliency, frame, keys, **options)[name]


@pytest.mark.parametrize("grid", [3, 14, None])
@pytest.mark.parametrize("space", ["normalised", "pixel"])
def test_an_exact_map_of_a_linear_model_is_perfectly_faithful(grid, space):
    base = 0.0 if space == "normalised" else BLACK[:, None, None]
    exact = jnp.sum(W * (X - base), axis=3)
    drops = asked(linear, grid=grid, samples=20, masking_space=space)
    sums = summed(exact, grid=grid, samples=20)
    np.testing.assert_allclose(sums, drops, atol=2e-4)
    for metric in (metrics.faithfulness_correlation, metrics.mu_fidelity):
        np.testing.assert_allclose(jax.vmap(metric)(sums, drops), 1, atol=1e-5)
        np.testing.assert_allclose(jax.vmap(metric)(-sums, drops), -1, atol=1e-5)
    options = {"grid": grid, "samples": 20, "sizes": 3}
    drops = asked(linear, "sized_subset_drops", masking_space=space, **options)
    sums = summed(exact, "sized_subset_sums", **options)
    assert drops.shape == (2, 3, 20)
    np.testing.assert_allclose(sums, drops, atol=2e-4)
    np.testing.assert_allclose(jax.vmap(metrics.sensitivity_n)(sums, drops), 1, 1e-5)


@pytest.mark.parametrize(
    ("grid", "fraction", "pixels"),
    [(2, 0.5, 2 * 12), (2, 0.01, 12), (None, 0.25, 12), (100, 0.25, 12)],
)
def test_every_subset_has_the_size_that_is_asked_for(grid, fraction, pixels):
    drops = asked(shown_pixels, grid=grid, samples=9, subset_fraction=fraction)
    np.testing.assert_array_equal(drops, pixels)


def test_sizes_go_from_one_cell_to_most_at_equal_ratios():
    drops = asked(shown_pixels, "sized_subset_drops", grid=None, samples=2, sizes=4)
    expected = np.round(np.geomspace(1, 0.8 * 48, 4))
    np.testing.assert_array_equal(drops, np.tile(expected[:, None], (2, 1, 2)))
    few = asked(shown_pixels, "sized_subset_drops", grid=2, samples=2, sizes=9)
    np.testing.assert_array_equal(few[0, :, 0], 12 * np.array([1, 2, 3]))


def test_all_subsets_come_about_equally_often():
    """Two of four cells: six subsets, 100 times each but for chance."""
    keys = jax.random.split(jax.random.key(0), 1)

    def subset(row):
        return subsets._chosen(keys, row, 4, np.array([2]), 600)[0]

    chosen = np.asarray(jax.vmap(subset)(jnp.arange(600)))
    chosen = [tuple(np.flatnonzero(row)) for row in chosen]
    found = [chosen.count(pair) for pair in itertools.combinations(range(4), 2)]
    assert sum(found) == 600
    assert min(found) > 65


def test_an_image_has_subsets_of_its_own_whatever_its_batch_mates():
    together = asked(linear, samples=7)
    turned = asked(linear, x=X[::-1], keys=KEYS[::-1], samples=7)
    np.testing.assert_array_equal(together, turned[::-1])
    one_image = jnp.stack([X[0], X[0]])
    both = asked(linear, x=one_image, samples=7)
    assert not np.allclose(both[0], both[1])


def test_a_map_on_another_grid_is_summed_over_the_same_cells():
    """Twice as fine, on a canvas of which a part is image."""
    fine = jnp.repeat(jnp.repeat(jnp.abs(X[..., 0]), 2, 1), 2, 2)
    canvas = jnp.full((2, 15, 20), 7.0).at[:, :12, :16].set(fine)
    frame = jnp.zeros((2, 15, 20), bool).at[:, :12, :16].set(True)
    found = summed(canvas, frame=frame, grid=2, samples=5)
    expected = summed(jnp.abs(X[..., 0]), grid=2, samples=5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def small_net(x):
    x = jax.lax.conv_general_dilated(
        x, W[None, :3, :3, :].reshape(3, 3, 3, 1).repeat(4, 3), (1, 1), "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    return jnp.tanh(x).mean((1, 2)) * jnp.arange(1.0, 5.0)


def test_values_do_not_depend_on_how_many_are_asked_at_a_time(monkeypatch):
    found = []
    for values in (1, 3 * X.size, 1 << 22):
        monkeypatch.setattr(inputs, "VALUES_AT_A_TIME", values)
        ask = jax.jit(lambda: asked(small_net, samples=7))
        found.append(np.asarray(ask()))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset_fraction": 1.0}, r"lie in \(0, 1\)"),
        ({"grid": 0}, "at least 1"),
        ({"masking_space": "lab"}, "normalised"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        asked(linear, **options)


def test_cells_share_out_the_pixels():
    expected = [[0, 0, 1, 1, 2]] * 2 + [[3, 3, 4, 4, 5]] * 2 + [[6, 6, 7, 7, 8]]
    np.testing.assert_array_equal(cells.cells((5, 5), 3), expected)
    assert cells.count((5, 5), 3) == 9
    assert cells.count((5, 2), 3) == 6
