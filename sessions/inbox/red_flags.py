"""Red flags that patients answered and nobody has closed: they stop a treatment until somebody has."""

from __future__ import annotations

from collections.abc import Collection

from django.urls import reverse
from django.utils.translation import gettext as _

from mesoclinic.accounts.access import Permission
from protocols.standing.reasons import RED_FLAG, Reason
from sessions.inbox.inbox import words_of
from sessions.models.followups import Answer, AnswerState, Urgency


def standing_reasons(patients: Collection[int]) -> dict[int, list[Reason]]:
    """Return by patient what the open red flags say against a treatment; one query."""
    found: dict[int, list[Reason]] = {}
    flags = Answer.objects.filter(patient__in=patients, urgency__in=Urgency.RED_FLAGS, state__in=AnswerState.OPEN)
    for answer in flags.select_related("patient", "appointment__site").order_by("received_at", "pk"):
        found.setdefault(answer.patient_id, []).append(
            Reason(
                kind=RED_FLAG,
                severity="absolute",
                rule=RED_FLAG,
                message=_("A red flag in an answer is open: nobody has closed it yet."),
                short=_("red flag open"),
                answer=words_of(answer),
                where=_("answer by link"),
                lifts=_("Somebody speaks with the patient and closes the answer."),
                said_at=answer.received_at,
                key=f"{RED_FLAG};{answer.public_id}",
                url=reverse("inbox:detail", args=[answer.public_id]),
                readable_with=Permission.SESSION_READ,
            )
        )
    return found
