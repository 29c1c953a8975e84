"""Which mails may leave, and when: consent, quiet hours, and a stop that holds what speaks of coming."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

from django.conf import settings
from django.utils import timezone

from mesoclinic.accounts.models import Site
from mesoclinic.messaging.actions import UNWANTED, WITHDRAWN
from mesoclinic.messaging.models import Message
from patients.models import Patient, PatientStatus
from protocols.models import StandingOverride
from protocols.models.enums import StandingStep
from protocols.standing.standing import standings_now
from sessions.mail.kinds import BOOKING, CATEGORY, MAIL_KINDS, Category, Leaves
from sessions.models.followups import MailPreference


def may_be_mailed(patient: Patient) -> bool:
    return bool(patient.email and patient.contact_allowed and patient.status == PatientStatus.ACTIVE)


def is_wanted(patient: Patient, purpose: str) -> bool:
    """Whether the patient lets us send this kind."""
    category = CATEGORY[purpose]
    if category == Category.APPOINTMENT:
        return True
    choice = MailPreference.objects.filter(patient=patient).first()
    return choice is None or bool(getattr(choice, category))


def unwanted(messages: Iterable[Message]) -> dict[int, str]:
    """Asked just before sending: which messages must not leave any more, and why. Two queries, however many."""
    mine = [message for message in messages if message.purpose in CATEGORY]
    people = {
        patient.public_id: patient
        for patient in Patient.objects.filter(public_id__in={message.person_id for message in mine}).only(
            "public_id", "email", "contact_allowed", "status"
        )
    }
    choices = {
        choice.patient_id: choice
        for choice in MailPreference.objects.filter(patient__in=[patient.pk for patient in people.values()])
    }
    found = {}
    for message in mine:
        patient = people.get(message.person_id)
        if patient is None:
            continue
        category = CATEGORY[message.purpose]
        choice = choices.get(patient.pk)
        if not may_be_mailed(patient):
            found[message.pk] = WITHDRAWN
        elif category != Category.APPOINTMENT and choice is not None and not getattr(choice, category):
            found[message.pk] = UNWANTED
    return found


LATE = timedelta(hours=1)  # whatever comes later than this, after an outage or a refusal, waits for the morning


def in_hours(at: datetime, site: Site) -> datetime:
    """The same instant, or the next at which mail may leave: quiet hours are those of the site's wall clock."""
    local = at.astimezone(site.tz)
    opens, closes = settings.MAIL_HOURS
    if local.hour < opens:
        day = local.date()
    elif local.hour >= closes:
        day = local.date() + timedelta(days=1)
    else:
        return at
    return datetime.combine(day, time(opens), tzinfo=site.tz).astimezone(UTC)


def put_off(messages: Iterable[Message]) -> dict[int, datetime]:
    """Asked just before sending: which messages have to wait for the morning, and until when. One query at most."""
    now = timezone.now()
    mine = [message for message in messages if message.purpose in CATEGORY and not _may_leave_at_night(message, at=now)]
    if not mine:
        return {}
    people = Patient.objects.filter(public_id__in={message.person_id for message in mine}).select_related("site")
    sites = {patient.public_id: patient.site for patient in people}
    opens = {site.pk: in_hours(now, site) for site in sites.values()}
    found = {message.pk: opens[sites[message.person_id].pk] for message in mine if message.person_id in sites}
    return {pk: at for pk, at in found.items() if at > now}


ASKED_AGAIN = timedelta(minutes=10)  # so often it is asked whether the stop still stands


HELD_BACK = "Waits: the person may not be treated at the moment."


def held_back(messages: Iterable[Message]) -> dict[int, tuple[datetime, str]]:
    """Asked just before sending: which messages wait because a stop stands, until when to ask again, and why.

    A mail about a date that was moved, or that somebody who signs plans booked in spite of the stop, leaves.
    """
    mine = [message for message in messages if _speaks_of_coming(message) and not _tells_a_move(message)]
    if not mine:
        return {}
    people = Patient.objects.filter(public_id__in={message.person_id for message in mine}).select_related("site")
    standings = standings_now(list(people))
    stopped = {patient.public_id for patient in people if standings[patient.pk].is_stop}
    if not stopped:
        return {}
    decided = set(
        StandingOverride.objects.filter(
            subject_id__in={message.subject_id for message in mine}, step=StandingStep.BOOK
        ).values_list("subject_id", flat=True)
    )
    again = timezone.now() + ASKED_AGAIN
    return {
        message.pk: (again, HELD_BACK)
        for message in mine
        if message.person_id in stopped and message.subject_id not in decided
    }


def _speaks_of_coming(message: Message) -> bool:
    return message.purpose in MAIL_KINDS and MAIL_KINDS[message.purpose].speaks_of_coming


def _tells_a_move(message: Message) -> bool:
    return message.purpose == BOOKING and message.version > 1


def _may_leave_at_night(message: Message, *, at: datetime) -> bool:
    leaves = MAIL_KINDS[message.purpose].leaves
    if leaves is Leaves.AT_ONCE:
        return at - message.created_at <= settings.MESSAGE_HOLD + LATE
    if leaves is Leaves.WALL_TIME and message.useful_until is not None:  # until the visit begins
        return message.useful_until - at >= timedelta(days=1) - LATE
    return False
