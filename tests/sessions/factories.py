"""A signed plan without the engine, and a clinic that can treat by it. Keyword-only; the smallest valid objects."""

from __future__ import annotations

import hashlib
import itertools
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from django.utils import timezone

from mesoclinic.accounts.models import Site, User
from mesoclinic.documents.actions import request_document
from mesoclinic.documents.models import Document
from mesoclinic.files import storage
from patients.models import Intake, IntakeStatus, Patient
from patients.vocabulary import asked_now
from protocols.engine import canonical_json
from protocols.formulary.loader import load_documents
from protocols.models import FormularyVersion, Ingredient, Plan, Product
from protocols.models.enums import PlanStatus
from sessions.models import Course, Lot, Room, WorkingHours
from tests.factories_protocols import FACTS, WOMAN

_count = itertools.count(1)
NAMES = {"biotin": "Biotin", "dexpanthenol": "Dexpanthenol", "saline": "Saline 0.9 %"}
OFFSETS = {"mild": (0, 28, 56), "moderate": (0, 28, 56, 84), "severe": (0, 35, 70, 105, 140)}
INTERVALS = {"mild": (21, 35), "moderate": (21, 42), "severe": (28, 56)}
SPANS = {"mild": (21, 70), "moderate": (42, 126), "severe": (120, 168)}


def room(*, site: Site, name: str = "Room 1") -> Room:
    return Room.objects.get_or_create(site=site, name=name)[0]


def hours(
    *,
    practitioner: User,
    site: Site,
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4),
    starts: time = time(9),
    ends: time = time(17),
) -> None:
    for weekday in weekdays:
        WorkingHours.objects.create(practitioner=practitioner, site=site, weekday=weekday, starts=starts, ends=ends)


def open_site(*, site: Site, practitioner: User, rooms: int = 1) -> list[Room]:
    """Rooms, and the practitioner's hours from Monday to Friday, 09:00 to 17:00."""
    hours(practitioner=practitioner, site=site)
    return [room(site=site, name=f"Room {number}") for number in range(1, rooms + 1)]


def patient(
    *,
    by: User,
    site: Site | None = None,
    given_name: str = "Teodor",
    family_name: str = "Brandvold",
    email: str = "teodor@example.org",
    language: str = "en",
    contact_allowed: bool = True,
) -> Patient:
    return Patient.objects.create(
        number=900_000 + next(_count),
        given_name=given_name,
        family_name=family_name,
        birth_date=date(1987, 6, 8),
        sex_at_birth="male",
        email=email,
        language=language,
        contact_allowed=contact_allowed,
        site=site or by.sites.get(),
        search_key=f"{given_name} {family_name}".casefold(),
        created_by=by,
    )


def answer(*, severity: str = "moderate", minutes: int = 18, extra: int = 20) -> dict[str, Any]:
    """An answer of the engine, only as much of it as booking and recording read."""
    offsets = OFFSETS[severity]
    low, high = INTERVALS[severity]
    shortest, longest = SPANS[severity]
    windows = [
        {"session": number + 1, "earliest": number * low, "ideal": day, "latest": min(number * high, longest)}
        for number, day in enumerate(offsets)
    ]
    windows[-1]["earliest"] = max(windows[-1]["earliest"], shortest)
    return {
        "status": "proposed",
        "severity": severity,
        "target_volume_ml": "2.00",
        "syringes": [
            {
                "label": "A",
                "volume_ml": "2.00",
                "lines": [
                    _line("biotin", "0.50", "2.5", "mg"),
                    _line("dexpanthenol", "0.50", "100", "mg"),
                    _line("saline", "1.00", None, None, role="diluent"),
                ],
            }
        ],
        "zones": [{"zone": "vertex", "area_cm2": "80"}],
        "sessions": [],
        "left_out": [],
        "cautions": [],
        "course": {
            "sessions": len(offsets),
            "offsets_days": list(offsets),
            "windows_days": windows,
            "min_gap_days": low,
            "max_gap_days": high,
            "spacings": [],
            "span_days": offsets[-1],
            "checkpoints": [],
            "duration_minutes": minutes,
            "appointment_minutes_extra": extra,
            "points": 120,
            "technique": "nappage",
            "depth_mm": {"min": "1", "max": "2"},
        },
    }


def _line(key: str, volume: str, dose: str | None, unit: str | None, *, role: str = "active") -> dict[str, Any]:
    return {
        "ingredient": key,
        "name": NAMES[key],
        "role": role,
        "volume_ml": volume,
        "dose": dose,
        "dose_unit": unit,
        "addresses": [],
    }


@cache
def _shipped() -> bytes:
    return canonical_json(load_documents())


def formulary(*, by: User) -> FormularyVersion:
    if there := FormularyVersion.objects.filter(status="published").first():
        return there
    made, _created = FormularyVersion.objects.get_or_create(
        label="test",
        defaults={
            "status": "published",
            "documents": json.loads(_shipped()),
            "sha256": hashlib.sha256(_shipped()).hexdigest(),
            "is_sample": True,
            "published_at": timezone.now(),
            "published_by": by,
        },
    )
    return made


def _facts_of(patient: Patient) -> dict[str, Any]:
    """A healthy person's answers: nothing stands against a treatment."""
    if patient.sex_at_birth == "male":
        return dict(FACTS)
    return {key: value for key, value in FACTS.items() if key != "norwood_stage"} | WOMAN


def plan(
    *,
    patient: Patient,
    by: User,
    status: str = PlanStatus.SIGNED,
    severity: str = "moderate",
    number: int | None = None,
    minutes: int = 18,
    extra: int = 20,
    supersedes: Plan | None = None,
) -> Plan:
    """A plan; with ``supersedes`` the amendment of another, which is then not in force any more."""
    if supersedes is not None:
        Plan.objects.filter(pk=supersedes.pk).update(status=PlanStatus.SUPERSEDED)
    for key, name in NAMES.items():
        Ingredient.objects.get_or_create(key=key, defaults={"name": name})
    now = timezone.now()
    intake = patient.intakes.first() or Intake.objects.create(
        patient=patient,
        number=1,
        status=IntakeStatus.SUBMITTED,
        asked=asked_now(),
        facts=_facts_of(patient),
        zones=[{"zone": "vertex", "area_cm2": "80"}],
        concerns=[{"concern": "androgenetic_alopecia", "severity": severity}],
        started_by=by,
        submitted_by=by,
        submitted_at=now,
    )
    signed = status not in (PlanStatus.DRAFT, PlanStatus.DISCARDED)
    result = answer(severity=severity, minutes=minutes, extra=extra)
    return Plan.objects.create(
        patient=patient,
        intake=intake,
        formulary=formulary(by=by),
        number=supersedes.number if supersedes else number or patient.plans.count() + 1,
        version=supersedes.version + 1 if supersedes else 1,
        supersedes=supersedes,
        status=status,
        case={"facts": dict(intake.facts), "concerns": intake.concerns, "zones": intake.zones},
        policy={},
        engine_version="test",
        proposal=result,
        result=result,
        created_by=by,
        responsible=by,
        signed_at=now if signed else None,
        signed_by=by if signed else None,
        signature_sha256="f" * 64 if signed else "",
    )


def lot(
    *,
    ingredient: str,
    site: Site,
    concentration: str = "5",
    unit: str = "mg/mL",
    number: str = "L-1",
    expires_on: date = date(2099, 1, 31),
    received_ml: str = "50",
    recalled_at: datetime | None = None,
) -> Lot:
    product, _created = Product.objects.get_or_create(
        ingredient=Ingredient.objects.get(key=ingredient),
        concentration=Decimal(concentration),
        concentration_unit=unit,
        defaults={
            "name": f"{NAMES[ingredient]} {concentration} {unit}",
            "container": "vial",
            "container_volume_ml": Decimal("10"),
            "supplier": "House pharmacy",
        },
    )
    return Lot.objects.create(
        product=product,
        site=site,
        number=number,
        expires_on=expires_on,
        received_ml=Decimal(received_ml),
        recalled_at=recalled_at,
    )


def monday(*, weeks: int = 2) -> date:
    """A Monday some weeks from now; by default at least a week ahead, so that every reminder still lies ahead."""
    today = timezone.now().date()
    return today + timedelta(days=7 - today.weekday() + 7 * (weeks - 1))


def utc(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def paper(kind: str, course: Course, patient: Patient, *, by: User, **context: object) -> Document:
    """A PDF that is ready: of ``kind``, about the course's plan."""
    document = request_document(
        kind=kind,
        subject_id=course.plan.public_id,
        person_id=patient.public_id,
        title="Your sessions",
        language="en",
        context={"person": {"name": patient.name, "number": "P-1"}, **context},
        by=by,
    )
    name, content_hash = storage.keep_file(b"%PDF-1.7 probe")
    Document.objects.filter(pk=document.pk).update(
        state="ready", file=name, content_hash=content_hash, size_bytes=14, pages=1, ready_at=timezone.now()
    )
    document.refresh_from_db()
    return document
