"""Visits on paper: what to draw up, labels for the syringes, what was done, and packs of many prints; without HTTP."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, NotAllowed
from mesoclinic.documents.actions import request_document
from mesoclinic.documents.models import Document
from mesoclinic.ui import days
from mesoclinic.ui.templatetags.ui import quantity
from patients.permissions import check_in_care
from patients.queries import in_care, is_seen_by
from protocols.models import Plan
from protocols.models.enums import PlanKind, PlanStatus, StandingStep
from protocols.pages.plan import Reader
from protocols.plans.zones import zone_shares
from protocols.prints.contexts import mixture_data, plan_context
from protocols.prints.documents import plan_part, prepare_prints
from protocols.standing.going_on import check_may_treat, keep_override, passed_before
from protocols.standing.reasons import Standing
from protocols.standing.standing import standing, standings
from sessions.course.terms import terms_of
from sessions.models import Appointment, AppointmentStatus, TreatmentSession, TreatmentSessionStatus
from sessions.queries import appointments_visible_to, visits_on
from sessions.stock.queries import usable_lots

Data = dict[str, Any]
PREPARING = ("preparation_sheet", "syringe_labels")  # from which syringes are drawn up
KINDS = ("preparation_sheet", "syringe_labels", "session_record")
PACKS = ("day", "week", "quotations")
AHEAD, AHEAD_AT_ONCE = timedelta(hours=24), 40  # how long before a visit its sheet is made, and of how many in one go


def visit_pdf_visible(user: User, document: Document) -> bool:
    """Whoever may read plans, for visits of patients of their own sites."""
    visits = appointments_visible_to(user)
    return user.may(Permission.PLAN_READ) and visits.filter(public_id=document.subject_id).exists()


def pack_visible(user: User, document: Document) -> bool:
    return user.may(Permission.PLAN_READ) and document.context.get("site_id") in user.site_ids


@transaction.atomic
def request_visit_pdf(*, appointment: Appointment, kind: str, by: User, standing_reason: str = "") -> Document:
    """The preparation sheet, the labels or the record of one visit.

    Where the patient's standing is a stop nothing is prepared; somebody who signs plans may, with ``standing_reason``.
    """
    if not by.may(Permission.PLAN_READ) or not (
        appointment.site_id in by.site_ids or is_seen_by(appointment.patient, by)
    ):
        raise NotAllowed(_("Your role does not allow reading plans."))
    if kind not in KINDS:
        raise InvalidInput(_("There is no such document of a visit."))
    if kind in PREPARING:
        check_in_care(appointment.patient)
        if appointment.status in AppointmentStatus.FREE_AGAIN:
            raise InvalidInput(_("This visit does not take place: nothing is to be drawn up for it."))
    part = visit_part(appointment, kind=kind)
    if kind in PREPARING:
        plan, day = appointment.course.plan, appointment.starts_at.astimezone(appointment.site.tz).date()
        found = check_may_treat(appointment.patient, plan, day, by=by, reason=standing_reason, field="standing_reason")
        keep_override(
            found,
            plan=plan,
            step=StandingStep.PREPARE,
            subject_id=appointment.public_id,
            reason=standing_reason,
            by=by,
        )
    return request_document(**part, by=by)


def why_held(user: User, document: Document) -> str:
    """Return why a sheet, labels or a pack that were made must not be taken out now; empty where they may.

    Whoever went on against the same stop with a reason takes out what was made for them.
    """
    subjects = (
        {document.subject_id}
        if document.kind in PREPARING
        else {UUID(part["subject_id"]) for part in document.context.get("parts", ()) if part["kind"] in PREPARING}
    )
    visits = list(
        Appointment.objects.filter(public_id__in=subjects, course__plan__status__in=PlanStatus.IN_FORCE)
        .select_related("patient", "site", "course__plan")
        .defer(*(f"course__plan__{name}" for name in ("case", "policy", "proposal", "edits", "result")))
    )
    asked = [(visit.patient, visit.course.plan, visit.starts_at.astimezone(visit.site.tz).date()) for visit in visits]
    for visit, found in zip(visits, standings(asked), strict=True):
        if found.is_stop and not passed_before(found, subject_id=visit.public_id, by=user):
            return _("%(name)s may not be treated: %(why)s Nothing may be drawn up. Ask for the print again.") % {
                "name": visit.patient.name,
                "why": found.seen_by(user).stops[0].message,
            }
    return ""


def prepare_dated_prints(plan: Plan, *, by: User) -> None:
    """What the patient takes along after a booking or a move, with its dates; begun as soon as that is kept."""
    kinds = ("plan_patient", "course_schedule")
    transaction.on_commit(lambda: prepare_prints(plan, by=by, kinds=kinds), robust=True)


@transaction.atomic
def prepare_next_prints(*, by: User | None) -> int:
    """Begin the sheets and the labels of the next day's visits that have none yet, so that a press shows them at once.

    Return for how many visits. Where a stop stands nothing is begun, and each look at a print asks again.
    """
    now = timezone.now()
    begun = Document.objects.filter(subject_id=OuterRef("public_id"), kind__in=PREPARING, outdated_at__isnull=True)
    coming = (
        Appointment.objects.filter(
            in_care("patient__"),
            ~Exists(begun),
            status__in=AppointmentStatus.COMING,
            starts_at__gt=now,
            starts_at__lte=now + AHEAD,
            course__plan__status__in=PlanStatus.IN_FORCE,
        )
        .select_related(
            *("patient__site", "site", "room", "practitioner", "course__plan__formulary", "course__plan__intake"),
            *("course__plan__patient__site", "course__plan__signed_by", "course__plan__responsible"),
        )
        .order_by("starts_at", "pk")
    )
    free = _not_stopped(coming, at_most=AHEAD_AT_ONCE)
    for visit in free:
        for kind in PREPARING:
            request_document(**visit_part(visit, kind=kind), by=by, ahead=True)
    return len(free)


def _not_stopped(visits: QuerySet[Appointment], *, at_most: int) -> list[Appointment]:
    """Return the first visits against which no stop stands; those that are stopped keep nobody else waiting."""
    free: list[Appointment] = []
    for start in count(0, at_most):
        some = list(visits[start : start + at_most])
        asked = [(visit.patient, visit.course.plan, visit.starts_at.astimezone(visit.site.tz).date()) for visit in some]
        free += [visit for visit, found in zip(some, standings(asked), strict=True) if not found.is_stop]
        if len(free) >= at_most or len(some) < at_most:
            return free[:at_most]
    return free


@transaction.atomic
def request_pack(*, site: Site, first: date, what: str, by: User) -> Document:
    """One file of many prints, named in the site's language: a day's or a week's preparation sheets, or a quotation
    for every plan signed for the site and not begun. Every patient in it has an event of their own in the trail."""
    if not by.may(Permission.PLAN_READ) or site.pk not in by.site_ids:
        raise NotAllowed(_("Your role does not allow reading plans."))
    if what not in PACKS:
        raise InvalidInput(_("There is no such pack."))
    parts, patients = _quotations(site) if what == "quotations" else _sheets(site, first, what=what, by=by)
    if not parts:
        raise InvalidInput(
            _("No plan waits for its course to be booked.")
            if what == "quotations"
            else _("Nobody is booked whose plan is signed.")
        )
    with translation.override(site.language):
        day = days.written(first, "date")
        title = {
            "day": _("Day pack, %(site)s, %(day)s") % {"site": site.name, "day": day},
            "week": _("Preparation sheets, %(site)s, week from %(day)s") % {"site": site.name, "day": day},
            "quotations": _("Quotations, %(site)s") % {"site": site.name},
        }[what]
    pack = request_document(
        kind="pack",
        subject_id=site.public_id,
        person_id=None,
        title=title,
        language=site.language,
        context={"parts": parts, "site_id": site.pk},
        by=by,
    )
    for patient in patients:
        trail.record("document.requested", by=by, target=pack, patient=patient, details={"kind": "pack"})
    return pack


def _sheets(site: Site, first: date, *, what: str, by: User) -> tuple[list[Data], list[Any]]:
    """A sheet for each visit; a page that says why for a patient whose standing is a stop."""
    visits = [
        visit
        for offset in range(7 if what == "week" else 1)
        for visit in visits_on(first + timedelta(days=offset), site=site, user=by)
        if visit.status in AppointmentStatus.COMING
        and visit.course.plan.status in PlanStatus.IN_FORCE
        and visit.patient.is_in_care
    ]
    asked = [(visit.patient, visit.course.plan, visit.starts_at.astimezone(site.tz).date()) for visit in visits]
    parts, patients = [], []
    for visit, found in zip(visits, standings(asked), strict=True):
        part = refused_part(visit, found) if found.is_stop else visit_part(visit, kind="preparation_sheet")
        parts.append(part | {"mark": f"{part['context']['at']} {visit.patient.name}, {part['title']}"})
        patients.append(visit.patient)
    return parts, patients


def _quotations(site: Site) -> tuple[list[Data], list[Any]]:
    plans = (
        Plan.objects.filter(
            in_care("patient__"),
            patient__site=site,
            status=PlanStatus.SIGNED,
            kind=PlanKind.COURSE,
            course__isnull=True,
        )
        .select_related("patient__site", "formulary", "intake", "signed_by", "responsible")
        .order_by("patient__search_key", "pk")
    )
    parts = [plan_part(plan, kind="quotation") for plan in plans]
    marked = [part | {"mark": f"{plan.patient.name}, {part['title']}"} for part, plan in zip(parts, plans, strict=True)]
    return marked, [plan.patient for plan in plans]


# ------------------------------------------------------------------ contexts: data only


def visit_part(visit: Appointment, *, kind: str) -> Data:
    """Kind, title, language and content of one document about a visit, in the plan's language: it is for staff."""
    plan = visit.course.plan
    with translation.override(plan.language):
        context = _record_context(visit) if kind == "session_record" else _preparation_context(visit)
        title = {
            "preparation_sheet": _("Preparation sheet, session %(n)s of %(all)s"),
            "syringe_labels": _("Syringe labels, session %(n)s of %(all)s"),
            "session_record": _("Session record, session %(n)s of %(all)s"),
        }[kind] % {"n": visit.number, "all": terms_of(plan).sessions}
    return {
        "kind": kind,
        "subject_id": visit.public_id,
        "person_id": visit.patient.public_id,
        "title": title,
        "language": plan.language,
        "context": context,
    }


def refused_part(visit: Appointment, found: Standing) -> Data:
    """The page that stands in the place of a preparation sheet of somebody who may not be treated."""
    plan = visit.course.plan
    with translation.override(plan.language):
        said = standing(visit.patient, plan, found.day) if plan.language != translation.get_language() else found
        reasons = [
            {
                "message": reason.message,
                "answer": reason.answer,
                "rule": reason.rule,
                "where": reason.where,
                "by": reason.said_by,
                "at": days.written(reason.said_at.astimezone(visit.site.tz), "full") if reason.said_at else "",
                "lifts": reason.lifts,
            }
            for reason in said.stops
        ]
        context = _of_visit(visit) | {"reasons": reasons}
        title = _("No preparation sheet, session %(n)s of %(all)s") % {
            "n": visit.number,
            "all": terms_of(plan).sessions,
        }
    return {
        "kind": "preparation_refused",
        "subject_id": visit.public_id,
        "person_id": visit.patient.public_id,
        "title": title,
        "language": plan.language,
        "context": context,
    }


def _of_visit(visit: Appointment) -> Data:
    plan, starts = visit.course.plan, visit.starts_at.astimezone(visit.site.tz)
    base = plan_context(plan, kind="plan_patient", language=plan.language)
    kept = [
        "time_zone",
        "person",
        "place",
        "check_url",
        "plan_number",
        "version",
        "formulary",
        "sample",
        "fingerprint",
        "draft",
        "superseded",
        "practitioner",
        "signed_on",
        "signed_time",
        "course",
    ]
    return {key: base[key] for key in kept} | {
        "paper": visit.site.paper,  # where it is printed
        "number": visit.number,
        "of": terms_of(visit.course.plan).sessions,
        "on": days.written(starts, "full"),
        "at": starts.strftime("%H:%M"),
        "room": visit.room.name,
        "site_name": visit.site.name,
        "injector": visit.practitioner.name,
    }


def _preparation_context(visit: Appointment) -> Data:
    plan = visit.course.plan
    if not plan.is_signed:
        raise InvalidInput(_("Only a signed plan may be prepared. Sign it first."))
    if plan.status not in PlanStatus.IN_FORCE:
        raise InvalidInput(
            _("This plan is %(state)s: nothing is prepared from it. Use the plan that is in force.")
            % {"state": str(plan.get_status_display()).lower()}
        )
    reader = Reader(plan)
    own = [row["syringes"] for row in plan.result.get("sessions") or [] if row.get("number") == visit.number]
    syringes = [mixture_data(mixture) for mixture in reader.mixtures(own[0] if own and own[0] is not None else None)]
    day = visit.starts_at.astimezone(visit.site.tz).date()
    lots: dict[str, tuple[str, str]] = {}
    for lot in usable_lots(plan, visit.number, site=visit.site, today=day):  # the soonest to expire comes first
        lots.setdefault(lot.product.ingredient.key, (lot.number, days.written(lot.expires_on, "year")))
    raw = reader.contents.raw
    for syringe in syringes:
        last = {key for row in _raw_syringe(plan, syringe["label"], own) for key in row}
        for line in syringe["lines"]:
            line["lot"], line["use_by"] = lots.get(line["key"], ("", ""))
            line["last"] = line["key"] in last
            storage = raw.get(line["key"], {}).get("storage") or {}
            line["mind"] = [
                words
                for holds, words in (
                    (line["last"], _("use at once")),
                    (storage.get("protect_from_light"), _("no light")),
                    ((storage.get("temperature_max") or 99) <= 8, _("fridge")),
                )
                if holds
            ]
        # Diluent first, then the actives, and what must not wait comes last.
        syringe["lines"].sort(
            key=lambda line: (not line["is_diluent"], line["last"], int(line["number"]) if line["number"] != "S" else 0)
        )
        syringe["upto"] = _marks(syringe["lines"])
        syringe["label_text"] = " · ".join(
            line["name"] if line["is_diluent"] else f"{line['name']} {quantity(line['dose'], line['dose_unit'])}"
            for line in syringe["lines"]
        )
    total = sum((Decimal(syringe["volume_ml"]) for syringe in syringes), Decimal(0))
    zones = zone_shares(
        reader.zones(),
        points=plan.result["course"]["points"],
        volumes_ml=[syringe["volume_ml"] for syringe in syringes],
    )
    return _of_visit(visit) | {
        "syringes": syringes,
        "zone_rows": zones,
        "total_volume_ml": str(total),
        "area_cm2": plan.result["area_cm2"],
        "cautions": [row["message"] for row in plan.result["cautions"]],
        "several": len(syringes) > 1,
    }


def _raw_syringe(plan: Plan, label: str, own: list[Any]) -> list[list[str]]:
    rows = own[0] if own and own[0] is not None else plan.result["syringes"]
    return [list(used["ingredients"]) for row in rows if row["label"] == label for used in row["use_immediately"]]


def _marks(lines: list[Data]) -> str:
    """Where the plunger stands after the last line."""
    return str(sum((Decimal(line["volume_ml"]) for line in lines), Decimal(0)))


def _record_context(visit: Appointment) -> Data:
    done = (
        TreatmentSession.objects.filter(appointment=visit, status=TreatmentSessionStatus.PERFORMED)
        .select_related("performed_by")
        .first()
    )
    if done is None:
        raise InvalidInput(_("This session has not been recorded yet."))
    at = done.performed_at.astimezone(visit.site.tz)
    contents = Reader(visit.course.plan).contents
    return _of_visit(visit) | {
        "check_url": "",  # what was done does not go out of date
        "superseded": False,
        "performed_by": done.performed_by.name,
        "performed_on": days.written(at, "date"),
        "performed_time": at.strftime("%H:%M"),
        "nothing_changed": done.nothing_changed,
        "tolerance": done.tolerance,
        "note": done.note,
        "given": [
            {
                "name": contents.name(row.ingredient.key),
                "syringe": row.syringe,
                "planned_ml": str(row.planned_volume_ml),
                "volume_ml": str(row.volume_ml),
                "dose": str(row.dose.normalize()) if row.dose_unit else "",
                "dose_unit": row.dose_unit,
                "lot": row.lot.number if row.lot else "",
                "expires": days.written(row.lot.expires_on, "year") if row.lot else "",
                "why": row.deviation_reason,
            }
            for row in done.administrations.select_related("ingredient", "lot").order_by("syringe", "id")
        ],
    }
