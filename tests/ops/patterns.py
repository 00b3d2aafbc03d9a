"""Masks that are hard to label: long, thin, winding components."""

import numpy as np


def spiral(size):
    """A path one pixel wide that winds inwards, one pixel apart from itself."""
    mask = np.zeros((size, size), bool)
    y, x, dy, dx = 0, 0, 0, 1
    mask[0, 0] = True

    def free(y, x):
        inside = 0 <= y < size and 0 <= x < size
        return inside and not mask[y, x]

    while True:
        ahead, beyond = (y + dy, x + dx), (y + 2 * dy, x + 2 * dx)
        if not free(*ahead) or (
            0 <= beyond[0] < size and 0 <= beyond[1] < size and mask[beyond]
        ):
            dy, dx = dx, -dy
            ahead, beyond = (y + dy, x + dx), (y + 2 * dy, x + 2 * dx)
            blocked = 0 <= beyond[0] < size and 0 <= beyond[1] < size and mask[beyond]
            if not free(*ahead) or blocked:
                return mask
        y, x = ahead
        mask[y, x] = True


def serpentine(size):
    """Rows joined at alternating ends."""
    mask = np.zeros((size, size), bool)
    mask[::2] = True
    mask[1::4, -1] = True
    mask[3::4, 0] = True
    return mask


def zigzag(size):
    """A diagonal line that turns at the borders, touching only at corners."""
    y = np.arange(size)
    return (y[:, None] % 8 == np.abs((y - 4) % 8 - 4)[None]).reshape(size, size)


def comb(size):
    """Teeth that meet in a single row at the bottom."""
    mask = np.zeros((size, size), bool)
    mask[:, ::2] = True
    mask[-1] = True
    return mask


def checkerboard(size):
    return np.indices((size, size)).sum(0) % 2 == 0


def dots(size):
    mask = np.zeros((size, size), bool)
    mask[::2, ::2] = True
    return mask


def rings(size):
    """Nested square rings: none touches another."""
    at = np.minimum(np.arange(size), size - 1 - np.arange(size))
    return np.minimum(at[:, None], at[None]) % 2 == 0


def stairs(size):
    """Pairs of runs that each touch the next row in one corner only."""
    y, x = np.indices((size, size))
    return (x + 3 * y) % 7 < 3


HARD = (spiral, serpentine, zigzag, comb, checkerboard, dots, rings, stairs)
