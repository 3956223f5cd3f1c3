"""The code version covers what a fit is made of, and nothing else."""

from pathlib import Path

import pytest

from active_learning.core.sources import OF_A_FIT, digest_of, import_closure

ROOT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "shop/__init__.py": "",
        "shop/core/__init__.py": "",
        "shop/core/fit.py": "import json\nfrom shop.core import blocks\nfrom .near import helper\n",
        "shop/core/blocks.py": "def f():\n    import shop.core.late\n",
        "shop/core/near.py": "from . import ring\nfrom .. import outer\n",
        "shop/core/ring.py": "from shop.core.fit import x\n",
        "shop/core/late.py": "",
        "shop/core/chart.py": "import shop.core.fit\n",
        "shop/outer.py": "",
        "shop/rooms/__init__.py": "",
        "shop/rooms/one.py": "import shop.core.chart\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_imports_are_followed_however_they_are_written(root: Path) -> None:
    found = import_closure(root, ["shop.core.fit"])
    near = {"shop", "shop.core", *(f"shop.core.{name}" for name in ("fit", "blocks", "near", "ring", "late"))}
    assert set(found) == near | {"shop.outer"}
    assert {"shop.rooms.one", "shop.core.chart"} <= set(import_closure(root, ["shop.rooms"]))
    with pytest.raises(FileNotFoundError):
        import_closure(root, ["shop.core.nothing"])


def test_the_digest_changes_with_what_is_imported_and_with_nothing_else(root: Path) -> None:
    first = digest_of(root, ["shop.core.fit"])
    (root / "shop/core/chart.py").write_text("x = 1\n")
    assert digest_of(root, ["shop.core.fit"]) == first
    (root / "shop/core/late.py").write_text("x = 1\n")
    assert digest_of(root, ["shop.core.fit"]) != first


def test_the_code_version_covers_a_fit_and_not_what_pages_draw() -> None:
    found = {name.removeprefix("active_learning.core.") for name in import_closure(ROOT, OF_A_FIT)}
    assert found >= {"featurize", "embedding", "blocks", "learners", "known", "artifacts", "manifest"}
    assert not found & {"curves", "quality", "gate", "card", "similar", "acquisition"}
