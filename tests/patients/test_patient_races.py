from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patients.races import THREADS, register_at_once, register_one_at_once

ALL = list(range(1, THREADS + 1))
REFUSED = ["RegisteredJustNow"] * (THREADS - 1)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_register_patient_ten_at_once_get_ten_numbers_on_postgresql() -> None:
    assert register_at_once() == ([], ALL)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_register_patient_the_same_ten_times_at_once_is_one_record_on_postgresql() -> None:
    assert register_one_at_once(same_page=True) == ([], [1] * THREADS)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_register_patient_the_same_from_ten_pages_at_once_is_one_record_on_postgresql() -> None:
    assert register_one_at_once(same_page=False) == (REFUSED, [1])


@pytest.mark.sqlite
def test_register_patient_at_once_on_sqlite(tmp_path: Path) -> None:
    """Ten people get ten numbers; one person from one page is one record, and from ten pages as well."""
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

    assert done.returncode == 0, done.stderr
    one = THREADS + 1
    once_more = [*REFUSED, "RegisteredJustNow"]  # the same person stands there from the page before
    assert json.loads(done.stdout) == [[[], ALL], [[], [one] * THREADS], [once_more, []]]
