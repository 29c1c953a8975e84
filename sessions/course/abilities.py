"""What a plan asks of who injects and of the room, and what each of them may do. The techniques are the formulary's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from protocols.formulary.loader import load_documents
from protocols.formulary.queries import documents_of, formulary_in_force
from protocols.models import FormularyEntry, Plan
from sessions.course.planned import planned_lines
from sessions.models import Room
from sessions.models.hours import Abilities

PRESCRIPTION_ONLY = "prescription_only"


@dataclass(frozen=True, kw_only=True)
class Ability:
    code: str
    label: str


def technique_code(technique: str) -> str:
    return f"technique:{technique}"


def techniques() -> dict[str, str]:
    """The techniques that a plan can name, by key: those of the formulary in force, else of the starter."""
    version = formulary_in_force()
    documents = documents_of(version) if version else {}
    course = documents.get("course") or load_documents()["course"]
    return {method["key"]: method["label"] for method in course["technique"]["methods"]}


def abilities() -> list[Ability]:
    """Everything that a person may or may not be able to do."""
    return [
        *(Ability(code=technique_code(key), label=label) for key, label in techniques().items()),
        Ability(code=PRESCRIPTION_ONLY, label=_("Prescription-only ingredients")),
    ]


# ------------------------------------------------------------------ what a plan asks for


def demands_of(plan: Plan, prescription: Mapping[int, frozenset[str]] | None = None) -> frozenset[str]:
    """What whoever injects this plan has to be able to do, as codes. ``prescription``: see ``prescription_keys``."""
    asked = set()
    if technique := plan.result["course"].get("technique"):
        asked.add(technique_code(technique))
    numbers = [1, *(int(session["number"]) for session in plan.result.get("sessions") or ())]
    keys = {line.ingredient for number in numbers for line in planned_lines(plan, number) if line.role != "diluent"}
    known = prescription_keys([plan.formulary_id]) if prescription is None else prescription
    if keys & known[plan.formulary_id]:
        asked.add(PRESCRIPTION_ONLY)
    return frozenset(asked)


def prescription_keys(formularies: Iterable[int]) -> dict[int, frozenset[str]]:
    """The keys of the prescription-only ingredients of each of these formulary versions."""
    found: dict[int, set[str]] = {key: set() for key in formularies}
    rows = FormularyEntry.objects.filter(version__in=found, prescription_only=True)
    for version, key in rows.values_list("version_id", "ingredient__key"):
        found[version].add(key)
    return {version: frozenset(keys) for version, keys in found.items()}


# ------------------------------------------------------------------ who and what can


def lacking(people: Sequence[User], *, site: Site, demands: Iterable[str]) -> dict[int, list[str]]:
    """What each of these people may not do of what is asked, by primary key; empty for who may do it all."""
    wanted = sorted(demands)
    if PRESCRIPTION_ONLY in wanted:
        prefetch_related_objects(list(people), "role_grants")
    own: Mapping[int, list[str]] = dict(
        Abilities.objects.filter(person__in=people, site=site).values_list("person_id", "codes")
    )
    return {who.pk: [code for code in wanted if not _may(who, code, own.get(who.pk))] for who in people}


def _may(who: User, code: str, own: list[str] | None) -> bool:
    """What nobody has written down is the usual of the role: all, prescription-only for who may sign plans."""
    if own is not None:
        return code in own
    return code != PRESCRIPTION_ONLY or who.may(Permission.PLAN_SIGN)


def usual_codes(who: User, codes: Iterable[str]) -> list[str]:
    """What this person may do where nothing is written down."""
    return [code for code in codes if _may(who, code, None)]


def serves(room: Room, demands: Iterable[str]) -> bool:
    """Whether the room is for this; a room that names nothing is for everything. Rooms are told by technique only."""
    asked = {code for code in demands if code != PRESCRIPTION_ONLY}
    return not room.serves or asked <= set(room.serves)


def in_words(codes: Iterable[str]) -> str:
    labels = {ability.code: ability.label for ability in abilities()}
    return ", ".join(labels.get(code, code) for code in codes)
