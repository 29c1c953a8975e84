"""A real worker in a process of its own: what takes too long ends as failed, and the worker lives on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

PREPARE = """
import django, json, sys, uuid
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("createcachetable")
from mesoclinic.documents.models import Document
from mesoclinic.documents import tasks
common = {
    "person": {"name": "Teodor Brandvold", "born": "8 June 1987", "number": "P-00342"},
    "place": {"clinic": "Clinique des Tilleuls", "site": "Lyon", "address": "14 quai", "phone": "+33"},
    "time_zone": "Europe/Paris", "plan_number": "1", "version": 1, "formulary": "2026.1", "signed_on": "5 May 2026",
    "performed_by": "Dr Ada Moreau", "performed_on": "5 May 2026", "performed_time": "09:00", "on": "5 May 2026",
    "at": "09:00", "site_name": "Lyon", "room": "Room 1", "injector": "Dr Ada Moreau", "nothing_changed": True,
}
line = {"name": "Biochanin A", "syringe": "A", "planned_ml": "1.00", "volume_ml": "1.00", "dose": "0.2",
        "dose_unit": "mg", "lot": "", "expires": "", "why": ""}
for name, lines in (("endless", 4000), ("short", 3)):
    Document.objects.create(
        kind="session_record", subject_id=uuid.uuid4(), title=name, language="en",
        input_hash=name.ljust(64, "0"), context={**common, "given": [line] * lines},
    )
tasks.render.apply_async(args=[Document.objects.get(title="endless").pk], soft_time_limit=3, time_limit=60)
tasks.render.delay(Document.objects.get(title="short").pk)
"""

TELL = """
import django, json
django.setup()
from mesoclinic.documents.models import Document
print(json.dumps({row.title: [row.state, row.last_error, row.attempts] for row in Document.objects.all()}))
"""


def test_a_document_that_takes_too_long_fails_and_the_next_one_is_made(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")}
    environment |= {
        "DJANGO_SETTINGS_MODULE": "mesoclinic.settings",
        "MESOCLINIC_DATA_DIR": str(tmp_path),
        "MESOCLINIC_LOG_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore::UserWarning:celery.platforms",
    }

    def run(script: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        ).stdout

    run(PREPARE)
    command = [sys.executable, "-m", "celery", "--app", "mesoclinic", "--quiet", "worker", "--concurrency", "1"]
    with (tmp_path / "worker.out").open("wb") as log:
        worker = subprocess.Popen(
            [*command, "--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            told = json.loads(run(TELL))
            if {told["endless"][0], told["short"][0]} <= {"ready", "failed"}:
                break
            assert worker.poll() is None and time.monotonic() < deadline, (tmp_path / "worker.out").read_text()
            time.sleep(1)
        assert worker.poll() is None, "it lives on"
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    assert told == {"endless": ["failed", "It took too long to make.", 1], "short": ["ready", "", 1]}
