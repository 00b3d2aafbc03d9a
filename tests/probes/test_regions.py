"""The region probe on models whose answer is arithmetic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import probes
from jaxcam.probes import canvases

SHAPE = (5, 6)
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(4, *SHAPE, 2)), jnp.float32)
BLACK, WHITE = jnp.full((4, 2), -2.0), jnp.full((4, 2), 3.0)
TARGET = jnp.array([0, 1, 1, 0])
FRAME = jnp.ones((4, *SHAPE), bool)
LABELS = RNG.integers(0, 3, (4, *SHAPE))
PARTS = jnp.asarray(np.stack([part == LABELS for part in range(3)], axis=1))
WEIGHTS = jnp.asarray(RNG.normal(size=(*SHAPE, 2)), jnp.float32)


def additive(x):
    """Logits that are sums over pixels, of opposite signs."""
    total = jnp.einsum("bhwc,hwc->b", x, WEIGHTS)
    return jnp.stack([total, -total], axis=1)


def score_of(x, target, score):
    logits = np.asarray(additive(jnp.asarray(x, jnp.float32)[None]))[0]
    values = np.exp(logits) / np.exp(logits).sum()
    return (values if score == "probability" else logits)[target]


def drops(predict=additive, x=X, parts=PARTS, frame=FRAME, target=TARGET, **options):
    n = len(x)
    found = probes.region_drops(
        predict, x, BLACK[:n], WHITE[:n], parts, frame, target, **options
    )
    return np.asarray(found["region_drops"])


@pytest.mark.parametrize("score", ["probability", "logit"])
@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, {"kind": "blur"}),
        ({"canvas": "blur", "blur_size": 3}, {"kind": "blur", "blur_size": 3}),
        ({"canvas": "mean"}, {"kind": "mean"}),
        ({"canvas": "inverted"}, {"kind": "inverted"}),
        (
            {"canvas": "constant", "value": 0.25, "masking_space": "pixel"},
            {"kind": "constant", "value": 0.25, "masking_space": "pixel"},
        ),
    ],
    ids=lambda value: "-".join(map(str, value.values())),
)
def test_every_part_becomes_the_canvas(options, kind, score):
    """Pixel by pixel, as the definition reads."""
    canvas = np.asarray(canvases.canvas(X, BLACK, WHITE, **kind))
    expected = np.zeros((4, 3))
    for image in range(4):
        whole = score_of(X[image], TARGET[image], score)
        for part in range(3):
            altered = np.array(X[image])
            for y, x in np.argwhere(LABELS[image] == part):
                altered[y, x] = canvas[image, y, x]
            expected[image, part] = whole - score_of(altered, TARGET[image], score)
    np.testing.assert_allclose(
        drops(score=score, **options), expected, rtol=2e-4, atol=2e-6
    )


def test_a_part_that_is_not_read_or_has_no_pixel_costs_exactly_nothing():
    def of_the_first_part(x):
        total = jnp.sum(jnp.where(PARTS[0, 0, :, :, None], x, 0.0), axis=(1, 2, 3))
        return jnp.stack([total, -total], axis=1)

    first = {"x": X[:1], "frame": FRAME[:1], "target": TARGET[:1]}
    found = drops(of_the_first_part, parts=PARTS[:1], **first, canvas="zero")
    assert found[0, 0] != 0
    np.testing.assert_array_equal(found[0, 1:], 0)
    without_ring = PARTS[:1].at[:, 1].set(False)
    assert drops(parts=without_ring, **first)[0, 1] == 0


def test_a_value_is_independent_of_its_batch_mates():
    together = drops()
    for i in range(4):
        one = slice(i, i + 1)
        alone = drops(x=X[one], parts=PARTS[one], frame=FRAME[one], target=TARGET[one])
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-5, atol=1e-6)
    order = np.array([2, 0, 3, 1])
    shuffled = drops(
        x=X[order], parts=PARTS[order], frame=FRAME[order], target=TARGET[order]
    )
    np.testing.assert_array_equal(shuffled, together[order])


def test_a_truth_on_another_grid_is_brought_to_the_model():
    """Twice as fine, on a larger canvas, and cut along the model's pixels."""
    fine = jnp.repeat(jnp.repeat(PARTS, 2, axis=2), 2, axis=3)
    padding = ((0, 0), (0, 0), (0, 3), (0, 1))
    frame = jnp.pad(jnp.ones((4, 10, 12), bool), padding[:1] + padding[2:])
    found = drops(parts=jnp.pad(fine, padding), frame=frame, score="logit")
    np.testing.assert_allclose(found, drops(score="logit"), rtol=1e-4, atol=1e-5)


def test_it_runs_compiled_and_refuses_options_the_canvas_does_not_read():
    jitted = jax.jit(lambda x: drops_of(x))
    np.testing.assert_allclose(jitted(X), drops(), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="does not read blur_size"):
        drops(canvas="mean", blur_size=3)
    with pytest.raises(ValueError, match="score="):
        drops(score="margin")


def drops_of(x):
    return probes.region_drops(additive, x, BLACK, WHITE, PARTS, FRAME, TARGET)[
        "region_drops"
    ]
