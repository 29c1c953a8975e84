"""The plan on paper: what goes into its PDFs, made from the stored plan and the booked dates, without HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import formats, translation
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Clinic, User
from mesoclinic.documents.actions import request_document
from mesoclinic.documents.models import Document
from mesoclinic.errors import InvalidInput, NotAllowed
from patients.queries import allergy_chips
from protocols.computing import compute
from protocols.enums import PlanStatus
from protocols.models import Plan
from protocols.presentation import Reader
from protocols.queries import documents_of, live_open_answers, plans_visible_to

KINDS = ("plan_patient", "plan_record")
Data = dict[str, Any]


def session_dates(plan: Plan) -> list[Data]:
    """The booked sessions as the app above tells them: number, starts_at in the site's zone, practitioner, site."""
    return list(import_string(settings.PLAN_DATES_PROVIDER)(plan))


def plan_pdf_visible(user: User, document: Document) -> bool:
    """Whoever may read plans may read their PDFs, for patients of their own sites."""
    return user.may(Permission.PLAN_READ) and plans_visible_to(user).filter(public_id=document.subject_id).exists()


def request_plan_pdf(*, plan: Plan, by: User, kind: str = "plan_patient") -> Document:
    """The plan's PDF: for the patient, in the patient's language and plain words, or the full copy for the record."""
    if not by.may(Permission.PLAN_READ) or plan.patient.site_id not in by.site_ids:
        raise NotAllowed(_("Your role does not allow reading plans."))
    if kind not in KINDS:
        raise InvalidInput(_("There is no such document of a plan."))
    if plan.result["status"] != "proposed":
        raise InvalidInput(_("There is nothing to print: this draft holds no mixture."))
    language = plan.patient.language if kind == "plan_patient" else plan.language
    with translation.override(language):
        title = _("Your treatment plan") if kind == "plan_patient" else _("Treatment plan, record copy")
        context = plan_context(plan, kind=kind, language=language)
    return request_document(
        kind=kind,
        subject_id=plan.public_id,
        person_id=plan.patient.public_id,
        title=title,
        language=language,
        context=context,
        by=by,
    )


# ------------------------------------------------------------------ the context: data only


def plan_context(plan: Plan, *, kind: str, language: str) -> Data:
    """Everything that the PDF shows, in the active language. The same plan and dates give the same context."""
    reader = Reader(plan)
    result, patient = plan.result, plan.patient
    if language != plan.language:  # the plan's sentences were made in another language: make them again from its inputs
        plan.result = result = compute(
            case=plan.case, version=plan.formulary, policy=plan.policy, language=language, edits=plan.edits
        ).result
        reader = Reader(plan)
    dates = session_dates(plan)
    clinic = Clinic.objects.first()
    zone = patient.site.tz
    context: Data = {
        "time_zone": patient.site.time_zone,
        "person": {
            "name": patient.name,
            "born": _day(patient.birth_date),
            "number": patient.display_number,
            "note": "; ".join(chip.text for chip in allergy_chips(plan.intake)),
        },
        "place": {
            "clinic": clinic.name if clinic else "",
            "site": patient.site.name,
            "address": patient.site.address,
            "phone": patient.site.phone,
        },
        "plan_number": plan.display_number,
        "version": plan.version,
        "formulary": plan.formulary.label,
        "sample": plan.formulary.is_sample,
        "fingerprint": plan.short_fingerprint,
        "draft": not plan.is_signed,
        "superseded": plan.status == PlanStatus.SUPERSEDED,
        "practitioner": (plan.signed_by or plan.responsible).name,
        "signed_on": _day(plan.signed_at.astimezone(zone)) if plan.signed_at else "",
        "signed_time": plan.signed_at.astimezone(zone).strftime("%H:%M") if plan.signed_at else "",
        "concerns": _concerns(plan, reader),
        "zones": reader.zones(),
        "area_cm2": result["area_cm2"],
        "total_volume_ml": result["total_volume_ml"],
        "mixtures": [_mixture(mixture) for mixture in reader.mixtures()],
        "course": result["course"],
        "sessions": _sessions(plan, dates),
        "axis_dates": [
            {"number": row["number"], "date": row["starts_at"].date().isoformat(), "state": "booked"} for row in dates
        ],
        "cost": result["cost"],
        "result_day": _result_day(plan, dates),
        "weeks": round(result["course"]["span_days"] / 7),
    }
    texts = documents_of(plan.formulary)["course"]
    return context | (_for_patient(reader, texts) if kind == "plan_patient" else _for_record(plan, reader))


def _day(value: Any) -> str:
    return formats.date_format(value, "j F Y")


def _concerns(plan: Plan, reader: Reader) -> list[Data]:
    known = reader.vocabulary.concerns
    rows = []
    for row in reader.concerns():
        described = known[row["key"]].patient_description if row["key"] in known else ""
        rows.append(
            {
                "label": row["label"],
                "severity": _(row["severity"]),
                "note": row["note"],
                "described": _(described).split(". ")[0].rstrip(".") + "." if described else "",
            }
        )
    return rows


def _mixture(mixture: Any) -> Data:
    return {
        "label": mixture.label,
        "volume_ml": mixture.volume_ml,
        "count": mixture.count,
        "each_ml": mixture.each_ml,
        "ph": list(mixture.ph),
        "hurried": mixture.hurried,
        "drawing": mixture.drawing,
        "lines": [
            {
                "number": line.number,
                "band": ((int(line.number) - 1) % 5 + 1) if not line.is_diluent else "s",
                "name": line.name,
                "stock": line.stock,
                "is_diluent": line.is_diluent,
                "volume_ml": line.volume_ml,
                "dose": line.dose,
                "dose_unit": line.dose_unit,
                "least_ml": line.least_ml,
                "most_ml": line.most_ml,
                "final": line.final,
                "final_unit": line.final_unit,
                "why": line.why,
                "marginal_value": line.marginal_value or "",
                "concern": line.main.concern if line.main else "",
                "proof": line.main.note if line.main else "",
                "served": [
                    {
                        "concern": served.concern,
                        "strength": served.strength,
                        "grade": served.grade,
                        "direction": served.direction.replace("_", " "),
                        "sources": ", ".join(source.short for source in served.sources),
                    }
                    for served in line.served
                ],
            }
            for line in mixture.lines
        ],
    }


def _sessions(plan: Plan, dates: list[Data]) -> list[Data]:
    """One row per session: its date once booked, else the days after the first within which it falls."""
    booked = {row["number"]: row for row in dates}
    course = plan.result["course"]
    rows = []
    for window in course["windows_days"]:
        row = booked.get(window["session"])
        reviews = [entry for entry in course["checkpoints"] if entry["after_session"] == window["session"]]
        rows.append(
            {
                "number": window["session"],
                "date": formats.date_format(row["starts_at"], "l j F Y") if row else "",
                "time": row["starts_at"].strftime("%H:%M") if row else "",
                "with": row["practitioner"] if row else "",
                "ideal": window["ideal"],
                "earliest": window["earliest"],
                "latest": window["latest"],
                "plain": _plain_purpose(
                    window["session"], len(course["windows_days"]), [row["key"] for row in reviews]
                ),
            }
        )
    return rows


def _plain_purpose(number: int, last: int, reviews: list[str]) -> str:
    parts = []
    if number == 1:
        parts.append(_("Start, with photographs"))
    if "first_review" in reviews:
        parts.append(_("First review"))
    if "decision_review" in reviews:
        parts.append(_("Decision: go on, change or stop"))
    if number == last:
        parts.append(_("Last of this course"))
    return "; ".join(parts)


def _result_day(plan: Plan, dates: list[Data]) -> str:
    """The day of the honest result: a date once the course is booked, else days after the first session."""
    ends = [row for row in plan.result["course"]["checkpoints"] if row["key"] == "end_of_course"]
    if not ends:
        return ""
    if not dates:
        return _("%(days)s days after the first") % {"days": ends[0]["offset_days"]}
    after = ends[0]["offset_days"] - plan.result["course"]["span_days"]
    return formats.date_format(dates[-1]["starts_at"].date() + timedelta(days=after), "l j F Y")


def _for_patient(reader: Reader, texts: Data) -> Data:
    return {
        "expect": [_(sentence) for sentence in texts["patient_expectation_text"]],
        "notes": [row["message"] for row in reader.result["infos"]],
        "aftercare": [
            {"when": _(row["when"]), "text": _(row["text"])} for row in texts["aftercare"] if row["when"] != "any time"
        ],
        "usual": [
            {"label": _(row["label"]), "how_long": _how_long(row["usual_duration"]), "advice": _(row["advice"])}
            for row in texts["expected_side_effects"]
        ],
        "alarms": [
            {"when": when, "signs": [_(row["label"]) for row in texts["red_flags"] if row["contact"] == contact]}
            for contact, when in (
                ("emergency_number", _("Call the emergency number")),
                ("immediately", _("Call us at once")),
                ("same_day", _("Call us the same day")),
            )
        ],
    }


def _how_long(duration: Data) -> str:
    words = {"hours": _("hours"), "days": _("days"), "minutes": _("minutes")}
    unit = words.get(duration["unit"], duration["unit"])
    if "min" in duration:
        return _("%(low)s to %(high)s %(unit)s") % {"low": duration["min"], "high": duration["max"], "unit": unit}
    return _("up to %(high)s %(unit)s") % {"high": duration["max"], "unit": unit}


def _for_record(plan: Plan, reader: Reader) -> Data:
    result = plan.result
    answers = live_open_answers(plan)
    screening = [
        {
            "tier": tier,
            "rule": row.rule,
            "message": row.message,
            "because": row.because,
            "answered": _acknowledged(row) if tier == "caution" else "",
        }
        for tier, kind in (("absolute", "blocks"), ("caution", "cautions"), ("info", "infos"))
        for row in reader.findings(kind)
    ]
    excluded: dict[str, Data] = {}
    for row in result["excluded_by_rule"]:
        entry = excluded.setdefault(
            row["rule"],
            {
                "tier": "exclude",
                "rule": row["rule"],
                "message": row["message"],
                "because": "; ".join(row["because_text"]),
                "answered": _("applied"),
            },
        )
        entry.setdefault("names", []).append(row["name"])
    for row in reader.referrals():
        screening.append(
            {
                "tier": "referral",
                "rule": row["rule"],
                "message": f"{row['to']}, {row['urgency']}",
                "because": "",
                "answered": "",
            }
        )
    return {
        "intake_on": _day(plan.intake.submitted_at) if plan.intake.submitted_at else "",
        "facts": [
            {"label": section["label"], "rows": [{"question": q, "answer": a} for q, a in section["rows"]]}
            for section in reader.answers()
        ],
        "screening": screening + list(excluded.values()),
        "open": [
            {
                "label": row["label"],
                "how": _("not measured") if row["waived"]["as"] == "not_measured" else _("not applicable"),
                "reason": row["waived"]["reason"],
                "by": answers[row["fact"]].by.name if row["fact"] in answers else "",
            }
            for row in result["open_questions"]
            if row["waived"]
        ],
        "left_out": [{"name": row.name, "label": row.label, "reason": row.reason} for row in reader.left_out()],
        "edits": reader.edits(),
        "alternatives": [
            {"title": row["title"], "value": row["value"], "trades": "; ".join(row["trades"])}
            for row in reader.alternatives()
        ],
        "value": result["value"],
        "cost_lines": [
            {"words": words, "figure": figure, "factor": factor} for words, figure, factor in reader.cost_lines()
        ],
        "engine_version": plan.engine_version,
        "signature": plan.signature_sha256,
        "gap": result["course"]["ideal_gap_days"],
    }


def _acknowledged(row: Any) -> str:
    if row.acknowledged is None:
        return _("not acknowledged yet")
    given = row.acknowledged
    note = f" “{given.note}”" if given.note else ""
    return f"{row.reason}.{note} {given.by.name}, {_day(given.at)}"
