"""Runs the scripts of tests/faults/ one after the other, each on SQLite and on a throwaway PostgreSQL and Redis.

    python scripts/faults.py [name ...]

Small counts by default; MESOCLINIC_DEEP=1 gives the full ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(names: list[str]) -> int:
    scripts = sorted(
        path
        for path in (ROOT / "tests/faults").glob("*.py")
        if not path.stem.startswith("_") and (not names or path.stem in names)
    )
    if not scripts:
        print("No script of tests/faults/ is called that.")
        return 2
    bare = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    failed = []
    for script in scripts:
        for where, start in (("SQLite", []), ("PostgreSQL", [sys.executable, "scripts/with_services.py"])):
            began = time.monotonic()
            print(f"--- {script.stem} on {where}", flush=True)
            code = subprocess.call([*start, sys.executable, "-m", f"tests.faults.{script.stem}"], cwd=ROOT, env=bare)
            print(
                f"--- {script.stem} on {where}: {'FAILED' if code else 'ok'}, {time.monotonic() - began:.0f} s",
                flush=True,
            )
            if code:
                failed.append(f"{script.stem} on {where}")
    print(f"Failed: {', '.join(failed)}" if failed else "Every fault was survived.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
