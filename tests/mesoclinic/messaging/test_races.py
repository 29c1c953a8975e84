from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mesoclinic.messaging.races import MESSAGES, deliver_at_once


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_six_workers_send_each_message_once_on_postgresql() -> None:
    assert deliver_at_once() == ([], MESSAGES, 1)


@pytest.mark.sqlite
def test_six_workers_send_each_message_once_on_sqlite(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mesoclinic.messaging.races"],
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": f"sqlite:///{tmp_path / 'race.sqlite3'}",
            "MESOCLINIC_DATA_DIR": str(tmp_path),
        },
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (done.returncode, done.stdout.strip()) == (0, f"([], {MESSAGES}, 1)"), done.stderr
