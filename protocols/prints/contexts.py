"""What goes into the PDFs of a plan, made from the stored plan and the booked dates, without HTTP: data only."""

from __future__ import annotations

from datetime import UTC, timedelta

from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Clinic
from mesoclinic.core.errors import InvalidInput
from mesoclinic.ui import days
from mesoclinic.ui.templatetags.ui import NBSP, quantity
from patients.record.strip import allergy_chips
from patients.words import severity_after_concern
from protocols.engine import canonical_json
from protocols.formulary.queries import documents_of
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from protocols.pages.answers import concerns, zones
from protocols.pages.course import review_weeks, waiting_advice, waits_because
from protocols.pages.mixtures import Mixture, mixtures
from protocols.pages.reading import Reading
from protocols.plans.computing import compute
from protocols.plans.signature import signed_content
from protocols.plans.zones import zone_shares
from protocols.prints.for_patient import for_patient, plainly
from protocols.prints.for_record import for_record
from protocols.prints.kinds import ARCHIVES, FOR_STAFF, WITHOUT_CONTENT
from protocols.prints.marks import check_url, session_dates
from protocols.prints.shared import Data, cost_rows, day_of


def plan_context(plan: Plan, *, kind: str, language: str) -> Data:
    """Everything that the PDF shows, in the active language. The same plan and dates give the same context."""
    reading, dates = _reading(plan, language), session_dates(plan)
    for_staff = kind in FOR_STAFF
    texts = documents_of(plan.formulary)["course"]
    context = _head(reading, dates)
    if kind in ARCHIVES:
        context["attachments"] = [_signed_data(plan)]
    if plan.waits:
        context |= _of_a_wait(reading)
        return context | (for_record(reading) if for_staff else for_patient(reading, texts))
    context |= _treatment(reading, dates)
    if for_staff:
        return context | for_record(reading)
    context |= for_patient(reading, texts)
    for mixture in context["mixtures"]:
        for line in mixture["lines"]:
            line["proof"] = plainly(line["proof"])
    if kind == "consent":
        context["actives"] = [
            f"{line['name']} {quantity(line['dose'], line['dose_unit'])}"
            for mixture in context["mixtures"]
            for line in mixture["lines"]
            if not line["is_diluent"]
        ]
    if kind == "quotation":
        context["cost_lines"] = cost_rows(reading)
    if kind not in WITHOUT_CONTENT:
        return context
    hidden = ("concerns", "zones", "mixtures", "cost", "total_volume_ml", "area_cm2", "notes")
    return {key: value for key, value in context.items() if key not in hidden}


def _reading(plan: Plan, language: str) -> Reading:
    """The plan in the language of the print. In another than its own, its sentences are made anew from its inputs."""
    if language == plan.language:
        return Reading(plan)
    said = compute(case=plan.case, version=plan.formulary, policy=plan.policy, language=language, edits=plan.edits)
    return Reading(plan, given=said.result)


def _head(reading: Reading, dates: list[Data]) -> Data:
    """Whose plan it is, of which clinic, which version, and what makes it valid."""
    plan, patient = reading.plan, reading.plan.patient
    clinic = Clinic.objects.first()
    zone = patient.site.tz
    return {
        "time_zone": patient.site.time_zone,
        "person": {
            "name": patient.name,
            "born": day_of(patient.birth_date),
            "number": patient.display_number,
            "note": "; ".join(chip.text for chip in allergy_chips(plan.intake)),
        },
        "place": {
            "clinic": clinic.name if clinic else "",
            "site": patient.site.name,
            "address": patient.site.address,
            "phone": patient.site.phone,
        },
        "paper": patient.site.paper,
        "check_url": check_url(plan, dates),
        "plan_number": plan.display_number,
        "version": plan.version,
        "formulary": plan.formulary.label,
        "sample": plan.formulary.is_sample,
        "fingerprint": plan.short_fingerprint,
        "draft": not plan.is_signed,
        "superseded": plan.status == PlanStatus.SUPERSEDED,
        "practitioner": (plan.signed_by or plan.responsible).name,
        "signed_on": day_of(plan.signed_at.astimezone(zone)) if plan.signed_at else "",
        "signed_time": plan.signed_at.astimezone(zone).strftime("%H:%M") if plan.signed_at else "",
        "concerns": _concerns(reading),
    }


def _treatment(reading: Reading, dates: list[Data]) -> Data:
    """What is injected, where, in which sessions, and at what cost."""
    result = reading.answer
    return {
        "zones": zone_shares(
            zones(reading),
            points=reading.course["points"],
            volumes_ml=[syringe["volume_ml"] for syringe in result["syringes"]],
        ),
        "area_cm2": result["area_cm2"],
        "total_volume_ml": result["total_volume_ml"],
        "mixtures": [mixture_data(mixture) for mixture in mixtures(reading)],
        "course": result["course"],
        "sessions": _sessions(reading, dates),
        "axis_dates": [
            {"number": row["number"], "date": row["starts_at"].date().isoformat(), "state": "booked"} for row in dates
        ],
        "cost": result["cost"],
        "result_day": _result_day(reading, dates),
        "weeks": round(reading.course["span_days"] / 7),
    }


def _of_a_wait(reading: Reading) -> Data:
    """When to look again, what speaks for waiting, and what the patient is told meanwhile."""
    return {
        "review_on": days.written(reading.plan.review_on, "full") if reading.plan.review_on else "",
        "review_weeks": review_weeks(reading),
        "because": waits_because(reading),
        "advice": waiting_advice(reading),
    }


def _signed_data(plan: Plan) -> Data:
    """Exactly the bytes that the signature is over, to travel inside the archived file."""
    if plan.signed_by is None or plan.signed_at is None:
        raise InvalidInput(_("Only a signed plan goes to the archive."))
    return {
        "name": "plan.json",
        "text": canonical_json(signed_content(plan, by=plan.signed_by, at=plan.signed_at)).decode(),
        "description": _("What was signed"),
        "at": plan.signed_at.astimezone(UTC).replace(microsecond=0).isoformat(),
    }


def _concerns(reading: Reading) -> list[Data]:
    known = reading.vocabulary.concerns
    rows = []
    for row in concerns(reading):
        described = known[row.key].patient_description if row.key in known else ""
        said = severity_after_concern(row.severity) + (f" ({row.note})" if row.note else "")
        if described:
            told = _after_colon(_(described).split(". ")[0].rstrip(".") + ".")
            said = _("%(what)s: %(how)s") % {"what": said, "how": told}
        rows.append(
            {
                "label": row.label,
                "severity": row.word,
                "note": row.note,
                "said": said,
            }
        )
    return rows


def _glued(stock: str) -> str:
    """“10 mg/mL, vial 3 mL” breaks after its comma only."""
    return ", ".join(part.replace(" ", NBSP).replace("/", "/\N{WORD JOINER}") for part in stock.split(", "))


def _after_colon(sentence: str) -> str:
    """Begun small, unless its first word is an abbreviation."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]


def mixture_data(mixture: Mixture) -> Data:
    """Return a mixture as prints show it, its lines with dose, stock and what each serves."""
    return {
        "label": mixture.label,
        "volume_ml": mixture.volume_ml,
        "copies": [{"number": number, "volume_ml": part} for number, part in enumerate(mixture.parts, start=1)],
        "count": mixture.count,
        "parts": mixture.parts,
        "ph": list(mixture.ph),
        "ph_about": mixture.ph_about,
        "osmolality": mixture.osmolality,
        "hurried": mixture.hurried,
        "drawing": mixture.drawing,
        "lines": [
            {
                "number": line.number,
                "key": line.key,
                "band": ((int(line.number) - 1) % 5 + 1) if not line.is_diluent else "s",
                "name": line.name,
                "stock": _glued(line.stock),
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
                "weighed": {key: line.weighed[key] for key in ("text", "gross", "needed")} if line.weighed else None,
                "concern": line.main.concern if line.main else "",
                "proof": " ".join(filter(None, (line.main.note, line.main.notice))) if line.main else "",
                "served": [
                    {
                        "concern": served.concern,
                        "strength": served.strength,
                        "grade": served.grade,
                        "direction": served.direction,
                        "sources": ", ".join(source.short for source in served.sources),
                        "notice": served.notice,
                    }
                    for served in line.served
                ],
            }
            for line in mixture.lines
        ],
    }


def _sessions(reading: Reading, dates: list[Data]) -> list[Data]:
    """One row per session: its date once booked, else the days after the first within which it falls."""
    booked = {row["number"]: row for row in dates}
    course = reading.course
    rows = []
    for window in course["windows_days"]:
        row = booked.get(window["session"])
        reviews = [entry for entry in course["checkpoints"] if entry["after_session"] == window["session"]]
        rows.append(
            {
                "number": window["session"],
                "date": days.written(row["starts_at"], "full") if row else "",
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


def _result_day(reading: Reading, dates: list[Data]) -> str:
    """The day of the honest result: a date once the course is booked, else days after the first session."""
    ends = [row for row in reading.course["checkpoints"] if row["key"] == "end_of_course"]
    if not ends:
        return ""
    if not dates:
        return _("%(days)s days after the first") % {"days": ends[0]["offset_days"]}
    after = ends[0]["offset_days"] - reading.course["span_days"]
    return days.written(dates[-1]["starts_at"].date() + timedelta(days=after), "full")
