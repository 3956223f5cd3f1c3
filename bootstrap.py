#!/usr/bin/env python3
"""Makes the virtual environment and runs the project's commands in it. Needs nothing but Python 3.11 or newer.

python3 bootstrap.py install | run | test | check | lock
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
OLDEST = (3, 11)
UV_VERSION = "0.13.8"
# One more than processors: some tests wait, for a lease to run out or for a process to end.
TEST_PROCESSES = min((os.cpu_count() or 1) + 1, 4)


def main(arguments: list[str]) -> int:
    commands = {"install": install, "run": run, "test": test, "check": check, "lock": lock}
    if not arguments or arguments[0] not in commands:
        print(__doc__)
        return 2
    os.chdir(ROOT)
    try:
        return commands[arguments[0]](arguments[1:]) or 0
    except Stop as stop:
        print(f"\n{stop}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


class Stop(Exception):
    """What went wrong and what to type."""


def say(text: str) -> None:
    print(text, flush=True)


# install


def install(arguments: list[str]) -> int:
    """A complete .venv with what the product needs; with --dev also what its tests need."""
    name = "requirements-dev.txt" if "--dev" in arguments else "requirements.txt"
    wanted, dev = _digest(name), _digest("requirements-dev.txt")
    stamp = VENV / ".installed"
    installed = stamp.read_text().strip() if stamp.is_file() and PYTHON.exists() else ""
    if installed in (wanted, dev):
        return 0
    started = time.monotonic()
    base = _find_python()
    if not _works(PYTHON):
        _make_venv(base)
    stamp.unlink(missing_ok=True)
    say(f"Installing {name} into .venv (the first time takes up to a minute)")
    _install(name)
    stamp.write_text(wanted + "\n")
    say(f"Installed in {time.monotonic() - started:.0f} s.")
    return 0


def _digest(name: str) -> str:
    """What an environment is made from. The development set contains the runtime's, so it depends on both files."""
    text = (ROOT / "requirements.txt").read_bytes() + (ROOT / name).read_bytes()
    return f"{name} {hashlib.sha256(text).hexdigest()}"


def _works(python: Path) -> bool:
    """Whether it runs and is new enough. An environment whose Python was removed does not."""
    try:
        answer = subprocess.run(
            [str(python), "-c", "import sys; print(sys.version_info[:2] >= (3, 11))"], capture_output=True, text=True
        )
    except OSError:
        return False
    return answer.stdout.strip() == "True"


def _find_python() -> str:
    """A Python that is new enough: the running one, or another on PATH."""
    if sys.version_info >= OLDEST:
        # Outside any environment that is active now: it may be thrown away.
        return getattr(sys, "_base_executable", "") or sys.executable
    for minor in range(20, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and _works(Path(found)):
            return found
    raise Stop("Touchstone needs Python 3.11 or newer. Install one (https://www.python.org/downloads/) and try again.")


def _make_venv(base: str) -> None:
    if VENV.exists():
        shutil.rmtree(VENV)
    say(f"Making .venv with {base}")
    uv = shutil.which("uv")
    if uv and _quietly([uv, "venv", "--quiet", "--python", base, str(VENV)]) and _works(PYTHON):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    if _quietly([base, "-m", "venv", str(VENV)]) and _works(PYTHON):
        return
    # Debian without python3-venv leaves a half-made folder behind. A pip from elsewhere can fill one without pip.
    shutil.rmtree(VENV, ignore_errors=True)
    pip = _some_pip(base)
    bare = pip and _quietly([base, "-m", "venv", "--without-pip", str(VENV)]) and _works(PYTHON)
    if bare and _quietly([*pip, "--python", str(PYTHON), "install", "--quiet", "pip"]):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    version = ".".join(map(str, sys.version_info[:2]))
    raise Stop(
        "This Python cannot make virtual environments. Install what is missing and try again, for example:\n"
        f"    apt-get install python{version}-venv"
    )


def _some_pip(base: str) -> list[str]:
    if _quietly([base, "-m", "pip", "--version"]):
        return [base, "-m", "pip"]
    found = shutil.which("pip3") or shutil.which("pip")
    return [found] if found else []


def _quietly(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def _install(name: str) -> None:
    uv = shutil.which("uv") or _uv_inside()
    if uv:
        command = [uv, "pip", "sync", "--quiet", "--python", str(PYTHON), "--require-hashes", name]
        # As pip does, uv is to trust the certificates of the system: a company's proxy may have its own.
        trust = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
        done = subprocess.run(command, env=trust | os.environ, stderr=subprocess.PIPE, text=True)
        if done.returncode == 0:
            return
        first_words = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        say(f"uv could not install them ({first_words}); trying pip, which takes longer.")
    if not _quietly([str(PYTHON), "-m", "pip", "--version"]) and not _quietly([str(PYTHON), "-m", "ensurepip"]):
        raise Stop("Neither uv nor pip could be used in .venv. Install pip for this Python and try again.")
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", name]
    if subprocess.run(command).returncode != 0:
        raise Stop(
            "The packages could not be installed; the lines above say why.\n"
            "Without a network: connect once, or point pip at a local index.\n"
            "On musl (Alpine) and Windows some packages have no ready-made build: use a glibc system or WSL."
        )


def _uv_inside() -> str:
    """uv inside the environment: it installs in seconds what takes pip a minute. Empty where it cannot be had."""
    uv = BIN / ("uv.exe" if os.name == "nt" else "uv")
    if uv.exists():
        return str(uv)
    _quietly([str(PYTHON), "-m", "pip", "install", "--quiet", f"uv=={UV_VERSION}"])
    if not uv.exists():
        return ""
    # A sync removes what the requirements do not name, uv itself included: so it works from a copy.
    kept = VENV / "uv"
    shutil.copy2(uv, kept)
    return str(kept)


# run


def run(arguments: list[str]) -> int:
    """Installs, makes the demo project and serves. Further arguments go to `manage.py serve`."""
    install([])
    _step("migrate", "--verbosity", "0", "--skip-checks")
    demo = subprocess.run([str(PYTHON), "manage.py", "demo"])
    if demo.returncode != 0:
        say("The demo project was not made; its words are above. Touchstone starts without it.")
    return _become([str(PYTHON), "manage.py", "serve", *arguments])


def _step(*arguments: str) -> None:
    if subprocess.run([str(PYTHON), "manage.py", *arguments]).returncode != 0:
        raise Stop(f"manage.py {arguments[0]} failed; its words are above.")


def _become(command: list[str]) -> int:
    """Replaces this process, so that Ctrl-C and signals reach the command itself."""
    sys.stdout.flush()
    if os.name == "nt":
        return subprocess.run(command).returncode
    os.execv(command[0], command)


# test


def test(arguments: list[str]) -> int:
    """The whole suite on SQLite, then what touches the database on PostgreSQL (no browser), then JavaScript.

    Arguments go to pytest.
    """
    install(["--dev"])
    failed = []
    # Neighbours stay in one process, as far as it goes: they share a browser, a worker and what was built before.
    pytest = [str(PYTHON), "-m", "pytest", "-n", str(TEST_PROCESSES), "--dist", "worksteal", *arguments]
    postgres = [str(PYTHON), "-m", "tests.services.postgres", *pytest, "--database-only"]
    runs = {"SQLite": pytest, "PostgreSQL": postgres}
    plain = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    for database, command in runs.items():
        say(f"\n== pytest on {database}")
        if subprocess.run(command, env=plain).returncode != 0:
            failed.append(f"pytest on {database}")
    node = shutil.which("node")
    scripts = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "js").glob("*.test.js"))
    if not scripts:
        say("\n== node --test: there are no JavaScript tests")
    elif node:
        say("\n== node --test tests/js")
        if subprocess.run([node, "--test", *scripts]).returncode != 0:
            failed.append("node --test")
    else:
        say("\n== node --test SKIPPED: there is no node on PATH")
        if os.environ.get("CI"):
            failed.append("node is missing")
    say(f"\nFAILED: {', '.join(failed)}" if failed else "\nAll tests passed.")
    return 1 if failed else 0


# check


def check(arguments: list[str]) -> int:
    """Format, lint, types, import contracts, migrations, deployment settings and documentation."""
    install(["--dev"])
    apps = ["config", "feedback", "active_learning", "labeling"]
    code = ["bootstrap.py", "manage.py", *apps, "demo_host", "tests", "benchmarks"]
    python = str(PYTHON)
    # As behind a proxy that ends TLS, which is how it is deployed.
    deployed = {"HTTPS": "true", "ALLOWED_HOSTS": "touchstone.internal"}
    steps: list[tuple[str, list[str], dict[str, str]]] = [
        ("format", [python, "-m", "ruff", "format", "--check", *code], {}),
        ("lint", [python, "-m", "ruff", "check", *code], {}),
        ("types", [python, "-m", "mypy"], {}),
        ("imports", [str(BIN / "lint-imports")], {}),
        ("migrations", [python, "manage.py", "makemigrations", "--check", "--dry-run"], {}),
        ("deployment", [python, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], deployed),
        ("documentation", [python, "-m", "pytest", "-q", "tests/docs"], {}),
    ]
    failed = []
    for name, command, env in steps:
        say(f"\n== {name}")
        if subprocess.run(command, env=os.environ | env).returncode != 0:
            failed.append(name)
    say(f"\nFAILED: {', '.join(failed)}" if failed else "\nAll checks passed.")
    return 1 if failed else 0


# lock


def lock(arguments: list[str]) -> int:
    """Pins the requirements anew, with hashes, for every platform and Python."""
    install(["--dev"])
    uv = shutil.which("uv") or _uv_inside()
    if not uv:
        raise Stop("This needs uv: https://docs.astral.sh/uv/")
    for name in ("requirements", "requirements-dev"):
        command = [
            uv, "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes", "--quiet",
            "--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock",
            f"{name}.in", "--output-file", f"{name}.txt", *arguments,
        ]  # fmt: skip
        say(f"Pinning {name}.txt")
        if subprocess.run(command).returncode != 0:
            raise Stop(f"{name}.in could not be resolved; the lines above say why.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
