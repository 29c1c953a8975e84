"""Many invented people at once, for what must not cost more when the clinic is large."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from patients.models import Patient
from patients.search.keys import search_key_of

_ONSETS = ("b", "br", "c", "ch", "d", "dr", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ei", "ou")
_CODAS = ("", "n", "r", "s", "l", "m", "nd", "rt", "ck")
BATCH = 5_000
OLDEST, DAYS = date(1940, 1, 1), 24_000


def name(rng: random.Random, syllables: int) -> str:
    return "".join(
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables)
    ).capitalize()


def crowd(count: int, *, site: Site, by: User, seed: int = 1) -> None:
    """``count`` more patients of a site, by the shortest way: without the trail and without looking for duplicates.

    Few names are common and most are rare: of 100,000 people about 580 share the commonest family name.
    """
    rng = random.Random(seed)
    newest = Patient.objects.order_by("-number").values_list("number", flat=True).first() or 0
    numbers = range(newest + 1, newest + 1 + count)
    given = [name(rng, 2) for _ in range(3_000)]
    family = [name(rng, 3) for _ in range(30_000)]
    if connection.vendor == "postgresql":
        _insert(numbers, given=given, family=family, site=site, by=by, seed=rng.random())
        return
    for first in range(numbers.start, numbers.stop, BATCH):
        people = []
        for number in range(first, min(first + BATCH, numbers.stop)):
            said: dict[str, Any] = {
                "given_name": given[int(len(given) * rng.random() ** 2)],
                "family_name": family[int(len(family) * rng.random() ** 2)],
                "birth_date": OLDEST + timedelta(days=rng.randrange(DAYS)),
                "email": f"p{number}@crowd.example",
                "phone": f"+33 6 {number:08}",
            }
            key = search_key_of(**said, number=number)
            person = Patient(**said, number=number, sex_at_birth="female", site=site, created_by=by, search_key=key)
            people.append(person)
        Patient.objects.bulk_create(people)


_INSERT = """
INSERT INTO patients_patient (public_id, number, given_name, family_name, birth_date, sex_at_birth, email, phone,
    family_name_first, language, contact_allowed, site_id, status, holds_merged_records, search_key, revision,
    created_at, created_by_id)
SELECT gen_random_uuid(), n, g.name, f.name, born, 'female', email, '+33 6 ' || eight,
    false, 'en', false, %(site)s, 'active', false,
    lower(f.name) || ' ' || lower(g.name) || ' ' || lower(f.name) || ' 336' || eight || ' ' || email || ' ' || born
        || ' p-' || lpad(n::text, greatest(5, length(n::text)), '0'),
    0, %(at)s, %(by)s
FROM (
    SELECT n, lpad(n::text, 8, '0') AS eight, 'p' || n || '@crowd.example' AS email,
        %(oldest)s::date + floor(%(days)s * random())::int AS born,
        floor(%(given)s * power(random(), 2))::int AS of_given, floor(%(family)s * power(random(), 2))::int AS of_family
    FROM generate_series(%(first)s, %(last)s) n
    OFFSET 0
) drawn
JOIN crowd_given g ON g.at = of_given JOIN crowd_family f ON f.at = of_family
"""


@transaction.atomic
def _insert(numbers: range, *, given: list[str], family: list[str], site: Site, by: User, seed: float) -> None:
    """The same by the server alone: a million in half a minute."""
    with connection.cursor() as cursor:
        for table, names in (("crowd_given", given), ("crowd_family", family)):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")  # a test is one transaction
            cursor.execute(f"CREATE TEMPORARY TABLE {table} (at int PRIMARY KEY, name text) ON COMMIT DROP")
            cursor.execute(
                f"INSERT INTO {table} SELECT at - 1, name FROM unnest(%s::text[]) WITH ORDINALITY AS n(name, at)",
                [names],
            )
        cursor.execute("SELECT setseed(%s)", [seed])
        given_values: dict[str, Any] = {"site": site.pk, "by": by.pk, "oldest": OLDEST, "days": DAYS}
        given_values["at"] = timezone.now()
        counts = {"given": len(given), "family": len(family), "first": numbers.start, "last": numbers.stop - 1}
        cursor.execute(_INSERT, given_values | counts)
    if numbers:
        last = Patient.objects.get(number=numbers[-1])
        fields = ("given_name", "family_name", "birth_date", "phone", "email", "number")
        assert last.search_key == search_key_of(**{field: getattr(last, field) for field in fields})
