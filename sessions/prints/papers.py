"""Papers by mail: the letter holds a link alone, and its page asks the birth date before it gives the PDF.

What a paper says is about health, and a mail is read by whoever has the mailbox: so nothing of it is in the letter.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from mesoclinic.audit import trail
from mesoclinic.core.counting import count, counted
from mesoclinic.core.errors import InvalidTransition, NotAllowed
from mesoclinic.documents.models import Document, DocumentState
from mesoclinic.messaging.models import Message
from patients.models import Patient
from patients.queries import patients_seen_by
from sessions.mail import sending as mails
from sessions.mail.kinds import PAPER
from sessions.mail.waiting import may_be_mailed
from sessions.mail.writing import Letter, queue_letter
from sessions.models.followups import AnswerLink

# What is written for the patient. What staff work by, and the record, stays in the house.
FOR_PATIENTS = ("plan_patient", "waiting_patient", "consent", "aftercare", "quotation", "course_schedule")
OPEN_FOR = timedelta(days=14)
WRONG_DATES, WINDOW_SECONDS = 5, 900


def way_of(user: User, document: Document) -> dict[str, str] | None:
    """Return for a document's page where a press mails it, or why it cannot be; None where nobody would."""
    if document.kind not in FOR_PATIENTS or not user.may(Permission.MESSAGE_WRITE):
        return None
    patient = _patient(document, user)
    if patient is None or document.state != DocumentState.READY:
        return None
    why_not = _why_not(document, patient)
    return {"url": "" if why_not else reverse("inbox:paper_mail", args=[document.public_id]), "why_not": why_not}


def _patient(document: Document, user: User) -> Patient | None:
    if document.person_id is None:
        return None
    return patients_seen_by(user).filter(public_id=document.person_id).first()


def _why_not(document: Document, patient: Patient) -> str:
    if document.context.get("draft"):
        return _("A draft is not mailed: sign the plan first.")
    if document.outdated_at is not None:
        return _("Outdated: print it anew, then mail it.")
    if not may_be_mailed(patient):
        return _("No e-mail: hand it over.") if not patient.email else _("Has not agreed to e-mails: hand it over.")
    return ""


@transaction.atomic
def mail_paper(*, document: Document, by: User) -> Message:
    """Put a letter with a link to the paper in the outbox, held so that it can be undone. Raise InvalidTransition where
    the paper may not leave, NotAllowed where ``by`` may not send it."""
    patient = _patient(document, by)
    if not by.may(Permission.MESSAGE_WRITE) or patient is None or document.kind not in FOR_PATIENTS:
        raise NotAllowed(_("Your role does not mail this paper."))
    if why_not := _why_not(document, patient):
        raise InvalidTransition(why_not)
    now = timezone.now()
    letter = Letter(
        purpose=PAPER,
        subject_id=document.public_id,
        version=mails.next_version(PAPER, document.public_id),
        patient=patient,
        site=patient.site,
        practitioner=by,
        link_until=now + OPEN_FOR,
    )
    message = queue_letter(letter, due_at=now, useful_until=now + OPEN_FOR, hold=True, by=by)
    trail.record("document.mailed", by=by, target=document, patient=patient, details={"kind": document.kind})
    return message


# ------------------------------------------------------------------ behind the link


def paper_of(link: AnswerLink) -> Document | None:
    """Return what the link leads to, while it is true; None where it was outdated or is no longer given out."""
    document = Document.objects.filter(public_id=link.subject_id, kind__in=FOR_PATIENTS).first()
    if document is None or document.state != DocumentState.READY or document.outdated_at is not None:
        return None
    return document


def _tries(link: AnswerLink) -> str:
    return f"papers:wrong:{link.pk}"


def has_to_wait(link: AnswerLink) -> bool:
    return counted(_tries(link)) >= WRONG_DATES


@transaction.atomic
def open_paper(link: AnswerLink, *, born: str) -> Document | None:
    """Return the paper for who types the patient's birth date; count any other and return None."""
    document = paper_of(link)
    try:
        day = parse_date(born)
    except ValueError:
        day = None
    if document is None or day != link.patient.birth_date:
        count(_tries(link), seconds=WINDOW_SECONDS)
        return None
    trail.record("document.opened_by_link", by=None, target=document, patient=link.patient)
    return document
