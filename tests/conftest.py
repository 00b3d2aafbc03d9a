"""Where the real data and the trained networks lie, for the tests that need them."""

import gc
import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # No test asks the network for weights.


def pytest_collection_modifyitems(items):
    """Marks the tests that need the real data, so that they can be chosen."""
    for item in items:
        if "shared_dir" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)


MOST_BYTES = 4 * 2**30
"""Of memory that a process of the tests keeps from one file to the next."""


@pytest.fixture(scope="module", autouse=True)
def bounded_memory():
    """Compiled programs pile up over a session: those of earlier files go."""
    yield
    status = Path("/proc/self/statm")
    if status.exists():
        resident = int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        if resident > MOST_BYTES:
            import jax

            jax.clear_caches()
            gc.collect()


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real images and weights beside the checkout."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("JAXCAM_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip("the folder of real images and weights is absent")
    return folder
