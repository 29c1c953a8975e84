"""What is renewed when a patient, a site, a member of staff or the clinic changes; called in that transaction.

``sessions/renewal/copies.py`` says what copies which field. Visits that no longer fit are not changed here: they are
listed on Today as long as they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Model, Q, QuerySet

from mesoclinic.accounts.models import Site, User
from mesoclinic.documents.actions import mark_outdated
from mesoclinic.documents.models import Document
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.renewal import renew_messages
from patients.models import Patient
from patients.queries import records_of, remaining_record
from protocols.models import Plan
from sessions import tasks
from sessions.models import Appointment
from sessions.renewal.belongings import hand_back, take_over
from sessions.renewal.copies import Copy, copies_of
from sessions.renewal.resuming import messages_of, settle_what_is_owed

AT_ONCE = 200  # letters that are written anew while a person waits; the worker does the rest


def source_changed(row: Model, *, before: Mapping[str, Any], by: User | None) -> None:
    """Renew every copy of the fields that changed. ``before`` holds them as they were."""
    copies = copies_of(type(row), before)
    for copy, renew in _RENEWALS.items():
        if copy in copies:
            renew(row, before, by)


def _belongings(row: Model, before: Mapping[str, Any], by: User | None) -> None:
    assert isinstance(row, Patient)  # noqa: S101 - only a record is merged
    if row.merged_into is not None:
        take_over(row, into=row.merged_into, by=by)
    elif before["merged_into"] is not None:
        hand_back(row, kept=before["merged_into"], by=by)
        settle_what_is_owed(before["merged_into"], by=by)
        renew_messages(messages=messages_of(before["merged_into"]), by=by)


def _owed(row: Model, before: Mapping[str, Any], by: User | None) -> None:
    assert isinstance(row, Patient)  # noqa: S101
    settle_what_is_owed(remaining_record(row), by=by)


def _mails(row: Model, before: Mapping[str, Any], by: User | None) -> None:
    waiting = _mails_from(row).filter(state__in=MessageState.UNSENT)
    if isinstance(row, Patient):
        renew_messages(messages=_mails_from(row), by=by)
        return
    soonest = list(waiting.order_by("due_at", "pk").values_list("pk", flat=True)[: AT_ONCE + 1])
    renew_messages(messages=Message.objects.filter(pk__in=soonest[:AT_ONCE]), by=by)
    if len(soonest) > AT_ONCE:
        tasks.renew_stale_letters.delay_on_commit()


def _mails_from(row: Model) -> QuerySet[Message]:
    """The mails that were written from this row."""
    if isinstance(row, Patient):
        return messages_of(remaining_record(row))
    if isinstance(row, Site):
        return Message.objects.filter(recipe__site=row.pk)
    if isinstance(row, User):
        return Message.objects.filter(recipe__practitioner=row.pk)
    return Message.objects.filter(recipe__has_key="sources")


def _prints(row: Model, before: Mapping[str, Any], by: User | None) -> None:
    mark_outdated(documents=_prints_of(row), because=sorted(before), by=by)


def _prints_of(row: Model) -> QuerySet[Document]:
    """The PDFs that show something of this row. A pack shows the people of its day and is made for that day."""
    documents = Document.objects.all()
    if isinstance(row, Patient):
        return documents.filter(person_id__in=records_of(row).values("public_id"))
    if isinstance(row, Site):
        of_visits = Appointment.objects.filter(site=row)
        return documents.filter(
            Q(person_id__in=Patient.objects.filter(site=row).values("public_id"))
            | Q(subject_id__in=of_visits.values("public_id"))
            | Q(subject_id__in=of_visits.values("course__plan__public_id"))
        )
    if isinstance(row, User):
        of_visits = Appointment.objects.filter(practitioner=row)
        plans = Plan.objects.filter(Q(signed_by=row) | Q(responsible=row))
        return documents.filter(
            Q(subject_id__in=plans.values("public_id"))
            | Q(subject_id__in=of_visits.values("public_id"))
            | Q(subject_id__in=of_visits.values("course__plan__public_id"))
        )
    return documents


Renew = Callable[[Model, Mapping[str, Any], User | None], None]
# In this order: first whose it is, then whether it is owed, then what it says.
_RENEWALS: Mapping[Copy, Renew] = {
    Copy.BELONGINGS: _belongings,
    Copy.OWED: _owed,
    Copy.MAILS: _mails,
    Copy.PRINTS: _prints,
}
