"""Runs the benchmarks one after the other; each prints its figures beside its reference.

python scripts/bench.py [name ...]
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(names: list[str]) -> int:
    scripts = sorted(
        path
        for path in (ROOT / "benchmarks").glob("*.py")
        if not path.stem.startswith("_") and (not names or path.stem in names)
    )
    if not scripts:
        print("No benchmark is called that.")
        return 2
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    failed = []
    for script in scripts:
        print(f"\n== {script.stem}", flush=True)
        if subprocess.call([sys.executable, "-m", f"benchmarks.{script.stem}"], cwd=ROOT):
            failed.append(script.stem)
    print(f"\nFailed: {', '.join(failed)}" if failed else "")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
