import os

import pytest


def missing(what: str) -> None:
    """Ends a test whose real part is not on this machine: a failure in CI, elsewhere a skip that says what to get."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
