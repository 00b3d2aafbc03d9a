"""Where the real data and the trained networks lie, for the tests that need them."""

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # No test asks the network for weights.


def pytest_collection_modifyitems(items):
    """Marks the tests that need the real data, so that they can be chosen."""
    for item in items:
        if "shared_dir" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real images and weights beside the checkout."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("JAXCAM_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip("the folder of real images and weights is absent")
    return folder
