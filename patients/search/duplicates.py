"""Records that may be the same person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from mesoclinic.accounts.models import User
from patients.models import Patient
from patients.queries import patients_seen_by, patients_visible_to
from patients.search import keys as searching
from patients.search.finding import near_candidates

NEARLY_THE_SAME = 0.86


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    patient: Patient
    reasons: tuple[str, ...]


def possible_duplicates(
    user: User,
    *,
    given_name: str = "",
    family_name: str = "",
    birth_date: date | None = None,
    email: str = "",
    phone: str = "",
    limit: int = 5,
) -> list[Duplicate]:
    """Visible patients who may be the same person, the likeliest first, each with the reasons in words."""
    names = searching.fold_name(f"{given_name} {family_name}").split()
    number = searching.digits(phone).lstrip("0")[-9:]
    email = email.strip().lower()
    candidates = Q()
    if birth_date:
        candidates |= Q(birth_date=birth_date)
    if len(number) >= 6:
        candidates |= Q(search_key__contains=number)
    if email:
        candidates |= Q(lower_email=email)
    if len(names) >= 2:
        same_name = Q()
        for name in names:
            same_name &= searching.holds(name)
        candidates |= same_name
    near = searching.near_condition(names) if len(names) >= 2 else None
    if not candidates:
        return []
    visible = patients_visible_to(user)
    sought = visible.alias(lower_email=Lower("email")).filter(candidates)
    compared: dict[int, Patient] = {patient.pk: patient for patient in sought.order_by("-pk")[:200]}
    if near is not None:
        compared |= {patient.pk: patient for patient in near_candidates(visible, near, names)}
    found = []
    typed = " ".join(sorted(names))
    for patient in compared.values():
        theirs = searching.fold_name(patient.name).split()
        likeness = SequenceMatcher(None, typed, " ".join(sorted(theirs))).ratio()
        similar = likeness >= 0.75 or bool(names and set(names) <= set(theirs))
        reasons = []
        score = likeness
        if birth_date and birth_date == patient.birth_date and (similar or set(names) & set(theirs)):
            reasons.append(_("same birth date, similar name"))
            score += 2
        elif names and set(names) == set(theirs):
            reasons.append(_("same name"))
        elif len(names) >= 2 and searching.likeness(names, patient.name) >= NEARLY_THE_SAME:
            reasons.append(_("nearly the same name"))
        if email and patient.email.lower() == email:
            reasons.append(_("same e-mail"))
            score += 1
        if len(number) >= 6 and searching.digits(patient.phone).endswith(number):
            reasons.append(_("same phone"))
            score += 1
        if reasons:
            found.append((-score, patient.pk, Duplicate(patient=patient, reasons=tuple(reasons))))
    return [duplicate for _score, _pk, duplicate in sorted(found, key=lambda row: row[:2])][:limit]


def registered_from(key: UUID | None, *, user: User) -> Patient | None:
    """Return the record that a page made when it was sent before, if there is one and the user may see it."""
    return patients_seen_by(user).filter(registration_keys__key=key).first() if key else None
