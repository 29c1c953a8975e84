"""For docker-compose.yml: does the web server of this container answer, has the beat written its schedule lately?"""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from pathlib import Path


def web() -> bool:
    # The server answers to the clinic's own host names only.
    host = os.environ.get("ALLOWED_HOSTS", "127.0.0.1").split(",")[0].strip().lstrip(".") or "127.0.0.1"
    request = urllib.request.Request("http://127.0.0.1:8000/healthz", headers={"Host": host})
    with urllib.request.urlopen(request, timeout=8) as answer:
        return bool(answer.status == 200)


def beat() -> bool:
    """The beat writes its schedule at least every few minutes."""
    folder = Path(os.environ.get("MESOCLINIC_DATA_DIR", "var"))
    newest = max((file.stat().st_mtime for file in folder.glob("celerybeat-schedule*")), default=0.0)
    return time.time() - newest < 600


if __name__ == "__main__":
    try:
        healthy = beat() if sys.argv[1:] == ["beat"] else web()
    except OSError as error:
        print(error)
        healthy = False
    sys.exit(0 if healthy else 1)
