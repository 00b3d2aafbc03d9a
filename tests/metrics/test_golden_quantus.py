"""Against Quantus, where its definitions are ours: goldens made once."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import metrics
from tests.golden import make_quantus

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "quantus.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", GOLDEN["values"])
def test_agrees_with_quantus(name):
    maps, masks = map(jnp.asarray, make_quantus.inputs())
    metric = getattr(metrics, name)
    options = {}
    if name in ("top_k_intersection", "concept_influence"):
        options = {"k": GOLDEN["k"]}
    if name in ("gini_sparseness", "entropy_complexity"):
        actual = jax.vmap(metric)(maps)
    else:
        actual = jax.vmap(lambda s, m: metric(s, m, **options))(maps, masks)
    np.testing.assert_allclose(actual, GOLDEN["values"][name], rtol=1e-5)
