"""`manage.py serve` ends as it should in every way that it can end, and never leaves a process behind.

    python -m tests.faults.serve_stops

Ctrl-C, SIGTERM, Ctrl-C twice, its own sudden death, the death of the web server or of the worker, a port that is taken,
and a second serve on the same data. It brings its own data folder, so it runs on SQLite whatever the environment says.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.processes import processes_with

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = sys.executable


def environment(folder: str, **more: str) -> dict[str, str]:
    bare = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL", "EMAIL_URL")}
    return {**bare, "MESOCLINIC_DATA_DIR": folder, "MESOCLINIC_LOG_LEVEL": "WARNING", **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Serve:
    def __init__(self, folder: str) -> None:
        self.log = Path(folder) / "serve.log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [PYTHON, "manage.py", "serve", "--port", str(free_port())],
                cwd=ROOT,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while "mesoclinic runs at" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"serve did not start:\n{self.log.read_text()}")
            time.sleep(0.1)

    def child(self, name: str) -> int:
        """The pid of the child's main process: the one whose parent is serve itself."""
        told = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=True
        )
        return next(int(line.split()[0]) for line in told.stdout.splitlines() if name in line)


def ctrl_c(serve: Serve) -> int:
    serve.process.send_signal(signal.SIGINT)
    return 0


def terminate(serve: Serve) -> int:
    serve.process.terminate()
    return 0


def ctrl_c_twice(serve: Serve) -> int:
    serve.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    serve.process.send_signal(signal.SIGINT)
    return 0


def killed(serve: Serve) -> int:
    serve.process.kill()
    return -signal.SIGKILL


def web_dies(serve: Serve) -> int:
    os.kill(serve.child("gunicorn"), signal.SIGKILL)
    return 1


def worker_dies(serve: Serve) -> int:
    os.kill(serve.child("celery"), signal.SIGKILL)
    return 1


WAYS: tuple[Callable[[Serve], int], ...] = (ctrl_c, terminate, ctrl_c_twice, killed, web_dies, worker_dies)


def refused(folder: str, *, port: int, sentence: str) -> str:
    told = subprocess.run(
        [PYTHON, "manage.py", "serve", "--port", str(port)],
        cwd=ROOT,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = told.stdout + told.stderr
    return "" if told.returncode == 1 and sentence in said and "Traceback" not in said else said or "it started"


def main() -> int:
    if os.environ.get("DATABASE_URL"):
        print("serve brings its own database: nothing to try here")
        return 0
    failed = []
    with tempfile.TemporaryDirectory(prefix="mesoclinic-serve-") as folder:
        subprocess.run([PYTHON, "manage.py", "prepare", "--sample"], cwd=ROOT, env=environment(folder), check=True)

        def tell(name: str, fault: str) -> None:
            print(f"  {name:<26} {fault or 'ok'}", flush=True)
            if fault:
                failed.append(name)

        for way in WAYS:
            serve = Serve(folder)
            began = time.monotonic()
            wanted = way(serve)
            code = serve.process.wait(60)
            while (left := processes_with(folder)) and time.monotonic() - began < 30:
                time.sleep(0.2)
            fault = "" if code == wanted else f"exit code {code} instead of {wanted}: {serve.log.read_text()[-300:]}"
            tell(f"{way.__name__} ({time.monotonic() - began:.1f} s)", fault or (f"left {left}" if left else ""))
        serve = Serve(folder)
        tell("second serve", refused(folder, port=free_port(), sentence="running already"))
        with socket.socket() as taken, tempfile.TemporaryDirectory() as other:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            tell("port taken", refused(other, port=taken.getsockname()[1], sentence="can't be used"))
        serve.process.terminate()
        serve.process.wait(60)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
