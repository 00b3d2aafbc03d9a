"""What every fit shares."""

import jax.numpy as jnp
import numpy as np

from jaxcam import fitting


def test_every_image_is_shown_once_an_epoch():
    rows = np.concatenate(list(fitting.order(50, 16, seed=0, epoch=0)))
    assert len(set(rows.tolist())) == 48
    other = np.concatenate(list(fitting.order(50, 16, seed=0, epoch=1)))
    assert (rows != other).any()
    same = np.concatenate(list(fitting.order(50, 16, seed=0, epoch=0)))
    np.testing.assert_array_equal(rows, same)


def test_only_matrices_decay():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    optimizer = fitting.optimizer(0.1, 0.5, steps=4)
    state = optimizer.init(params)
    zeros = {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}
    for _ in range(2):  # The rate of the first step is zero.
        updates, state = optimizer.update(zeros, state, params)
    assert np.all(updates["kernel"] < 0)
    assert not updates["bias"].any()


def test_entries_count_from_one():
    entry = fitting.epoch_entry(0, loss=1 / 3)
    assert entry == {"epoch": 1, "loss": 0.33333}
