"""Options of programs that run a network: they change the speed, and no value."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxcam import _compiling

RNG = np.random.default_rng(0)
A, B = (jnp.asarray(RNG.normal(size=(96, 96)), jnp.float32) for _ in range(2))


def product(a, b):
    return jax.nn.relu(a @ b).sum(0)


def test_values_are_those_of_plain_compilation():
    fast, plain = _compiling.jit_network(product), jax.jit(product)
    np.testing.assert_allclose(fast(A, B), plain(A, B), rtol=1e-4)


def test_an_option_that_jax_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(_compiling, "_PRODUCTS_BY_YNNPACK", {"xla_cpu_unknown": "1"})
    _compiling._knows_ynnpack.cache_clear()
    try:
        assert not _compiling.network_options()
        found = _compiling.jit_network(product)(A, B)
    finally:
        _compiling._knows_ynnpack.cache_clear()
    np.testing.assert_allclose(found, product(A, B), rtol=1e-4)


def test_only_the_cpu_has_options():
    assert not _compiling._knows_ynnpack("gpu")
