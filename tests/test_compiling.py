"""Options of programs that run a network: they change the speed, and no value."""

import os
import subprocess
import sys

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


def test_programs_are_kept_where_only_their_owner_reads(tmp_path):
    """In a process of its own, as JAX's settings are the whole process's."""
    code = (
        "import jax, jax.numpy as jnp; from jaxcam import _compiling\n"
        "folder = _compiling.keep_programs()\n"
        "assert folder == _compiling.cache_directory() / 'programs', folder\n"
        "assert folder.stat().st_mode & 0o777 == 0o700\n"
        "assert _compiling.keep_programs() is None\n"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)\n"
        "jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((4, 4)))\n"
        "assert any(folder.iterdir())\n"
    )
    environment = {k: v for k, v in os.environ.items() if "COMPILATION_CACHE" not in k}
    environment |= {"XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
