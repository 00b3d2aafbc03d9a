"""The evidence ring end to end, on linear models that read known pixels only."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcam
from jaxcam.data import records

SIZE = 16
SQUARE = np.zeros((SIZE, SIZE), bool)
SQUARE[4:12, 4:12] = True
OBJECT = SQUARE.copy()
OBJECT[6:10, 6:10] = False  # A frame: its hole belongs to the ring.


@dataclasses.dataclass(frozen=True)
class Reads:
    """A linear model whose logit is the brightness of some pixels."""

    pixels: np.ndarray

    def model(self):
        from flax import linen as nn

        pixels = jnp.asarray(self.pixels, jnp.float32)

        class Linear(nn.Module):
            @nn.compact
            def __call__(self, x):
                kernel = nn.initializers.ones
                brightness = nn.Conv(1, (1, 1), use_bias=False, kernel_init=kernel)(x)
                total = jnp.einsum("hw,bhwc->b", pixels, brightness)
                return jnp.stack([total, jnp.zeros_like(total)], axis=1)

        module = Linear()
        variables = module.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
        return jaxcam.models.wrap(
            (module, variables), size=SIZE, mean=(0, 0, 0), std=(1, 1, 1)
        )


def bright_images(count=3, mask=OBJECT):
    """White images, so that every pixel that is read speaks for class 0."""
    white = np.full((SIZE, SIZE, 3), 255, np.uint8)
    made = [
        records.Record(
            id=str(i),
            image=lambda: white,
            truth=lambda: records.Truth(object=mask),
            shape=lambda: white.shape[:2],
        )
        for i in range(count)
    ]
    return records.Dataset(name="white", records=made)


def evaluated(pixels, methods, mask=OBJECT):
    """A run over white images; a grey canvas takes all that is read."""
    return jaxcam.evaluate(
        Reads(pixels).model(),
        bright_images(mask=mask),
        methods=methods,
        metrics=["evidence_ring[canvas=zero,score=logit]"],
        targets="predicted",
    )


def column(result, metric, method):
    (record,) = [
        r
        for r in result.summary(resamples=2, metrics=[metric])
        if r["method"] == method
    ]
    return record["estimate"]


RING = SQUARE & ~OBJECT


def effect(part):
    return f"region_effect[canvas=zero,part={part},score=logit]"


def test_a_planted_causal_ring_is_found():
    """A model that reads the ring only: all of its logit is lost with it."""
    result = evaluated(RING, ["gradient"])
    total = 3.0 * RING.sum()
    assert column(result, effect("ring"), "gradient") == pytest.approx(total)
    assert column(result, effect("object"), "gradient") == 0
    assert column(result, effect("context"), "gradient") == 0
    assert column(result, "region_energy[part=ring]", "gradient") == 1
    distance = "evidence_ring[canvas=zero,score=logit]"
    assert column(result, distance, "gradient") == pytest.approx(0, abs=1e-6)
    assert column(result, distance, "truth") == pytest.approx(1)  # All on the object.


def test_a_spurious_ring_is_refused():
    """A model that reads the object only: a map over the whole box is off by its ring.

    The uniform map's energy is the area of the parts, so its distance from evidence
    that lies in the object is the area of the rest.
    """
    result = evaluated(OBJECT, ["gradient"])
    assert column(result, effect("ring"), "gradient") == 0
    assert column(result, "region_energy[part=ring]", "gradient") == 0
    distance = "evidence_ring[canvas=zero,score=logit]"
    assert column(result, distance, "gradient") == pytest.approx(0, abs=1e-6)
    rest = 1 - OBJECT.sum() / SIZE**2
    assert column(result, distance, "uniform") == pytest.approx(rest)


def test_the_relative_effect_of_a_causal_ring_is_the_share_of_the_probability():
    """Without the ring the logits are 0 and 0: the probability falls from p to 1/2."""
    pixels = RING * 0.01
    result = jaxcam.evaluate(
        Reads(pixels).model(),
        bright_images(),
        methods=["gradient"],
        metrics=["evidence_ring[canvas=zero]"],
        targets="predicted",
    )
    p = 1 / (1 + np.exp(-3 * pixels.sum()))
    found = column(result, "region_effect[canvas=zero,part=ring]", "gradient")
    assert found == pytest.approx((p - 0.5) / p, rel=1e-5)


def test_methods_are_compared_by_the_median_effect_too():
    """It is the image's, whatever the map: no two methods differ."""
    result = evaluated(RING, ["gradient"])
    (record,) = jaxcam.compare(
        result, metrics=[effect("ring")], resamples=9, permutations=9
    )
    told = {record[key] for key in ("difference", "low", "high")}
    assert (told, record["p_value"], record["n"]) == ({0.0}, 1.0, 3)


def test_an_empty_ring_has_neither_energy_nor_effect():
    result = evaluated(np.ones((SIZE, SIZE), bool), ["gradient"], mask=SQUARE)
    assert column(result, "region_energy[part=ring]", "uniform") == 0
    assert column(result, effect("ring"), "uniform") == 0
    inside = SQUARE.mean()
    assert column(result, "region_energy[part=object]", "uniform") == inside
    distance = "evidence_ring[canvas=zero,score=logit]"
    # A model that reads all pixels alike, explained by a map that does.
    assert column(result, distance, "uniform") == pytest.approx(0, abs=1e-6)
