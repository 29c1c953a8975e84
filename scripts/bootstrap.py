"""Brings a fresh checkout to the point where it runs, and says what each step does.

    python scripts/bootstrap.py run     what `make run` needs
    python scripts/bootstrap.py test    what `make test`, `make check` and the scripts need
    python scripts/bootstrap.py packages run test ...    only the system packages of those groups in apt.txt

Plain Python, no package of its own: it runs before there is an environment. A step whose inputs are the same as last
time is skipped; the hash of its inputs is kept under .venv/stamps.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
PYTHON = BIN / "python"
STAMPS = VENV / "stamps"
OLDEST_NODE = 20


class Failed(Exception):
    """A step that cannot be finished, with the sentence that says what to do."""


# ------------------------------------------------------------------ saying and running


def say(step: str, text: str) -> None:
    print(f"  {step:<18} {text}", flush=True)


def call(step: str, command: list[str | Path], *, env: dict[str, str] | None = None) -> None:
    """Run quietly; on failure show the end of what the command said."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise Failed(f"{step} failed: {' '.join(str(part) for part in command[:4])} …\n{tail}")


def fingerprint(inputs: Iterable[Path | str]) -> str:
    """A hash of files (by content), folders (by their files' content) and strings, the same in every clone.

    Two clones that share one .venv would otherwise each take the other's packages for stale, and the one that only runs
    would sync away what the other tests with.
    """
    seen = hashlib.sha256()
    for item in inputs:
        seen.update(_inside(item).encode() + b"\0")
        if isinstance(item, Path):
            files = sorted(item.rglob("*")) if item.is_dir() else [item]
            for file in files:
                if file.is_file() and "__pycache__" not in file.parts:
                    seen.update(_inside(file).encode() + b"\0" + file.read_bytes())
    return seen.hexdigest()


def _inside(item: Path | str) -> str:
    """A path as seen from the project's folder; anything else as it is."""
    inside = isinstance(item, Path) and item.is_relative_to(ROOT)
    return str(item.relative_to(ROOT)) if inside else str(item)  # type: ignore[union-attr]


class Stamp:
    """Remembers the inputs with which a step was last done."""

    def __init__(self, name: str, *inputs: Path | str) -> None:
        self.file = STAMPS / name
        self.inputs = inputs

    def fresh(self) -> bool:
        return self.file.exists() and self.file.read_text() == fingerprint(self.inputs)

    def set(self) -> None:
        STAMPS.mkdir(parents=True, exist_ok=True)
        self.file.write_text(fingerprint(self.inputs))


# ------------------------------------------------------------------ system packages


def listed_packages(groups: Iterable[str]) -> list[str]:
    wanted = set(groups)
    rows = (line.split("#")[0].split() for line in (ROOT / "apt.txt").read_text().splitlines())
    return [row[0] for row in rows if row and row[1] in wanted]


def missing_packages(groups: Iterable[str]) -> list[str]:
    if not shutil.which("dpkg-query"):
        return []  # not a Debian; a missing library shows when it is used, with its own sentence
    missing = []
    for package in listed_packages(groups):
        if package == "python3-venv" and importlib.util.find_spec("ensurepip"):
            continue  # this Python brings its own
        asked = subprocess.run(
            ["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.strip() != "installed":
            missing.append(package)
    return missing


def system_packages(groups: list[str]) -> bool:
    """True when nothing is missing any more."""
    missing = missing_packages(groups)
    if not missing:
        say("System packages", "complete" if shutil.which("dpkg-query") else "not a Debian, not checked")
        return True
    line = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(missing)}"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("System packages", f"installing {', '.join(missing)}")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        try:
            call("apt-get update", ["apt-get", "update", "-qq"], env=quiet)
            call(
                "apt-get install",
                ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
                env=quiet,
            )
            return True
        except Failed as failure:
            print(failure, file=sys.stderr)
    say("System packages", f"missing: {', '.join(missing)}. As root, this adds them:")
    print(f"      {line}", flush=True)
    if "run" in groups:
        say("", "mesoclinic starts without them; PDFs say that their engine is missing.")
    return False


def name_the_optional() -> None:
    """Say what a set-up may do without, and what cannot be done then."""
    if missing := missing_packages(["han"]):
        names = " ".join(missing)
        say("Fonts", f"names in Han, Kana or Hangul cannot be printed without {names}.")
        print(f"      As root: apt-get install -y --no-install-recommends {names}", flush=True)


# ------------------------------------------------------------------ Python and Node


def environment() -> None:
    works = (
        PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], check=False, stderr=subprocess.DEVNULL).returncode == 0
    )
    if works:
        say("Environment", ".venv is there")
        return
    say("Environment", f"making .venv with Python {sys.version.split()[0]}")
    if VENV.exists():
        shutil.rmtree(VENV)
    try:
        call("venv", [sys.executable, "-m", "venv", VENV])
    except Failed as failure:
        raise Failed(
            f"{failure}\nPython's venv module is missing. On Debian or Ubuntu, as root: apt-get install -y python3-venv"
        ) from None


def uv() -> Path | None:
    """uv in the environment, installed by pip from its own lock; None where it cannot be had."""
    program = BIN / "uv"
    stamp = Stamp("uv", ROOT / "scripts/uv.txt")
    if program.exists() and stamp.fresh():
        return program
    try:
        call("pip", [PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", "scripts/uv.txt"])
    except Failed:
        say("Python packages", "uv cannot be had here; pip does its work")
        return None
    stamp.set()
    return program


def python_packages(kind: str) -> None:
    """The locked set, checked by hash. The set for tests holds all of the product's, so it serves `run` as well."""
    run = Stamp("python-run", ROOT / "requirements.txt")
    test = Stamp("python-test", ROOT / "requirements.txt", ROOT / "requirements-dev.txt")
    if test.fresh() or (kind == "run" and run.fresh()):
        say("Python packages", "unchanged")
        return
    lock, stamp = ("requirements.txt", run) if kind == "run" else ("requirements-dev.txt", test)
    for other in (run, test):
        other.file.unlink(missing_ok=True)
    started = time.monotonic()
    say("Python packages", f"installing {lock}, each file checked by its hash")
    program = uv()
    if program:
        kept = ["scripts/uv.txt", "scripts/node.txt"] if (BIN / "node").exists() else ["scripts/uv.txt"]
        try:
            call("uv", [program, "pip", "sync", "--quiet", "--python", PYTHON, "--require-hashes", lock, *kept])
        except Failed as failure:
            print(failure, file=sys.stderr)
            say("Python packages", "uv could not; trying with pip")
            program = None
    if not program:
        call("pip", [PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock])
    stamp.set()
    say("Python packages", f"installed in {time.monotonic() - started:.0f} s")


def node() -> dict[str, str]:
    """The environment variables under which `npm` is new enough."""
    if shutil.which("npm") and _node_major(shutil.which("node")) >= OLDEST_NODE:
        return {}
    inside = {"PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    stamp = Stamp("node", ROOT / "scripts/node.txt")
    if not (stamp.fresh() and _node_major(str(BIN / "node")) >= OLDEST_NODE):
        say("Node.js", f"none of version {OLDEST_NODE} or newer; adding one to .venv")
        program = uv()
        start: list[str | Path] = (
            [program, "pip", "install", "--python", PYTHON] if program else [PYTHON, "-m", "pip", "install"]
        )
        call("Node.js", [*start, "--quiet", "--require-hashes", "-r", "scripts/node.txt"])
        stamp.set()
    return inside


def _node_major(program: str | None) -> int:
    if not program or not Path(program).exists():
        return 0
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return int(told.strip().lstrip("v").split(".")[0] or 0) if told.startswith("v") else 0


def front_end() -> None:
    """The npm packages of the lock, and of them the few named files into static/vendor."""
    inputs = (ROOT / "package-lock.json", ROOT / ".npmrc", ROOT / "scripts/vendor.py")
    stamp = Stamp("front-end", *inputs)
    if stamp.fresh() and (ROOT / "node_modules").is_dir() and (ROOT / "static/vendor").is_dir():
        say("Front-end files", "unchanged")
        return
    say("Front-end files", "npm ci, then the named files into static/vendor")
    call("npm ci", ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], env=node())
    call("vendor", [PYTHON, "scripts/vendor.py"])
    stamp.set()


def translations() -> None:
    sources = sorted((ROOT / "locale").rglob("*.po"))
    stamp = Stamp("translations", *sources)
    if stamp.fresh() and all(source.with_suffix(".mo").exists() for source in sources):
        say("Translations", "unchanged")
        return
    call("Translations", [PYTHON, "scripts/messages.py", "compile"])
    stamp.set()
    say("Translations", f"compiled {len(sources)} files")


# ------------------------------------------------------------------ the database


def database() -> None:
    """Everything that needs Django, in one process: tables, cache table, sample clinic, static files."""
    say("Database", "tables, sample clinic where it is empty, static files")
    environment = {"MESOCLINIC_LOG_LEVEL": "WARNING", **os.environ}
    done = subprocess.run([PYTHON, "manage.py", "prepare", "--sample"], cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise Failed("The database could not be prepared; the reason stands above.")


def main(arguments: list[str]) -> int:
    kind = arguments[0] if arguments else ""
    if kind == "packages" and arguments[1:]:
        return 0 if system_packages(arguments[1:]) else 1
    if kind not in ("run", "test"):
        print(__doc__)
        return 2
    started = time.monotonic()
    print(f"Setting up mesoclinic in {ROOT}", flush=True)
    try:
        system_packages(["run"] if kind == "run" else ["run", "test"])
        name_the_optional()
        environment()
        python_packages(kind)
        front_end()
        translations()
        if kind == "run":
            database()
    except Failed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    say("Ready", f"after {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
