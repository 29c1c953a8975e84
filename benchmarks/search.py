"""Searching people as the box in the header does, from 100 to 1,000,000 patients, beside the bare query.

On a throwaway PostgreSQL. MESOCLINIC_BENCH_TOP sets the most patients; the number of queries must not depend on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks._measuring import beside, times

ROOT = Path(__file__).resolve().parent.parent
STEPS = (100, 10_000, 100_000, 1_000_000)
BARE = (
    "SELECT id, given_name, family_name FROM patients_patient "
    "WHERE site_id = %s AND search_key LIKE %s ORDER BY search_key, number LIMIT 8"
)


def main() -> int:
    if not os.environ.get("DATABASE_URL"):  # begin again with a PostgreSQL of our own
        again = [sys.executable, "scripts/with_services.py", sys.executable, "-m", "benchmarks.search"]
        return subprocess.call(again, cwd=ROOT)
    os.environ.update(DJANGO_SETTINGS_MODULE="mesoclinic.settings", MESOCLINIC_LOG_LEVEL="ERROR", ALLOWED_HOSTS="*")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("prepare", sample=True, verbosity=0)
    return measure(int(os.environ.get("MESOCLINIC_BENCH_TOP", STEPS[-1])))


def measure(top: int) -> int:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from mesoclinic.accounts.models import User
    from patients.models import Patient
    from patients.queries import find
    from tests.patients.crowd import crowd

    user = User.objects.get(given_name="Lena")
    site = user.sites.get()
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    asked: dict[str, set[int]] = {}
    for count in (step for step in STEPS if step <= top):
        began = time.perf_counter()
        crowd(count - Patient.objects.count(), site=site, by=user, seed=count)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE patients_patient")
        print(f"\n{count:,} patients, made in {time.perf_counter() - began:.0f} s")
        somebody = Patient.objects.filter(site=site).order_by("-number")[count // 3]
        slip = somebody.family_name[:-1] + ("x" if somebody.family_name[-1] != "x" else "y")
        rounds = 15 if count < 1_000_000 else 5
        for kind, query in (
            ("family name", somebody.family_name),
            ("both names", f"{somebody.given_name[:3]} {somebody.family_name}"),
            ("three letters", somebody.family_name[:3]),
            ("birth date", somebody.birth_date.isoformat()),
            ("phone", somebody.phone),
            ("number", somebody.display_number),
            ("a slip of the finger", slip),
        ):
            with CaptureQueriesContext(connection) as queries:
                client.post(reverse("patients:find"), {"q": query})
            asked.setdefault(kind, set()).add(len(queries))

            def bare(word: str = query) -> None:
                with connection.cursor() as cursor:
                    cursor.execute(BARE, [site.pk, f"%{word.lower()}%"])
                    cursor.fetchall()

            taken = median(times(partial(find, user, query), rounds=rounds)) * 1000
            beside(kind, taken, "bare query", median(times(bare, rounds=rounds)) * 1000, unit="ms")
        page = median(times(partial(client.get, reverse("patients:list"), {"q": slip[:4]}), rounds=5)) * 1000
        login = median(times(partial(Client().get, reverse("account_login")), rounds=5)) * 1000
        beside("list page with a filter", page, "log-in page", login, unit="ms")
    print()
    for kind, counts in asked.items():
        print(f"  {kind:<40} {' or '.join(map(str, sorted(counts)))} queries, whatever the number of patients")
    return 1 if any(len(counts) > 1 for counts in asked.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
