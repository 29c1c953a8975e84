"""Runs a command with a throwaway PostgreSQL and Redis, and stops both whatever happens.

    python scripts/with_services.py python -m pytest

Both listen on free ports of 127.0.0.1 and keep their data in a temporary folder; the command finds them in DATABASE_URL
and REDIS_URL. Nothing of a server that may run on this machine already is touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgresql_programs() -> Path:
    """The folder of initdb and pg_ctl: on the PATH, else the newest of Debian's."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not folders:
        sys.exit(
            "PostgreSQL's programs are not installed. As root: apt-get install -y --no-install-recommends postgresql"
        )
    return folders[-1]


@contextmanager
def postgresql() -> Iterator[str]:
    programs = postgresql_programs()
    folder = Path(tempfile.mkdtemp(prefix="mesoclinic-postgresql-"))
    # PostgreSQL refuses to run as root; Debian's package brings the user postgres.
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, user="postgres", group="postgres")
    port = free_port()

    def run(*command: str | Path) -> None:
        done = subprocess.run(
            [*as_user, *map(str, command)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            log = folder / "log"
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}\n{log.read_text() if log.exists() else ''}")

    data = folder / "data"
    options = f"-p {port} -k {folder} -h 127.0.0.1 -c max_connections=300 -c fsync=off -c synchronous_commit=off"
    try:
        settings = ["--username=mesoclinic", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        run(programs / "initdb", "-D", data, *settings)
        run(programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start")
        try:
            run(programs / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "mesoclinic", "mesoclinic")
            yield f"postgres://mesoclinic@127.0.0.1:{port}/mesoclinic"
        finally:
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis() -> Iterator[str]:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if not program:
        sys.exit("redis-server is not installed. As root: apt-get install -y --no-install-recommends redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="mesoclinic-redis-") as folder:
        server = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if server.poll() is not None:
                    raise RuntimeError("redis-server ended at once.")
                time.sleep(0.05)
            else:
                raise RuntimeError("redis-server did not answer within 10 s.")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(10)


def stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # unwinds through the context managers, which stop the servers


def main(command: list[str]) -> int:
    if not command:
        print(__doc__)
        return 2
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    with ExitStack() as services:
        database_url = services.enter_context(postgresql())
        redis_url = services.enter_context(redis())
        print(f"PostgreSQL at {database_url}, Redis at {redis_url}", flush=True)
        child = subprocess.Popen(command, env={**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url})
        try:
            return child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(20)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
