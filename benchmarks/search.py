"""Searching people as the box in the header does, from 100 to 1,000,000 patients, each time beside a bare query.

On a throwaway PostgreSQL. MESOCLINIC_BENCH_TOP sets the most patients. The bare query is one LIKE over the same column,
without rank and without near spellings; for the list it is one count and one page. The number of queries must not
depend on the number of patients.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._measuring import beside, times

ROOT = Path(__file__).resolve().parent.parent
STEPS = (100, 10_000, 100_000, 1_000_000)
BARE = (
    "SELECT id, given_name, family_name FROM patients_patient "
    "WHERE site_id = %s AND search_key LIKE %s ORDER BY search_key, number LIMIT 8"
)
BARE_PAGE = "SELECT * FROM patients_patient WHERE site_id = %s ORDER BY search_key, number LIMIT 25"
BARE_COUNT = "SELECT count(*) FROM patients_patient WHERE site_id = %s"
TRIGRAMS = "patient_search_trigrams"


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


def ask(statement: str, *values: Any) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        if cursor.description:
            cursor.fetchall()


def grown_to(count: int, *, site: Any, by: Any) -> None:
    """That many patients. The index of pieces is made anew after a large step, as a restored copy has it."""
    from django.db import connection

    from patients.models import Patient
    from patients.search import index as search_index
    from tests.patients.crowd import crowd

    began = time.perf_counter()
    if count > STEPS[1]:
        ask(f"DROP INDEX IF EXISTS {TRIGRAMS}")
    crowd(count - Patient.objects.count(), site=site, by=by, seed=count)
    made = time.perf_counter() - began
    assert search_index.install(connection)
    ask("VACUUM ANALYZE patients_patient")
    print(
        f"\n{count:,} patients, made in {made:.0f} s, indexed in {time.perf_counter() - began - made:.0f} s", flush=True
    )


def slip(word: str) -> str:
    return word[:-1] + ("x" if word[-1] != "x" else "y")


def measure(top: int) -> int:
    from django.db import connection
    from django.db.models import Count
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from mesoclinic.accounts.models import User
    from patients.models import Patient
    from patients.search.duplicates import possible_duplicates
    from patients.search.finding import find_patients

    user = User.objects.get(given_name="Lena")
    site = user.sites.get()
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    asked: dict[str, set[int]] = {}

    def shown(kind: str, work: Callable[[], Any], bare: Callable[[], Any], *, rounds: int, request: Any = None) -> None:
        with CaptureQueriesContext(connection) as queries:
            (request or work)()
        asked.setdefault(kind, set()).add(len(queries))
        taken = median(times(work, rounds=rounds)) * 1000
        beside(kind, taken, "bare query", median(times(bare, rounds=max(1, rounds // 2))) * 1000, unit="ms")

    for count in (step for step in STEPS if step <= top):
        grown_to(count, site=site, by=user)
        somebody = Patient.objects.filter(site=site).order_by("-number")[count // 3]
        common = Patient.objects.values_list("family_name").annotate(n=Count("*")).order_by("-n", "family_name")[0][0]
        rounds = 15 if count < STEPS[2] else 5
        for kind, query in (
            ("family name", somebody.family_name),
            ("the commonest family name", common),
            ("both names", f"{somebody.given_name[:3]} {somebody.family_name}"),
            ("three letters", somebody.family_name[:3]),
            ("three letters of the commonest name", common[:3]),
            ("birth date", somebody.birth_date.isoformat()),
            ("phone", somebody.phone),
            ("number", somebody.display_number),
            ("e-mail", somebody.email),
            ("what everybody's e-mail ends with", "crowd"),
            ("a slip of the finger", slip(somebody.family_name)),
        ):
            shown(
                kind,
                partial(find_patients, user, query),
                partial(ask, BARE, site.pk, f"%{query.lower()}%"),
                rounds=rounds,
                request=partial(client.post, reverse("patients:find"), {"q": query}),
            )
        typed: dict[str, Any] = {
            "given_name": somebody.given_name,
            "family_name": slip(somebody.family_name),
            "birth_date": somebody.birth_date,
            "email": somebody.email,
            "phone": somebody.phone,
        }
        by_name = partial(ask, BARE, site.pk, f"%{somebody.family_name.lower()}%")
        shown("duplicate panel, all typed", partial(possible_duplicates, user, **typed), by_name, rounds=rounds)
        names = {name: typed[name] for name in ("given_name", "family_name")}
        shown("duplicate panel, names typed", partial(possible_duplicates, user, **names), by_name, rounds=rounds)

        def bare_list(start: int = 0) -> None:
            ask(BARE_COUNT, site.pk)
            ask(f"{BARE_PAGE} OFFSET {start}", site.pk)

        page = reverse("patients:list")
        shown("list, first page", partial(client.get, page), bare_list, rounds=5)
        half = count // 50
        shown(
            "list, page in the middle",
            partial(client.get, page, {"page": half}),
            partial(bare_list, (half - 1) * 25),
            rounds=3,
        )
        shown("list, a name searched for", partial(client.get, page, {"q": somebody.family_name}), by_name, rounds=5)
    print()
    for kind, counts in asked.items():
        print(f"  {kind:<40} {' or '.join(map(str, sorted(counts)))} queries, whatever the number of patients")
    return 1 if any(len(counts) > 1 for counts in asked.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
