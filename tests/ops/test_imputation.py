"""Imputation against a sparse solve, and what must hold for any hole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse
import scipy.sparse.linalg

from jaxcam import ops

RNG = np.random.default_rng(0)
WEIGHTS = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12


def literal(image, removed):
    """The equations as they are written, one row a removed pixel, solved directly."""
    height, width, _ = image.shape
    number = np.full((height, width), -1)
    number[removed] = np.arange(removed.sum())
    matrix = scipy.sparse.lil_matrix((removed.sum(), removed.sum()))
    right = np.zeros((removed.sum(), image.shape[2]))
    for y, x in np.argwhere(removed):
        row = number[y, x]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                near = y + dy, x + dx
                if not (0 <= near[0] < height and 0 <= near[1] < width):
                    continue
                weight = WEIGHTS[dy + 1, dx + 1]
                matrix[row, row] += weight
                if removed[near]:
                    matrix[row, number[near]] -= weight
                else:
                    right[row] += weight * image[near]
    filled = image.copy()
    if removed.any():
        solution = scipy.sparse.linalg.spsolve(matrix.tocsr(), right)
        filled[removed] = solution.reshape(-1, image.shape[2])
    return filled


def holes(shape):
    height, width = shape
    noise = RNG.random(shape)
    smooth = scipy.ndimage.gaussian_filter(RNG.random(shape), 3)
    lines = np.arange(height)[:, None] % 3 + 0 * np.arange(width)[None] > 0
    yield "nothing", np.zeros(shape, bool)
    yield "one pixel", np.eye(1, height * width, 5).reshape(shape) > 0
    yield "all but one", np.eye(1, height * width, 5).reshape(shape) == 0
    yield "all but a corner", np.eye(1, height * width, 0).reshape(shape) == 0
    yield "lines", lines
    yield "a checkerboard", np.indices(shape).sum(0) % 2 == 0
    for share in (0.1, 0.5, 0.9):
        yield f"noise {share}", noise >= np.quantile(noise, 1 - share)
        yield f"blobs {share}", smooth >= np.quantile(smooth, 1 - share)


@pytest.mark.parametrize("shape", [(40, 33), (16, 16), (5, 70), (1, 9)])
def test_equal_to_a_direct_solve(shape):
    image = RNG.normal(size=(*shape, 3))
    names, masks = zip(*holes(shape), strict=True)
    filled = jax.vmap(lambda m: ops.impute(jnp.asarray(image), m, tolerance=1e-5))(
        jnp.asarray(np.stack(masks))
    )
    for name, mask, found in zip(names, masks, filled, strict=True):
        expected = literal(image, mask)
        np.testing.assert_allclose(found, expected, atol=2e-3, err_msg=name)


def test_the_default_tolerance_is_close_in_a_large_hole():
    noise = scipy.ndimage.gaussian_filter(RNG.normal(size=(224, 224, 3)), (4, 4, 0))
    image = (noise / noise.std()).astype(np.float32)
    removed = np.hypot(*(np.mgrid[:224, :224] - 111.5)) < 100
    filled = ops.impute(jnp.asarray(image), jnp.asarray(removed))
    exact = ops.impute(jnp.asarray(image), jnp.asarray(removed), tolerance=1e-6)
    assert np.abs(np.asarray(filled - exact)).max() < 0.02
    np.testing.assert_array_equal(
        np.asarray(filled)[~removed], image[~removed], "known pixels stay"
    )


@pytest.mark.parametrize("known", ["a corner", "a disc"])
def test_little_that_is_known_lies_together(known):
    """Rounding adds up in long ways from what is known; it must not show."""
    noise = scipy.ndimage.gaussian_filter(RNG.normal(size=(96, 96, 2)), (4, 4, 0))
    image = noise / noise.std() + 1.5
    y, x = np.mgrid[:96, :96]
    centre = 0 if known == "a corner" else 47.5
    removed = np.hypot(y - centre, x - centre) > 18
    found = ops.impute(
        jnp.asarray(image, jnp.float32), jnp.asarray(removed), tolerance=1e-5
    )
    np.testing.assert_allclose(found, literal(image, removed), atol=3e-3)
    flat = ops.impute(jnp.full((96, 96, 2), 2.0), jnp.asarray(removed))
    np.testing.assert_allclose(flat, 2.0, rtol=1e-6)


def test_the_tolerance_is_that_of_the_residual():
    image = RNG.normal(size=(64, 64, 2)).astype(np.float32)
    removed = RNG.random((64, 64)) < 0.95
    for tolerance in (1e-1, 1e-3, 1e-5):
        filled = np.asarray(
            ops.impute(jnp.asarray(image), jnp.asarray(removed), tolerance=tolerance)
        ).astype(np.float64)
        for c in range(2):
            ones = np.ones((64, 64))
            degree = scipy.ndimage.correlate(ones, WEIGHTS, mode="constant")
            around = scipy.ndimage.correlate(filled[..., c], WEIGHTS, mode="constant")
            left = (around - degree * filled[..., c])[removed]
            known = np.where(removed, 0.0, image[..., c])
            right = scipy.ndimage.correlate(known, WEIGHTS, mode="constant")[removed]
            assert np.linalg.norm(left) <= 1.05 * tolerance * np.linalg.norm(right)


def test_a_linear_ramp_is_continued():
    ramp = np.mgrid[:32, :32].sum(0)[..., None].astype(np.float32)
    removed = np.zeros((32, 32), bool)
    removed[8:24, 6:26] = True
    filled = ops.impute(
        jnp.where(removed[..., None], 99.0, ramp), jnp.asarray(removed), tolerance=1e-6
    )
    np.testing.assert_allclose(filled, ramp, atol=2e-3)


def test_values_stay_between_those_that_are_known():
    image = RNG.random((30, 30, 1)).astype(np.float32)
    removed = RNG.random((30, 30)) < 0.8
    filled = np.asarray(ops.impute(jnp.asarray(image), jnp.asarray(removed)))
    low, high = image[~removed].min(), image[~removed].max()
    assert (filled > low - 1e-2).all()
    assert (filled < high + 1e-2).all()


def test_nothing_known_is_zero_and_hidden_values_do_not_matter():
    image = jnp.full((9, 9, 2), 7.0)
    assert (ops.impute(image, jnp.ones((9, 9), bool)) == 0).all()
    removed = jnp.zeros((9, 9), bool).at[2:7, 2:7].set(True)
    broken = jnp.where(removed[..., None], jnp.nan, image)
    np.testing.assert_allclose(ops.impute(broken, removed), image, rtol=1e-3)
    unknown = image.at[0, 0, 0].set(jnp.nan)
    filled = ops.impute(unknown, removed.at[1, 1].set(True))
    assert np.isnan(np.asarray(filled)[2, 2, 0])


def test_batched_equals_looped_to_the_bit():
    images = jnp.asarray(RNG.normal(size=(3, 20, 21, 2)), jnp.float32)
    removed = jnp.asarray(RNG.random((3, 20, 21)) < 0.6)
    both = jax.vmap(ops.impute)(images, removed)
    for i in range(3):
        np.testing.assert_array_equal(both[i], ops.impute(images[i], removed[i]))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((jnp.ones((4, 4)), jnp.ones((4, 4), bool)), {}, ValueError, r"\(H, W, C\)"),
        ((jnp.ones((4, 4, 1)), jnp.ones((4, 4))), {}, TypeError, "boolean"),
        *(
            (
                (jnp.ones((4, 4, 1)), jnp.ones((4, 4), bool)),
                {"tolerance": tolerance},
                ValueError,
                "float32",
            )
            for tolerance in (1e-9, 1, 0, np.float32(2))
        ),
    ],
)
def test_refusals(arguments, options, error, message):
    with pytest.raises(error, match=message):
        ops.impute(*arguments, **options)
