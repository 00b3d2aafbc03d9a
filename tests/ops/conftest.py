"""Strict modes and the three ways in which every per-image function must agree."""

import jax
import pytest


@pytest.fixture(autouse=True)
def strict_numpy():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(params=["eager", "jit", "vmap"])
def per_image(request):
    """Runs a per-image function three ways; all must agree with the expected value."""

    def run(fn, *args, **kwargs):
        if request.param == "eager":
            return fn(*args, **kwargs)
        if request.param == "jit":
            return jax.jit(fn)(*args, **kwargs)
        args, kwargs = jax.tree.map(lambda x: x[None], (args, kwargs))
        return jax.tree.map(lambda x: x[0], jax.vmap(fn)(*args, **kwargs))

    return run
