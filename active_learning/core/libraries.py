"""The numeric libraries, loaded at their first use and without what nobody here needs of them."""

import importlib
import sys
import threading

_lock = threading.Lock()


def load_scikit_learn_without_pandas() -> None:
    """scikit-learn loads pandas and Arrow (80 MB) only to know a data frame when it meets one, and here it meets arrays
    alone; the code that does need pandas still imports it.
    """
    with _lock:
        if "sklearn" in sys.modules or "pandas" in sys.modules:
            return
        sys.modules["pandas"] = None  # type: ignore[assignment]
        try:
            importlib.import_module("sklearn.utils.fixes")
        finally:
            del sys.modules["pandas"]
