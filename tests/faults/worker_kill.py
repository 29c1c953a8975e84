"""Kills the mail worker with SIGKILL again and again, at the worst moments, and counts what reached the mail server.

    python tests/faults/worker_kill.py [--kills N]

A real Celery worker with its beat sends reminders to a real SMTP server in another process. Each kill comes at one of
three moments, in turn: claimed (the rows are taken, the server has not greeted yet), sending (the letter is on its way,
not accepted) and accepted (the server has it, the worker has not heard so). In the end two workers with a beat each
finish the rest side by side. Then it must hold: no message lost; each under one Message-ID and one Date; a second copy
only of a message that the server had accepted when its worker was killed.

Uses a scratch folder with SQLite and the broker that needs no server, or an empty database in DATABASE_URL and the
broker in REDIS_URL. MESOCLINIC_DEEP=1 makes it 20 kills.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGES = {"claimed": "greeting", "sending": "data", "accepted": "reply"}  # moment of the kill: where the server stalls
REACHED = {"greeting": "greeting", "data": "data", "reply": "accepted"}  # ... and the line of its log that says so
LEASE_SECONDS = 2
PATIENCE = 90


@dataclass(frozen=True)
class Kill:
    number: int
    moment: str
    message_id: str
    seconds: float


class Processes:
    """What this script started, each in a session of its own; none outlives it."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to the process and its children, which share its session."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.running.remove(process)

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        process.terminate()
        try:
            code = process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            code = -1
        self.kill(process)
        return code

    def end(self) -> None:
        for process in list(self.running):
            self.kill(process)


class Server:
    """The SMTP server's stage and log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read = 0
        self.stop_at("go")
        (folder / "log").touch()

    def stop_at(self, stage: str) -> None:
        draft = self.folder / "stage.new"
        draft.write_text(stage)
        draft.replace(self.folder / "stage")

    def events(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def next_event(self, name: str) -> dict[str, str] | None:
        """The first event of that name since the last call that found one."""
        events = self.events()
        for index in range(self.read, len(events)):
            if events[index]["event"] == name:
                self.read = len(events)
                return events[index]
        return None

    def skip(self) -> None:
        self.read = len(self.events())


def wait_for(what: str, ask: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ask():
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited {PATIENCE} s in vain for {what}.")
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20 if os.environ.get("MESOCLINIC_DEEP") == "1" else 6)
    kills = parser.parse_args().kills
    processes = Processes()
    # Whoever ends this script ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="mesoclinic-fault-") as name:
        try:
            return run(Path(name), kills, processes)
        finally:
            processes.end()


def run(folder: Path, kills: int, processes: Processes) -> int:
    port = free_port()
    os.environ.update(
        {
            "MESOCLINIC_DATA_DIR": str(folder / "data"),
            "DJANGO_SETTINGS_MODULE": "mesoclinic.settings",
            "EMAIL_URL": f"smtp://127.0.0.1:{port}",
            "SECRET_KEY": "only-for-this-run-" + uuid.uuid4().hex,
            "MESOCLINIC_TICK_SECONDS": "1",
            "MESOCLINIC_LEASE_SECONDS": str(LEASE_SECONDS),
            "MESOCLINIC_LOG_LEVEL": "WARNING",
            # Celery warns against root because of pickled messages; ours are JSON and hold ids.
            "PYTHONWARNINGS": "ignore::UserWarning:celery.platforms",
            "PYTHONUNBUFFERED": "1",
        }
    )
    sys.path.insert(0, str(ROOT))
    messages = prepare(count=kills + 12)

    mail = folder / "mail"
    mail.mkdir()
    server = Server(mail)
    environment = dict(os.environ)
    script = str(ROOT / "tests/faults/_smtp_server.py")
    processes.start([sys.executable, script, str(port), str(mail)], environment, folder / "smtp.out")
    wait_for("the SMTP server", lambda: server.next_event("listening") is not None)

    def worker(name: str) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "celery", "--app", "mesoclinic", "--quiet", "worker", "--beat"),
            *("--schedule", str(folder / f"beat-{name}"), "--hostname", f"{name}@fault", "--concurrency", "1"),
            *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
        return processes.start(command, environment, folder / "worker.out")

    done: list[Kill] = []
    print(f"{len(messages)} reminders, {kills} kills, {database()}")
    print(f"{'kill':>4}  {'moment':<9} {'after':>6}  in flight", flush=True)
    for number in range(1, kills + 1):
        moment, stage = list(STAGES.items())[number % len(STAGES)]
        done.append(kill_once(number, moment, stage, server, processes, lambda: worker("victim")))
    server.stop_at("go")
    pair = [worker("left"), worker("right")]
    wait_for("the rest to be sent", lambda: all(state == "sent" for state in states().values()))
    time.sleep(2 * LEASE_SECONDS)  # time for a second copy that should not come
    codes = [processes.stop(process) for process in pair]  # one signal each: a second one would hurry a worker
    faults = judge(messages, server, done)
    if codes != [0, 0]:
        faults.append(f"The two workers of the end did not stop cleanly: {codes}.")
    for fault in faults:
        print(f"FAULT: {fault}")
    if faults:
        print((folder / "worker.out").read_text()[-4000:])
    return 1 if faults else 0


def kill_once(
    number: int,
    moment: str,
    stage: str,
    server: Server,
    processes: Processes,
    start: Callable[[], subprocess.Popen[bytes]],
) -> Kill:
    server.skip()
    server.stop_at(stage)
    began = time.monotonic()
    process = start()
    found: list[dict[str, str]] = []

    def reached() -> bool:
        if process.poll() is not None:
            raise SystemExit("The worker ended by itself.")
        event = server.next_event(REACHED[stage])
        if event:
            found.append(event)
        return event is not None

    wait_for(f"the moment “{moment}”", reached)
    if not any(state == "sending" for state in states().values()):
        raise SystemExit("No row was claimed at the moment of the kill: this run shows nothing.")
    processes.kill(process)
    kill = Kill(number, moment, found[0].get("id", ""), time.monotonic() - began)
    print(f"{number:>4}  {moment:<9} {kill.seconds:>5.1f}s  {kill.message_id or '-'}", flush=True)
    return kill


def judge(messages: dict[str, str], server: Server, kills: list[Kill]) -> list[str]:
    """What did not hold, a sentence each. ``messages``: Message-ID -> recipient."""
    faults = []
    events = server.events()
    accepted = [event for event in events if event["event"] == "accepted"]
    copies = Counter(event["id"] for event in accepted)
    lost = set(messages) - set(copies)
    strange = set(copies) - set(messages)
    misled = [event["to"] for event in accepted if messages.get(event["id"]) != event["to"]]
    dates = {event["id"]: set[str]() for event in events if "id" in event}
    for event in events:
        if "id" in event:
            dates[event["id"]].add(event["date"])
    unheard = Counter(kill.message_id for kill in kills if kill.moment == "accepted")
    extra = {key: count - 1 - unheard[key] for key, count in copies.items() if count - 1 > unheard[key]}
    if lost:
        faults.append(f"{len(lost)} messages were lost.")
    if strange:
        faults.append(f"{len(strange)} Message-IDs belong to no message.")
    if misled:
        faults.append(f"{len(misled)} letters went to somebody else.")
    if moved := [key for key, seen in dates.items() if len(seen) > 1]:
        faults.append(f"{len(moved)} messages changed their Date between tries.")
    if extra:
        faults.append(f"{sum(extra.values())} copies too many, of messages that no kill left unheard.")
    repeated = sum(count - 1 for count in copies.values())
    print(
        f"\nmessages {len(messages)}, accepted {len(accepted)}, lost {len(lost)}, "
        f"under one Message-ID each {len(messages) - len(lost)}\n"
        f"repeats {repeated}, at most {sum(unheard.values())} allowed (kills after the server had accepted), "
        f"most copies of one message {max(copies.values(), default=0)}"
    )
    return faults


# ------------------------------------------------------------------ the product, used as a library


def database() -> str:
    from django.conf import settings
    from django.db import connection

    return f"{connection.vendor}, broker {settings.CELERY_BROKER_URL.partition(':')[0]}"


def prepare(*, count: int) -> dict[str, str]:
    """Migrate, and queue ``count`` reminders that are due: Message-ID -> recipient."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from mesoclinic.accounts.models import Clinic
    from mesoclinic.messaging.actions import queue_message

    call_command("migrate", verbosity=0)
    if Clinic.objects.exists():
        raise SystemExit("There is a clinic in this database. Give an empty one: its mail would be sent.")
    Clinic.objects.create(pk=1, name="Clinic of the fault test")
    made = {}
    for number in range(count):
        message = queue_message(
            purpose="reminder_24h",
            subject_id=uuid.uuid4(),
            person_id=uuid.uuid4(),
            person_label=f"Person {number}",
            to_address=f"person{number}@example.org",
            language="en",
            subject="Your appointment tomorrow",
            text="See you tomorrow at 09:00.",
            html="<p>See you tomorrow at 09:00.</p>",
            due_at=timezone.now() - timedelta(minutes=1),
            by=None,
        )
        made[message.message_id] = message.to_address
    return made


def states() -> dict[str, str]:
    from mesoclinic.messaging.models import Message

    return dict(Message.objects.values_list("message_id", "state"))


if __name__ == "__main__":
    sys.exit(main())
