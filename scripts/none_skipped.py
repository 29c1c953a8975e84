"""Runs pytest and fails when a test was skipped: on real services nothing has a reason to be."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        code = subprocess.call([sys.executable, "-m", "pytest", f"--junitxml={report}", *arguments])
        if code:
            return code
        skipped = [
            f"{case.get('classname')}.{case.get('name')}"
            for case in ElementTree.parse(report).iter("testcase")
            if case.find("skipped") is not None
        ]
    if skipped:
        print(f"{len(skipped)} skipped, and none may be:\n  " + "\n  ".join(skipped))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
