"""All that is checked without running the product: style, types, arrows, migrations, templates, translations, locks.

python scripts/check.py [--fix] [name ...]
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRODUCTION = {
    # Nothing here is real: `check --deploy` reads settings and opens no connection.
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_",
    "MESOCLINIC_URL": "https://clinic.example",
    "ALLOWED_HOSTS": "clinic.example",
    "DATABASE_URL": "postgres://mesoclinic:secret@db/mesoclinic",
    "REDIS_URL": "redis://redis:6379/0",
    "EMAIL_URL": "smtp+tls://user:secret@mail.example:587",
    "MESOCLINIC_DATA_DIR": str(ROOT / "var/check"),
}


def tool(*arguments: str, env: dict[str, str] | None = None) -> Callable[[], str]:
    """A check that runs ``python -m …``; gives what it said where it failed, else nothing."""

    def run() -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"exit {done.returncode}"

    return run


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


# Written in two halves so that this file does not hold what it looks for.
REGISTRIES = tuple(
    "".join(halves)
    for halves in (
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("yarn", "pkg.com"),
        ("//regi", "stry."),
        ("docker", ".io"),
        ("ghcr", ".io"),
        ("quay", ".io"),
        ("un", "pkg.com"),
        ("jsdelivr", ".net"),
        ("cdn", "js."),
        ("fonts.google", "apis"),
        ("gstatic", ".com"),
        ("deb.", "debian.org"),
        ("/simple", "/"),
        ("--index", "-url"),
    )
)


def no_registry_address() -> str:
    """No file of the repository says where packages are fetched from: that is the machine's affair."""
    found = []
    for file in tracked_files():
        try:
            text = file.read_text(encoding="utf-8").lower()
        except UnicodeDecodeError:
            continue
        found += [f"{file.relative_to(ROOT)} names {host}" for host in REGISTRIES if host in text]
    return "\n".join(found)


def locks_carry_hashes() -> str:
    """Every package of every lock is pinned and carries a hash."""
    found = []
    for name in ("requirements.txt", "requirements-dev.txt", "scripts/uv.txt", "scripts/node.txt"):
        blocks: list[str] = []
        for line in (ROOT / name).read_text().splitlines():
            if line.startswith("    ") or line.startswith("#"):
                if blocks:
                    blocks[-1] += line
            elif line.strip():
                blocks.append(line)
        found += [
            f"{name}: {block.split()[0]} has no hash"
            for block in blocks
            if "==" not in block or "--hash=sha256:" not in block
        ]
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    for key, package in packages.items():
        if key and not package.get("integrity", "").startswith("sha512-"):
            found.append(f"package-lock.json: {key} has no integrity hash")
        if "resolved" in package:
            found.append(f"package-lock.json: {key} names an address")
    return "\n".join(found)


def locks_are_current() -> str:
    """Each dependency of pyproject.toml stands in its lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = []
    for lock, wanted in (
        ("requirements.txt", project["project"]["dependencies"]),
        ("requirements-dev.txt", project["project"]["dependencies"] + project["dependency-groups"]["dev"]),
    ):
        locked = {line.group(1).lower() for line in re.finditer(r"^([A-Za-z0-9._-]+)", (ROOT / lock).read_text(), re.M)}
        for requirement in wanted:
            name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()
            if name not in locked:
                found.append(f"{lock} lacks {name}: run make lock")
    return "\n".join(found)


CHECKS: dict[str, Callable[[], str]] = {
    "ruff": tool("-m", "ruff", "check", "."),
    "format": tool("-m", "ruff", "format", "--check", "."),
    "arrows": tool("-c", "from importlinter.cli import lint_imports_command as run; run()"),
    "tree": tool("scripts/tree.py"),
    "migrations": tool("manage.py", "makemigrations", "--check", "--dry-run"),
    "deploy": tool("manage.py", "check", "--deploy", "--fail-level", "WARNING", env=PRODUCTION),
    "templates": tool("-m", "djlint", "templates", "--lint", "--quiet"),
    "messages": tool("scripts/messages.py", "check"),
    "registries": no_registry_address,
    "hashes": locks_carry_hashes,
    "locks": locks_are_current,
    "types": tool("-m", "mypy", "mesoclinic", "patients", "protocols", "sessions", "scripts", "benchmarks"),
}


def main(arguments: list[str]) -> int:
    if "--fix" in arguments:
        subprocess.run([sys.executable, "-m", "ruff", "check", "--fix", "--quiet", "."], cwd=ROOT, check=False)
        subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", "."], cwd=ROOT, check=False)
    chosen = [name for name in arguments if not name.startswith("-")] or list(CHECKS)
    unknown = set(chosen) - set(CHECKS)
    if unknown:
        print(f"No check is called {', '.join(sorted(unknown))}. There are: {', '.join(CHECKS)}")
        return 2
    failed = []
    for name in chosen:
        started = time.monotonic()
        fault = CHECKS[name]()
        print(f"  {name:<12} {'FAILED' if fault else 'ok':<7} {time.monotonic() - started:5.1f} s", flush=True)
        if fault:
            failed.append(name)
            print(fault, flush=True)
    print(f"Failed: {', '.join(failed)}" if failed else "All checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
