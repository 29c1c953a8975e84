from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patients.races import THREADS, register_at_once

EXPECTED = list(range(1, THREADS + 1))


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_register_patient_ten_at_once_get_ten_numbers_on_postgresql() -> None:
    assert register_at_once() == ([], EXPECTED)


@pytest.mark.sqlite
def test_register_patient_ten_at_once_get_ten_numbers_on_sqlite(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.patients.races"],
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": f"sqlite:///{tmp_path / 'race.sqlite3'}",
            "MESOCLINIC_DATA_DIR": str(tmp_path),
        },
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (done.returncode, done.stdout.split()) == (0, [str(number) for number in EXPECTED]), done.stderr
