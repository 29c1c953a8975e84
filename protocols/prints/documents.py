"""The plan on paper: what goes into its PDFs, made from the stored plan and the booked dates, without HTTP."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import translation
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Clinic, User
from mesoclinic.audit.queries import events_matching
from mesoclinic.core.errors import InvalidInput, NotAllowed
from mesoclinic.documents.actions import request_document
from mesoclinic.documents.checking import print_token
from mesoclinic.documents.models import Document
from mesoclinic.ui import days
from mesoclinic.ui.templatetags.ui import NBSP, quantity
from patients.record.strip import allergy_chips
from patients.words import severity_after_concern
from protocols.engine import canonical_json
from protocols.formulary.queries import documents_of
from protocols.formulary.words import GRADE_NAMES, SEVERITY_NAMES
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from protocols.pages.plan import Reader, reason_in_words
from protocols.plans.computing import bare_edit, compute
from protocols.plans.queries import departs, is_plan_seen_by, live_open_answers, plans_seen_by
from protocols.plans.signature import signed_content
from protocols.plans.zones import zone_shares
from protocols.standing.standing import standing_now

KINDS = ("plan_patient", "plan_record", "plan_archive", "consent", "aftercare", "quotation", "course_schedule")
OF_A_WAIT = {"plan_patient": "waiting_patient", "plan_record": "waiting_record", "plan_archive": "waiting_archive"}
"""What a plan without injections prints in the place of these; it has no other prints."""
FOR_STAFF = (
    "plan_record",
    "plan_archive",
    "waiting_record",
    "waiting_archive",
)  # in the plan's language; the others in the patient's
WITHOUT_CONTENT = (
    "aftercare",
    "course_schedule",
)  # dates and general advice: for whoever may know that there is a plan
Data = dict[str, Any]


def session_dates(plan: Plan) -> list[Data]:
    """The booked sessions as the app above tells them: number, starts_at in the site's zone, practitioner, site."""
    return list(import_string(settings.PLAN_DATES_PROVIDER)(plan))


def plan_pdf_visible(user: User, document: Document) -> bool:
    """Whoever may read plans may read their PDFs, for patients of their own sites."""
    needed = Permission.PLAN_EXISTS if document.kind in WITHOUT_CONTENT else Permission.PLAN_READ
    plans = Plan.objects.filter(plans_seen_by(user), public_id=document.subject_id)
    return user.may(needed) and plans.exists()


def request_plan_pdf(*, plan: Plan, by: User, kind: str = "plan_patient") -> Document:
    """One of the plan's PDFs: those for the patient in the patient's language, those for the record in the plan's."""
    needed = Permission.PLAN_EXISTS if kind in WITHOUT_CONTENT else Permission.PLAN_READ
    if not by.may(needed) or not is_plan_seen_by(plan, by):
        raise NotAllowed(_("Your role does not allow reading plans."))
    if kind not in KINDS:
        raise InvalidInput(_("There is no such document of a plan."))
    return request_document(**plan_part(plan, kind=kind), by=by)


def prepare_prints(plan: Plan, *, by: User, kinds: Sequence[str] = ("plan_patient", "plan_record")) -> None:
    """What is asked for right after a signature, or after a booking, made ahead of need.

    Whoever books need not be allowed to read plans: nothing is shown by this, and each look at a print asks again.
    """
    for kind in kinds:
        request_document(**plan_part(plan, kind=kind), by=by, ahead=True)


def plan_part(plan: Plan, *, kind: str) -> Data:
    """Kind, title, language and content of one document, as a row or as one part of a pack holds them."""
    if plan.waits:
        if kind not in (*OF_A_WAIT, *OF_A_WAIT.values()):
            raise InvalidInput(_("This plan holds no injections, so there is no such print of it."))
        kind = OF_A_WAIT.get(kind, kind)
    elif plan.result["status"] != "proposed":
        raise InvalidInput(_("There is nothing to print: this draft holds no mixture."))
    if kind in ("plan_archive", "waiting_archive") and not plan.is_signed:
        raise InvalidInput(_("Only a signed plan goes to the archive."))
    language = plan.language if kind in FOR_STAFF else plan.patient.language
    with translation.override(language):
        return {
            "kind": kind,
            "subject_id": plan.public_id,
            "person_id": plan.patient.public_id,
            "title": _title(kind),
            "language": language,
            "context": plan_context(plan, kind=kind, language=language),
        }


def _title(kind: str) -> str:
    return {
        "plan_patient": _("Your treatment plan"),
        "plan_record": _("Treatment plan, record copy"),
        "plan_archive": _("Treatment plan, signed copy"),
        "consent": _("Consent to treatment"),
        "aftercare": _("Before and after your sessions"),
        "quotation": _("Quotation"),
        "course_schedule": _("Your sessions"),
        "waiting_patient": _("No injections for now"),
        "waiting_record": _("Plan without injections, record copy"),
        "waiting_archive": _("Plan without injections, signed copy"),
    }[kind]


# ------------------------------------------------------------------ whether a print is current


def print_mark(plan: Plan, dates: list[Data]) -> str:
    """Changes when what a print of the plan shows is not so any more: signature, draft's revision, booked dates."""
    shown = [plan.signature_sha256 or f"draft {plan.revision}", *(f"{r['number']} {r['starts_at']}" for r in dates)]
    return hashlib.sha256("\n".join(shown).encode()).hexdigest()[:12]


def check_url(plan: Plan, dates: list[Data]) -> str:
    """The public page that says whether a print is current. The plan's id is random and opens nothing by itself."""
    return f"{settings.SITE_URL}/v/{print_token(plan.public_id, print_mark(plan, dates))}/"


def print_state(subject_id: UUID, mark: str) -> str:
    """current, held, superseded, stopped, draft or unknown; the public page asks by settings.PRINT_STATE_PROVIDER."""
    plan = Plan.objects.filter(public_id=subject_id).select_related("patient__site").first()
    if plan is None:
        return "unknown"
    if plan.status in (PlanStatus.STOPPED, PlanStatus.DISCARDED):
        return "stopped"  # before its dates, which were cancelled with it: nothing newer took its place
    if plan.status in PlanStatus.IN_FORCE and standing_now(plan.patient, plan).is_stop:
        return "held"
    if mark != print_mark(plan, session_dates(plan)):
        return "superseded"
    if plan.is_draft:
        return "draft"
    return "superseded" if plan.status == PlanStatus.SUPERSEDED else "current"


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
        "signed_on": _day(plan.signed_at.astimezone(zone)) if plan.signed_at else "",
        "signed_time": plan.signed_at.astimezone(zone).strftime("%H:%M") if plan.signed_at else "",
        "concerns": _concerns(plan, reader),
    }
    texts = documents_of(plan.formulary)["course"]
    if kind in ("plan_archive", "waiting_archive"):
        context["attachments"] = [_signed_data(plan)]
    if plan.waits:
        context |= _of_a_wait(plan, reader)
        return context | (_for_record(plan, reader) if kind in FOR_STAFF else _for_patient(reader, texts))
    context |= {
        "zones": zone_shares(
            reader.zones(),
            points=result["course"]["points"],
            volumes_ml=[syringe["volume_ml"] for syringe in result["syringes"]],
        ),
        "area_cm2": result["area_cm2"],
        "total_volume_ml": result["total_volume_ml"],
        "mixtures": [mixture_data(mixture) for mixture in reader.mixtures()],
        "course": result["course"],
        "sessions": _sessions(plan, dates),
        "axis_dates": [
            {"number": row["number"], "date": row["starts_at"].date().isoformat(), "state": "booked"} for row in dates
        ],
        "cost": result["cost"],
        "result_day": _result_day(plan, dates),
        "weeks": round(result["course"]["span_days"] / 7),
    }
    if kind in FOR_STAFF:
        return context | _for_record(plan, reader)
    context |= _for_patient(reader, texts)
    for mixture in context["mixtures"]:
        for line in mixture["lines"]:
            line["proof"] = _plainly(line["proof"])
    if kind == "consent":
        context["actives"] = [
            f"{line['name']} {quantity(line['dose'], line['dose_unit'])}"
            for mixture in context["mixtures"]
            for line in mixture["lines"]
            if not line["is_diluent"]
        ]
    if kind == "quotation":
        context["cost_lines"] = _cost_lines(reader)
    if kind not in WITHOUT_CONTENT:
        return context
    hidden = ("concerns", "zones", "mixtures", "cost", "total_volume_ml", "area_cm2", "notes")
    return {key: value for key, value in context.items() if key not in hidden}


def _of_a_wait(plan: Plan, reader: Reader) -> Data:
    """When to look again, what speaks for waiting, and what the patient is told meanwhile."""
    return {
        "review_on": days.written(plan.review_on, "full") if plan.review_on else "",
        "review_weeks": plan.result["waiting"]["days"] // 7,
        "because": reader.waits_because(),
        "advice": reader.waiting_advice(),
    }


def _plainly(note: str) -> str:
    """The formulary's notes are written for the record; the patient gets no capitals."""
    if (translation.get_language() or "en").startswith("en"):
        for record, plain in _IN_CAPITALS:
            note = note.replace(record, plain)
    else:  # a translation has capitals of its own
        note = _LOUD.sub(lambda found: found[0].lower(), note)
    return note[:1].upper() + note[1:]


_IN_CAPITALS = (("TOPICAL", "topical"), ("ORAL,", "By mouth,"), ("ORAL.", "By mouth."), ("ORAL ", "oral "))
_LOUD = re.compile(r"(?:VOIE|VÍA) ORALE?\b|\b[A-ZÀ-Ý]{6,}\b")  # PDRN, GHK and their like stay


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


def _local(plan: Plan, at: datetime) -> datetime:
    return at.astimezone(plan.patient.site.tz)


def _day(value: Any) -> str:
    return days.written(value, "date")


def _concerns(plan: Plan, reader: Reader) -> list[Data]:
    known = reader.vocabulary.concerns
    rows = []
    for row in reader.concerns():
        described = known[row["key"]].patient_description if row["key"] in known else ""
        said = severity_after_concern(row["severity"]) + (f" ({row['note']})" if row["note"] else "")
        if described:
            told = _after_colon(_(described).split(". ")[0].rstrip(".") + ".")
            said = _("%(what)s: %(how)s") % {"what": said, "how": told}
        rows.append(
            {
                "label": row["label"],
                "severity": row["word"],
                "note": row["note"],
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


def mixture_data(mixture: Any) -> Data:
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


def _result_day(plan: Plan, dates: list[Data]) -> str:
    """The day of the honest result: a date once the course is booked, else days after the first session."""
    ends = [row for row in plan.result["course"]["checkpoints"] if row["key"] == "end_of_course"]
    if not ends:
        return ""
    if not dates:
        return _("%(days)s days after the first") % {"days": ends[0]["offset_days"]}
    after = ends[0]["offset_days"] - plan.result["course"]["span_days"]
    return days.written(dates[-1]["starts_at"].date() + timedelta(days=after), "full")


def _for_patient(reader: Reader, texts: Data) -> Data:
    return {
        "expect": reader.expectations(),
        "notes": [row["message"] for row in reader.result["infos"]],
        "aftercare": [
            {"when": _(row["when"]), "text": _(row["text"])} for row in texts["aftercare"] if row["when"] != "any time"
        ],
        "usual": [
            {"label": _(row["label"]), "how_long": _how_long(row["usual_duration"]), "advice": _(row["advice"])}
            for row in texts["expected_side_effects"]
        ],
        "alarms": [
            {
                "when": when,
                "number": number,
                "called": f"{when} {number}".strip(),
                "signs": [
                    _(row["label"]).replace("degC", "°C") for row in texts["red_flags"] if row["contact"] == contact
                ],
            }
            for contact, when, number in (
                ("emergency_number", _("Call the emergency number"), settings.EMERGENCY_NUMBER),
                ("immediately", _("Call us at once"), ""),
                ("same_day", _("Call us the same day"), ""),
            )
        ],
    }


def _how_long(duration: Data) -> str:
    last = duration["max"]
    counted = {
        "minutes": ngettext("%(n)s minute", "%(n)s minutes", last),
        "hours": ngettext("%(n)s hour", "%(n)s hours", last),
        "days": ngettext("%(n)s day", "%(n)s days", last),
    }
    if "min" in duration:
        span = _("%(low)s to %(high)s") % {"low": duration["min"], "high": last}
        return counted[duration["unit"]] % {"n": span}
    return _("up to %(time)s") % {"time": counted[duration["unit"]] % {"n": last}}


def _for_record(plan: Plan, reader: Reader) -> Data:
    result = reader.result  # in the language of the print, like every other sentence on it
    acknowledged = {row.acknowledged for row in reader.findings("cautions") if row.acknowledged}
    answered_by = {f"{given.by.name}, {_day(_local(plan, given.at))}" for given in acknowledged}
    alone = answered_by.pop() if len(answered_by) == 1 else ""  # said once for all, rather than in every row
    screening = [
        {
            "tier": tier,
            "word": str(SEVERITY_NAMES[tier]),
            "rule": row.rule,
            "message": row.message,
            "because": row.because,
            "answered": _acknowledged(row, plan, name=not alone) if tier == "caution" else "",
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
                "word": str(SEVERITY_NAMES["exclude"]),
                "rule": row["rule"],
                "message": row["message"],
                "because": "; ".join(row["because_text"]),
                "answered": _("applied"),
            },
        )
        entry.setdefault("names", []).append(reader.contents.name(row["ingredient"]))
    for row in reader.referrals():
        screening.append(
            {
                "tier": "referral",
                "word": pgettext("tier", "Referral"),
                "rule": row["rule"],
                "message": f"{row['to_label']}, {row['urgency_label']}",
                "because": "",
                "answered": "",
            }
        )
    return {
        "intake_on": _day(plan.intake.submitted_at.astimezone(plan.patient.site.tz))
        if plan.intake.submitted_at
        else "",
        "facts": [
            {"label": section["label"], "rows": [{"question": q, "answer": a} for q, a in section["rows"]]}
            for section in reader.answers()
        ],
        "grades": [{"letter": letter, "words": str(words)} for letter, words in GRADE_NAMES.items()],
        "screening": screening + list(excluded.values()),
        "answered_by": alone,
        "open": _open_rows(plan, reader),
        "left_out": _left_out(reader),
        "left_out_count": len(result["left_out"]),
        "edits": _edits(plan, reader),
        "alternatives": [
            {"title": row["title"], "value": row["value"], "trades": "; ".join(row["trades"])}
            for row in reader.alternatives()
        ],
        "value": result["value"],
        "cost_lines": _cost_lines(reader),
        "engine_version": plan.engine_version,
        "signature": plan.signature_sha256,
        "gap": result["course"]["ideal_gap_days"] if result["course"] else "",
        "replaces": plan.supersedes.display_number if plan.supersedes else "",
    }


def _open_rows(plan: Plan, reader: Reader) -> list[Data]:
    """The questions left open, those with one answer, reason and name together in a row."""
    answers = live_open_answers(plan)
    rows: dict[tuple[str, str, str], list[str]] = {}
    for row in reader.result["open_questions"]:
        if not row["waived"]:
            continue
        how = _("not measured") if row["waived"]["as"] == "not_measured" else _("not applicable")
        name = answers[row["fact"]].by.name if row["fact"] in answers else ""
        rows.setdefault((how, row["waived"]["reason"], name), []).append(row["label"])
    return [
        {"label": "; ".join(labels), "how": how, "reason": reason, "by": name}
        for (how, reason, name), labels in rows.items()
    ]


def _left_out(reader: Reader) -> list[Data]:
    """Each ingredient once; those with the same reason, word for word, together."""
    rows: dict[str, list[str]] = {}
    for row in reader.left_out():
        rows.setdefault(row.reason, []).append(row.name)
    return [{"name": ", ".join(names), "reason": reason} for reason, names in rows.items()]


def _edits(plan: Plan, reader: Reader) -> list[Data]:
    """What was changed by hand: what the engine proposed, what it is now, why, and by whom."""
    before, after = _amounts(plan.proposal), _amounts(plan.result)
    none, rows = _("not in the mixture"), []
    for edit in plan.edits:
        keys = [str(edit[name]) for name in ("ingredient", "with") if edit.get(name)]
        if edit["op"] == "wait":
            was, now = _("a mixture and a course"), _("no injections")
        elif plan.waits:
            was = now = "–"  # of the mixture that is not injected
        elif edit["op"] in ("set_sessions", "set_schedule"):
            was, now = (
                ngettext("%(n)s session", "%(n)s sessions", n) % {"n": n}
                for n in (plan.proposal["course"]["sessions"], plan.result["course"]["sessions"])
            )
        else:
            named = len(keys) > 1
            was, now = (
                "; ".join((f"{reader.contents.name(key)}: " if named else "") + amounts.get(key, none) for key in keys)
                for amounts in (before, after)
            )
        rows.append(
            {
                "what": reader.edit_in_words(bare_edit(edit)),
                "was": was,
                "now": now,
                "why": reason_in_words(edit) or (_("no reason recorded") if departs(plan, edit) else "–"),
                "by": _editor(plan, edit),
            }
        )
    return rows


def _amounts(answer: Data) -> dict[str, str]:
    """Volume and dose of each ingredient of an answer of the engine, in words."""
    rows: dict[str, list[str]] = {}
    for syringe in answer["syringes"]:
        for line in syringe["lines"]:
            dose = "" if line["role"] == "diluent" else f" ({quantity(line['dose'], line['dose_unit'])})"
            rows.setdefault(line["ingredient"], []).append(f"{line['volume_ml']} mL{dose}")
    return {key: " + ".join(parts) for key, parts in rows.items()}


def _editor(plan: Plan, edit: Data) -> str:
    """Who made an edit, as the trail tells; one taken over by an amendment was made in the version before."""
    named, version = " ".join(str(edit[key]) for key in ("op", "ingredient") if key in edit), plan
    while version is not None:
        for event in events_matching(action="plan.edited", target=version.public_id):
            if named in event.details.get("edits", ()):
                return event.actor_label
        version = version.supersedes  # type: ignore[assignment]
    return (plan.signed_by or plan.responsible).name


def _cost_lines(reader: Reader) -> list[Data]:
    return [{"words": words, "figure": figure, "factor": factor} for words, figure, factor in reader.cost_lines()]


def _acknowledged(row: Any, plan: Plan, *, name: bool) -> str:
    if row.acknowledged is None:
        return _("not acknowledged yet")
    given = row.acknowledged
    note = f" {_('“%(note)s”') % {'note': given.note}}" if given.note else ""
    return f"{row.reason}.{note}" + (f" {given.by.name}, {_day(_local(plan, given.at))}" if name else "")
