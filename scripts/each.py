"""Runs the scripts of a folder one after the other, each in a process of its own, and sums up.

    python scripts/each.py tests/faults [--services] [--except name] [name ...]

With --services each runs a second time on a throwaway PostgreSQL and Redis. A module without ``__main__`` runs nothing
and is left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVICES = [sys.executable, "scripts/with_services.py"]


def runnable(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.glob("*.py"))
        if not path.stem.startswith("_") and '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    ]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--services", action="store_true")
    parser.add_argument("--except", dest="without", action="append", default=[])
    options = parser.parse_intermixed_args()  # names may follow an option
    there = runnable(ROOT / options.folder)
    unknown = set(options.names) - {path.stem for path in there}
    if unknown:
        parser.error(f"{options.folder} has no {', '.join(sorted(unknown))}; it has {', '.join(p.stem for p in there)}")
    chosen = [
        path for path in there if path.stem not in options.without and path.stem in (options.names or [path.stem])
    ]
    places: list[tuple[str, list[str]]] = [("SQLite", [])]
    if options.services:
        places.append(("PostgreSQL and Redis", SERVICES))
    bare = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    package = options.folder.strip("/").replace("/", ".")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    told = []
    for path in chosen:
        for place, start in places:
            name = f"{path.stem} on {place}" if options.services else path.stem
            print(f"\n--- {name}", flush=True)
            began = time.monotonic()
            code = subprocess.call([*start, sys.executable, "-m", f"{package}.{path.stem}"], cwd=ROOT, env=bare)
            told.append((name, code, time.monotonic() - began))
    print()
    for name, code, seconds in told:
        print(f"  {name:<44} {'FAILED' if code else 'ok':<7} {seconds:5.0f} s")
    return 1 if any(code for _name, code, _seconds in told) else 0


if __name__ == "__main__":
    sys.exit(main())
