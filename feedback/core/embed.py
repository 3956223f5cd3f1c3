"""The scripts for other people's pages, as they are served: small, and named by their hash."""

import base64
import hashlib
import re

# Name and newest version of each script; the files of older versions stay where they are.
SCRIPTS = {"widget": "1.2.0", "signals": "1.1.0"}
_VERSIONED = re.compile(r"(widget|signals)-(\d+\.\d+\.\d+)\.js")


def without_comments(source: str) -> bytes:
    """The script without indentation, empty lines and lines that are comments. Statements end with semicolons, and no
    text spans lines whose blanks matter, so that it means the same."""
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")).encode() + b"\n"


def integrity(served: bytes) -> str:
    """What a page writes beside the address, so that its browser takes this very script and no other."""
    return "sha384-" + base64.b64encode(hashlib.sha384(served).digest()).decode()


def file_of(asked: str) -> tuple[str, bool] | None:
    """The file that an address names and whether it is one version for good; None when it names none."""
    if match := _VERSIONED.fullmatch(asked):
        return match[0], True
    name = asked.removesuffix(".js")
    return (f"{name}-{SCRIPTS[name]}.js", False) if name in SCRIPTS and asked.endswith(".js") else None
