import pytest


@pytest.fixture(autouse=True)
def storage(settings, tmp_path):
    """A storage folder of the test's own."""
    settings.STORAGE_ROOT = tmp_path / "storage"
    return settings.STORAGE_ROOT
