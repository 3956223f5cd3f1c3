"""Which source files a part of the code consists of: itself and all of ours that it imports. Nothing is executed."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

# What decides the files of a model: how items become numbers, how these are learned from, what is written of it.
OF_A_FIT = (
    "active_learning.core.featurize",
    "active_learning.core.learners",
    "active_learning.core.known",
    "active_learning.core.artifacts",
)


def digest_of(root: Path, modules: Iterable[str]) -> str:
    """SHA-256 over the files of `import_closure`: the same wherever the same code lies."""
    digest = hashlib.sha256()
    for name, path in sorted(import_closure(root, modules).items()):
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\0".encode() + content)
    return digest.hexdigest()


def import_closure(root: Path, modules: Iterable[str]) -> dict[str, Path]:
    """The files of these modules and of every module below the folder `root` that they import, however far, by name.

    Imports inside functions count, a package that is named counts with all its modules, and one that is imported with
    its `__init__`. Raises FileNotFoundError for a named module that is not there.
    """
    found: dict[str, Path] = {}
    waiting = [name for module in modules for name in _with_parts(root, module)]
    while waiting:
        name = waiting.pop()
        path = _file_of(root, name)
        if path is None or name in found:
            continue
        found[name] = path
        waiting += _imported(name, path)
    return found


def _with_parts(root: Path, module: str) -> list[str]:
    path = _file_of(root, module)
    if path is None:
        raise FileNotFoundError(f"There is no module {module} in {root}.")
    if path.name != "__init__.py":
        return [module]
    inside = (part.relative_to(root).with_suffix("") for part in path.parent.rglob("*.py"))
    return [".".join(part.parts).removesuffix(".__init__") for part in inside]


def _file_of(root: Path, name: str) -> Path | None:
    place = root.joinpath(*name.split("."))
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _imported(name: str, path: Path) -> Iterator[str]:
    """What a module may import: of `from a import b` both a and a.b, and the packages that each lies in."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: 1 - node.level or None] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from _with_parents(source)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:n]) for n in range(1, len(parts) + 1))
