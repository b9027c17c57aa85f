"""What tests of all folders share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared development data beside the project; a test that needs it is skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "captures" / "MANIFEST.md").is_file():
        pytest.skip("no folder of shared captures beside the project")
    return folder
