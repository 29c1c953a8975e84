"""Find people by what was typed, the likeliest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Case, Exists, IntegerField, Q, QuerySet, When

from mesoclinic.accounts.models import User
from patients.models import Patient, PatientStatus
from patients.queries import patients_seen_by, patients_visible_to, seen_by
from patients.search import keys as searching

NEAR_ENOUGH = 0.78
RANKED_AT_MOST = 20_000  # of those found, as far as all are ranked while somebody waits
NEAR_AT_MOST = 400  # candidates that are compared letter by letter


def search(patients: QuerySet[Patient], query: str) -> QuerySet[Patient]:
    """Those of ``patients`` whom ``query`` finds; all of them where it is too short to search by."""
    condition = searching.condition(query)
    return patients if condition is None else patients.filter(condition)


def person_ids_found(user: User, query: str) -> QuerySet[Patient, UUID] | None:
    """For the platform: the public ids of those whom ``query`` finds; None where it is too short to search by."""
    condition = searching.condition(query)
    return (
        None
        if condition is None
        else Patient.objects.filter(seen_by(user), condition).values_list("public_id", flat=True)
    )


def ranked(patients: QuerySet[Patient], query: str) -> QuerySet[Patient]:
    """The likeliest first: the number typed, names that begin so, in the clinic's care before others."""
    away = Case(When(status=PatientStatus.ACTIVE, then=0), default=1, output_field=IntegerField())
    return patients.annotate(rank=searching.rank(query), away=away).order_by("rank", "away", "search_key", "number")


def likeliest(patients: QuerySet[Patient], query: str, *, limit: int) -> list[Patient]:
    """The first ``limit`` of ``ranked``; where too many are found to rank them all, nearly so.

    Then PostgreSQL reads an index in its order and stops when it has enough: first those whose family name begins so.
    Two queries there, one on SQLite, however many are found.
    """
    found = search(patients, query)
    everybody = ranked(found, query)
    if connection.vendor != "postgresql" or not found.order_by()[RANKED_AT_MOST : RANKED_AT_MOST + 1].exists():
        return list(everybody[:limit])
    in_care = Q(status=PatientStatus.ACTIVE)
    begins = searching.rank_conditions(query).get(searching.BEGINS_SO, Q(pk__in=[]))
    enough = Exists(found.filter(begins & in_care)[limit - 1 : limit])
    parts = [
        found.filter(begins & in_care),
        *(found.filter(~enough & condition) for condition in (begins & ~in_care, in_care, ~in_care)),
    ]
    firsts = [everybody.filter(pk__in=part.order_by("search_key", "number").values("pk")[:limit]) for part in parts]
    together = firsts[0].order_by().union(*(part.order_by() for part in firsts[1:]))
    return sorted(together, key=lambda p: (p.rank, p.away, p.search_key, p.number))[:limit]  # type: ignore[attr-defined]


def near_spellings(patients: QuerySet[Patient], query: str, *, limit: int = 8) -> list[Patient]:
    """Those whose names are spelt nearly as ``query``, the likeliest first."""
    words = searching.words_of(query)
    condition = searching.near_condition(words)
    if condition is None:
        return []
    found = []
    for patient in near_candidates(patients, condition, words):
        likeness = searching.likeness(words, patient.name)
        if likeness >= NEAR_ENOUGH:
            found.append((-likeness, patient.search_key, patient.pk, patient))
    return [patient for *_order, patient in sorted(found, key=lambda row: row[:3])][:limit]


@dataclass(frozen=True, kw_only=True)
class Found:
    patients: tuple[Patient, ...]
    is_near: bool  # nobody is spelt so; these nearly are
    too_short: bool


def find_patients(user: User, query: str, *, limit: int = 8) -> Found:
    """The likeliest people for what somebody types into the search box."""
    visible = patients_visible_to(user)
    if searching.condition(query) is None:
        return Found(patients=(), is_near=False, too_short=True)
    exact = tuple(likeliest(visible, query, limit=limit))
    guests = search(patients_seen_by(user), query).exclude(site__in=user.site_ids)
    exact = (*exact, *guests.order_by("search_key", "number")[:limit])[:limit]  # one query more, however many are found
    near = () if exact else tuple(near_spellings(visible, query, limit=limit))
    return Found(patients=exact or near, is_near=not exact and bool(near), too_short=False)


def near_candidates(patients: QuerySet[Patient], condition: Q, words: Sequence[str]) -> QuerySet[Patient]:
    """Whom to compare letter by letter: those whose family name begins alike first, in case there are too many."""
    alike = Q(pk__in=[])
    for word in words:
        alike |= Q(search_key__startswith=word[:3])
    order = Case(When(alike, then=0), default=1, output_field=IntegerField())
    return patients.filter(condition).order_by(order, "search_key", "number")[:NEAR_AT_MOST]
