"""Sends many due messages through everything that can break at once, and judges by the mail server's own log.

    python tests/faults/delivery.py [--messages N] [--kills N]

Two Celery workers with a beat each send to a real SMTP server that refuses 10 % for now and 2 % for good and hangs up
on some. Meanwhile workers are killed with SIGKILL at random moments, Redis is emptied and restarted, and PostgreSQL is
restarted. Then it must hold: every message that was not refused for good arrived, each under one Message-ID and one
Date; second copies are no more than what was in flight at the kills and restarts; what was refused for good stands
among the failed.

It starts its own PostgreSQL and Redis where their programs are installed and MESOCLINIC_DEEP=1 is set, since it has to
restart them; else it uses a scratch SQLite file and the broker that needs no server, or what DATABASE_URL and REDIS_URL
name, without restarting those. MESOCLINIC_DEEP=1 makes it 2,000 messages and 20 kills.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.faults import worker_kill  # noqa: E402
from tests.faults.worker_kill import Processes, free_port  # noqa: E402

DEEP = os.environ.get("MESOCLINIC_DEEP") == "1"
LEASE_SECONDS = 3
PATIENCE = 900 if DEEP else 120


@dataclass
class Faults:
    kills: int = 0
    redis: int = 0
    postgresql: int = 0
    reached: list[str] = field(default_factory=list)


class Services:
    """Our own PostgreSQL and Redis, which can be restarted."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        from scripts.with_services import postgresql_programs

        self.folder, self.programs = folder, postgresql_programs()
        self.port, self.redis_port = free_port(), free_port()
        self.as_user: list[str] = []
        self.data = folder / "pg"
        self.data.mkdir()
        if os.geteuid() == 0:
            self.as_user = ["runuser", "-u", "postgres", "--"]
            folder.chmod(0o755)  # the server's own user has to get in
            shutil.chown(self.data, user="postgres", group="postgres")
        self._pg("initdb", "-D", self.data / "d", "--username=mesoclinic", "--auth=trust", "--encoding=UTF8")
        stack.callback(lambda: self._pg("pg_ctl", "-D", self.data / "d", "-m", "immediate", "-w", "stop"))
        self.start_postgresql()
        for command in (("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "mesoclinic", "mesoclinic"),):
            self._pg(*command)
        self.redis: subprocess.Popen[bytes] | None = None
        stack.callback(self.stop_redis)
        self.start_redis()

    def _pg(self, program: str, *rest: str | Path) -> None:
        command = [*self.as_user, str(self.programs / program), *map(str, rest)]
        subprocess.run(command, cwd=self.data, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start_postgresql(self) -> None:
        options = f"-p {self.port} -k {self.data} -h 127.0.0.1 -c max_connections=60"
        self._pg("pg_ctl", "-D", self.data / "d", "-l", self.data / "log", "-w", "-o", options, "start")

    def restart_postgresql(self) -> None:
        self._pg("pg_ctl", "-D", self.data / "d", "-m", "fast", "-w", "stop")
        self.start_postgresql()

    def start_redis(self) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if not program:
            raise SystemExit("redis-server is not installed.")
        self.redis = subprocess.Popen(
            [program, "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        worker_kill.wait_for("Redis", lambda: _listens(self.redis_port))

    def stop_redis(self) -> None:
        if self.redis is not None:
            self.redis.kill()
            self.redis.wait()

    def flush_and_restart_redis(self) -> None:
        """It keeps nothing on disk: what it held is gone."""
        self.stop_redis()
        self.start_redis()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=2000 if DEEP else 120)
    parser.add_argument("--kills", type=int, default=20 if DEEP else 3)
    parser.add_argument("--services", action="store_true", default=DEEP, help="start and restart our own services")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    processes = Processes()
    with tempfile.TemporaryDirectory(prefix="mesoclinic-delivery-") as name, ExitStack() as stack:
        folder = Path(name)
        stack.callback(processes.end)
        services = None
        if wanted.services:
            services = Services(folder, stack)
            os.environ["DATABASE_URL"] = f"postgres://mesoclinic@127.0.0.1:{services.port}/mesoclinic"
            os.environ["REDIS_URL"] = f"redis://127.0.0.1:{services.redis_port}/0"
        return run(folder, wanted.messages, wanted.kills, processes, services)


def run(folder: Path, count: int, kills: int, processes: Processes, services: Services | None) -> int:
    port = free_port()
    os.environ.update(
        {
            "MESOCLINIC_DATA_DIR": str(folder / "data"),
            "DJANGO_SETTINGS_MODULE": "mesoclinic.settings",
            "EMAIL_URL": f"smtp://127.0.0.1:{port}",
            "SECRET_KEY": "only-for-this-run-" + uuid.uuid4().hex,
            "MESOCLINIC_TICK_SECONDS": "1",
            "MESOCLINIC_LEASE_SECONDS": str(LEASE_SECONDS),
            "MESOCLINIC_BACK_OFF_SECONDS": "1",
            "MESOCLINIC_LOG_LEVEL": "WARNING",
            "PYTHONWARNINGS": "ignore::UserWarning:celery.platforms",
            "PYTHONUNBUFFERED": "1",
        }
    )
    mail = folder / "mail"
    mail.mkdir()
    messages = worker_kill.prepare(count=count)
    environment = dict(os.environ)
    script = str(ROOT / "tests/faults/_rough_smtp.py")
    processes.start([sys.executable, script, str(port), str(mail)], environment, folder / "smtp.out")
    worker_kill.wait_for("the SMTP server", lambda: _listens(port))

    def worker(name: str) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "celery", "--app", "mesoclinic", "--quiet", "worker", "--beat"),
            *("--schedule", str(folder / f"beat-{name}"), "--hostname", f"{name}@fault", "--concurrency", "1"),
            *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
        return processes.start(command, environment, folder / "worker.out")

    print(f"{count} due messages, two workers, {kills} kills, {worker_kill.database()}", flush=True)
    began = time.monotonic()
    faults = break_things(worker, processes, kills, services, mail)
    wait(lambda: all(state in ("sent", "failed") for state in states().values()), "the rest to be sent or to fail")
    time.sleep(2 * LEASE_SECONDS)  # time for a copy that should not come
    return judge(messages, mail, faults, time.monotonic() - began, folder)


def break_things(
    worker: Callable[[str], subprocess.Popen[bytes]],
    processes: Processes,
    kills: int,
    services: Services | None,
    mail: Path,
) -> Faults:
    chance = random.Random(11)
    pair = [worker("left0"), worker("right0")]
    done = Faults()
    flushes = {kills * part // 4 for part in (1, 2, 3)} if services else set()
    restart_at = kills // 2 if services else -1
    for number in range(1, kills + 1):
        before = len(log_of(mail))
        wait(lambda before=before: len(log_of(mail)) > before or settled(), "letters on their way")  # type: ignore[misc]
        time.sleep(chance.uniform(0.05, 0.6))
        victim = chance.randrange(2)
        processes.kill(pair[victim])
        done.kills += 1
        pair[victim] = worker(f"{'left' if victim == 0 else 'right'}{number}")
        if services and number in flushes:
            services.flush_and_restart_redis()
            done.redis += 1
        if services and number == restart_at:
            services.restart_postgresql()
            done.postgresql += 1
    return done


def judge(messages: dict[str, str], mail: Path, faults: Faults, seconds: float, folder: Path) -> int:
    from tests.faults._rough_smtp import for_good

    events = log_of(mail)
    accepted = [event for event in events if event["event"] == "accepted"]
    copies = Counter(event["id"] for event in accepted)
    refused = {event["id"] for event in events if event["event"] == "refused"}
    wanted = {key for key in messages if not for_good(key)}
    now = states()
    lost = wanted - set(copies)
    repeats = sum(number - 1 for number in copies.values())
    # One worker has one letter on the wire. A database that restarts can catch both before they wrote their result.
    bound = faults.kills + 2 * faults.postgresql
    invisible = {key for key in set(messages) - wanted if now[key] != "failed"}
    dates: dict[str, set[str]] = {}
    for event in events:
        if "id" in event:
            dates.setdefault(event["id"], set()).add(event["date"])
    rows = [
        ("messages due", len(messages)),
        ("workers killed", faults.kills),
        ("Redis emptied and restarted", faults.redis),
        ("PostgreSQL restarted", faults.postgresql),
        ("refused for now", sum(event["event"] == "postponed" for event in events)),
        ("connections dropped", sum(event["event"] == "dropped" for event in events)),
        ("should arrive", len(wanted)),
        ("arrived", len(set(copies) & wanted)),
        ("lost", len(lost)),
        ("under an unknown Message-ID", len(set(copies) - set(messages))),
        ("to somebody else", sum(messages.get(event["id"]) != event["to"] for event in accepted)),
        ("with two Dates", sum(len(found) > 1 for found in dates.values())),
        ("repeats", repeats),
        ("repeats allowed (in flight at a kill)", bound),
        ("refused for good", len(refused)),
        ("of these not shown as failed", len(invisible)),
        ("seconds", round(seconds)),
    ]
    for name, value in rows:
        print(f"{name:<40} {value:>6}")
    wrong = [name for name, value in rows if value and name in _MUST_BE_ZERO]
    if repeats > bound:
        wrong.append("repeats")
    for name in wrong:
        print(f"FAULT: {name}")
    if wrong:
        print((folder / "worker.out").read_text()[-4000:])
    return 1 if wrong else 0


_MUST_BE_ZERO = {
    "lost",
    "under an unknown Message-ID",
    "to somebody else",
    "with two Dates",
    "of these not shown as failed",
}


def log_of(mail: Path) -> list[dict[str, str]]:
    file = mail / "log"
    return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")] if file.exists() else []


def states() -> dict[str, str]:
    """What the rows say now; the database may be restarting."""
    from django.db import OperationalError, connection

    for _try in range(50):
        try:
            return worker_kill.states()
        except OperationalError:
            connection.close()
            time.sleep(0.2)
    raise SystemExit("The database did not come back.")


def settled() -> bool:
    return all(state in ("sent", "failed") for state in states().values())


def wait(ask: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ask():
        if time.monotonic() > deadline:
            print(Counter(states().values()))
            raise SystemExit(f"Waited {PATIENCE} s in vain for {what}.")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
