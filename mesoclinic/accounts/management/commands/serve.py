"""Runs the whole product on one machine: the web server, and a Celery worker with the beat inside.

Each child gets a session of its own, so that Ctrl-C reaches this process alone; it then asks each child's main process
to end, waits, and in the end leaves no process behind. Where this process is killed, the kernel ends the children.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from django.conf import settings
from django.core.management import CommandParser
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from mesoclinic.accounts.models import Clinic, User
from mesoclinic.messaging.renewal import readdress_sample
from mesoclinic.staff.sample import PASSWORD

PATIENCE_SECONDS = 40  # a task that was begun is finished; longer than that is not waited for
START_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]


class Command(BaseCommand):
    help = "Run the web server and the worker with its beat until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1")
        parser.add_argument("--port", default=os.environ.get("PORT") or "8000")
        parser.add_argument("--web-processes", type=int, default=2)
        parser.add_argument("--worker-processes", type=int, default=2)

    def handle(self, *args: Any, host: str, port: str, **options: Any) -> None:
        lock = self._only_one()
        listener = self._listen(host, port)
        address = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{listener.getsockname()[1]}"  # noqa: S104
        environment = self._environment(host, address)
        signal_seen = Signals()
        readdress_sample(address=environment["MESOCLINIC_URL"], by=None)
        connections.close_all()
        children = [
            self._start("web server", self._web(listener, options["web_processes"]), environment, listener),
            self._start("worker", self._worker(options["worker_processes"]), environment),
        ]
        listener.close()
        fault = ""
        try:
            fault = self._until_ready(address, children, signal_seen)
            if not fault and not signal_seen.count:
                self._welcome(address)
                fault = self._watch(children, signal_seen)
        finally:
            self._stop(children, signal_seen)
            lock.close()
        if fault:
            raise CommandError(fault)

    # -------------------------------------------------------------- before the start

    def _only_one(self) -> IO[str]:
        """One serve for one data folder: a second worker on the same embedded broker would only get in its way."""
        path = Path(settings.DATA_DIR) / "serve.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise CommandError(
                f"mesoclinic is running already with the data in {settings.DATA_DIR}. "
                "Stop it first, or set MESOCLINIC_DATA_DIR to another folder."
            ) from None
        return lock

    def _listen(self, host: str, port: str) -> socket.socket:
        if not port.isdecimal() or not 0 <= int(port) <= 65535:
            raise CommandError(f"PORT is {port!r}. Write a number from 1 to 65535, for example PORT=8000.")
        try:
            family, kind, protocol, _, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        except socket.gaierror:
            raise CommandError(f"HOST is {host!r}, and no such host is known. Write HOST=127.0.0.1.") from None
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(where)
        except PermissionError:
            raise CommandError(f"Port {port} is not open to this user. Choose another: make run PORT=8001") from None
        except OSError as error:
            raise CommandError(
                f"Port {port} of {host} can't be used ({error.strerror}). Choose another: make run PORT=8001"
            ) from None
        listener.listen(128)
        return listener

    def _environment(self, host: str, address: str) -> dict[str, str]:
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "mesoclinic.settings"}
        environment.setdefault("MESOCLINIC_URL", address)
        environment.setdefault("MESOCLINIC_LOG_LEVEL", "WARNING")
        if "ALLOWED_HOSTS" not in os.environ:
            environment["ALLOWED_HOSTS"] = ",".join(dict.fromkeys([*settings.ALLOWED_HOSTS, host]))
        environment["PYTHONUNBUFFERED"] = "1"
        if os.geteuid() == 0:
            # Celery warns against root because of pickled messages; ours are JSON and hold ids.
            quiet = [environment.get("PYTHONWARNINGS", ""), "ignore::UserWarning:celery.platforms"]
            environment["PYTHONWARNINGS"] = ",".join(filter(None, quiet))
        return environment

    # -------------------------------------------------------------- the children

    def _web(self, listener: socket.socket, processes: int) -> list[str]:
        return [
            *(sys.executable, "-m", "gunicorn", "mesoclinic.wsgi:application", "--no-control-socket"),
            *("--bind", f"fd://{listener.fileno()}", "--workers", str(processes)),
            *("--worker-class", "gthread", "--threads", "4", "--graceful-timeout", "10", "--log-level", "warning"),
        ]

    def _worker(self, processes: int) -> list[str]:
        return [
            *(sys.executable, "-m", "celery", "--app", "mesoclinic", "--quiet", "worker", "--beat"),
            *("--concurrency", str(processes), "--loglevel", "WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]

    def _start(
        self, name: str, command: list[str], environment: dict[str, str], listener: socket.socket | None = None
    ) -> Child:
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            command,
            cwd=settings.BASE_DIR,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[listener.fileno()] if listener else [],
            preexec_fn=_end_with_parent(),
        )
        return Child(name=name, process=process)

    def _until_ready(self, address: str, children: list[Child], signal_seen: Signals) -> str:
        """Wait for the first good answer; gives a sentence where none comes."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not signal_seen.count:
            if gone := _gone(children):
                return gone
            try:
                with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:  # noqa: S310 - our own address
                    if answer.status == 200:
                        return ""
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    return ""  # HTTPS is asked for, or the host is another: it answers
            except OSError:
                pass
            time.sleep(0.2)
        return "" if signal_seen.count else f"The web server did not answer within {START_SECONDS} s."

    def _watch(self, children: list[Child], signal_seen: Signals) -> str:
        while not signal_seen.count:
            if gone := _gone(children):
                return gone
            time.sleep(0.2)
        return ""

    def _stop(self, children: list[Child], signal_seen: Signals) -> None:
        self.stdout.write("\nStopping: what was begun is finished first. Ctrl-C again to stop at once.")
        self.stdout.flush()
        asked = signal_seen.count
        for child in children:
            if child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(child.process.poll() is None for child in children):
            if time.monotonic() > deadline or signal_seen.count > max(asked, 1):
                break
            time.sleep(0.1)
        for child in children:
            # Whatever is left of its session, also where its main process is gone already.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self.stdout.write("Stopped.")
        self.stdout.flush()

    # -------------------------------------------------------------- what a person reads

    def _welcome(self, address: str) -> None:
        clinic = Clinic.objects.first()
        lines = ["", f"mesoclinic runs at {address}  (Ctrl-C stops it)", ""]
        if clinic is None:
            lines += ["There is no clinic yet: python manage.py open_clinic", ""]
        elif clinic.is_sample:
            staff = User.objects.filter(is_active=True).prefetch_related("role_grants", "sites").order_by("pk")
            people = [
                (user.role_names, user.name, ", ".join(str(site) for site in user.sites.all()), user.email)
                for user in staff
            ]
            widths = [max(len(person[column]) for person in people) for column in range(4)]
            lines += [f"{clinic.name} is a sample: people, lots and addresses are invented. Log in as", ""]
            for person in people:
                cells = (text.ljust(width) for text, width in zip(person, widths, strict=True))
                lines.append(f"  {'  '.join(cells)}  {PASSWORD}")
            lines.append("")
        connections.close_all()
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


class Signals:
    """Counts the requests to stop."""

    def __init__(self) -> None:
        self.count = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


def _gone(children: list[Child]) -> str:
    for child in children:
        code = child.process.poll()
        if code is not None:
            return f"The {child.name} ended by itself (exit code {code}); why stands above. The rest was stopped."
    return ""


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux: have the kernel send SIGTERM to the child should this process die without a word."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    set_parent_death_signal = 1

    def ask() -> None:
        prctl(set_parent_death_signal, int(signal.SIGTERM))

    return ask
