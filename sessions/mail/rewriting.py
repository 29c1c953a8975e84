"""What a letter that waits would say if it were written now: the outbox asks by ``settings.MESSAGE_WRITER``.

Each message keeps its recipe: rows by primary key, and what is not in any row. However many are asked about, the rows
behind them are read in a fixed number of queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from mesoclinic.accounts.models import Site, User
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.messaging.renewal import IN_ONE_GO, Written, renew_messages
from patients.models import Patient
from patients.queries import remaining_record
from protocols.models import Plan
from sessions.mail.followups import advice_for
from sessions.mail.kinds import MAIL_KINDS, Advice
from sessions.mail.writing import Desk, Letter, sources_of, write_letter
from sessions.models import Appointment, TreatmentSession
from sessions.models.followups import AnswerLink


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What some letters are made from, read at once."""

    people: Mapping[UUID, Patient]  # by the public id that the message names; the record that remains of it
    sites: Mapping[int, Site]
    staff: Mapping[int, User]
    visits: Mapping[int, Appointment]


def written_anew(messages: Sequence[Message], *, only_stale: bool = False) -> dict[int, Written]:
    """Return what each of ``messages`` would say now, by primary key; ``only_stale``: of those that say otherwise.

    A message without a recipe, or one of whose rows is gone, is left out.
    """
    ours = [message for message in messages if message.recipe]
    if not ours:
        return {}
    rows = _read(ours, visits=not only_stale)
    desk = Desk()
    if only_stale:
        ours = [message for message in ours if _is_stale(message, rows, desk)]
        if not ours:
            return {}
        rows = _read(ours, visits=True)
    desk = Desk(_links_of(ours))
    plans = _plans_of(ours, rows)
    found: dict[int, Written] = {}
    for message in ours:
        letter = _letter(message, rows, plans)
        if letter is not None:
            found[message.pk] = write_letter(letter, desk=desk)
    return found


def _read(messages: Sequence[Message], *, visits: bool) -> _Rows:
    recipes = [message.recipe for message in messages]
    named = Patient.objects.filter(public_id__in={message.person_id for message in messages})
    wanted = {pk for recipe in recipes for pk in recipe["visits"]} if visits else set()
    booked = Appointment.objects.filter(pk__in=wanted).select_related(
        "patient", "site", "practitioner", "room", "course"
    )
    return _Rows(
        people={
            patient.public_id: remaining_record(patient)
            for patient in named.select_related("site", "merged_into__site")
        },
        sites=Site.objects.in_bulk({recipe["site"] for recipe in recipes}),
        staff=User.objects.in_bulk({recipe["practitioner"] for recipe in recipes}),
        visits={visit.pk: visit for visit in booked},
    )


def _site(message: Message, rows: _Rows) -> Site | None:
    """The site that the letter names: that of its visit, or the patient's own where it is about none."""
    if MAIL_KINDS[message.purpose].from_home and message.person_id in rows.people:
        return rows.people[message.person_id].site
    return rows.sites.get(message.recipe["site"])


def _is_stale(message: Message, rows: _Rows, desk: Desk) -> bool:
    recipe = message.recipe
    patient, site = rows.people.get(message.person_id), _site(message, rows)
    practitioner = rows.staff.get(recipe["practitioner"])
    if patient is None or site is None or practitioner is None:
        return False
    return bool(recipe["sources"] != sources_of(patient, site, practitioner, desk.clinic))


def _letter(message: Message, rows: _Rows, plans: Mapping[UUID, Plan]) -> Letter | None:
    recipe: dict[str, Any] = message.recipe
    patient, site = rows.people.get(message.person_id), _site(message, rows)
    practitioner = rows.staff.get(recipe["practitioner"])
    visits = [rows.visits[pk] for pk in recipe["visits"] if pk in rows.visits]
    if patient is None or site is None or practitioner is None or len(visits) < len(recipe["visits"]):
        return None
    advice = recipe["advice"]
    if advice and patient.language != message.language and message.subject_id in plans:
        plan = plans[message.subject_id]
        advice = advice_for(plan, before=MAIL_KINDS[message.purpose].advice is Advice.BEFORE, language=patient.language)
    return Letter(
        purpose=message.purpose,
        subject_id=message.subject_id,
        version=message.version,
        patient=patient,
        site=site,
        practitioner=practitioner,
        visits=visits,
        was={int(pk): datetime.fromisoformat(at) for pk, at in recipe["was"].items()},
        day=_instant(recipe["day"]),
        advice=advice,
        text=recipe["text"],
        link_until=_instant(recipe["link_until"]),
        method=recipe["method"],
    )


def _instant(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _links_of(messages: Iterable[Message]) -> Iterable[AnswerLink]:
    return AnswerLink.objects.filter(subject_id__in={message.subject_id for message in messages})


def _plans_of(messages: Sequence[Message], rows: _Rows) -> dict[UUID, Plan]:
    """The plans whose advice has to be said in another language, by the subject of the message."""
    turned = {
        message.subject_id
        for message in messages
        if MAIL_KINDS[message.purpose].advice is not None
        and message.recipe["advice"]
        and message.person_id in rows.people
        and rows.people[message.person_id].language != message.language
    }
    if not turned:
        return {}
    plans = Plan.objects.select_related("formulary").only("pk", "formulary__documents")
    by_visit = Appointment.objects.filter(public_id__in=turned).values_list("public_id", "course__plan_id")
    by_session = TreatmentSession.objects.filter(public_id__in=turned).values_list("public_id", "plan_id")
    of_subject = {**dict(by_visit), **dict(by_session)}
    known = {plan.pk: plan for plan in plans.filter(pk__in=set(of_subject.values()))}
    return {subject: known[pk] for subject, pk in of_subject.items()}


def renew_stale_letters(*, by: User | None) -> int:
    """Write anew every letter that waits and was made from something that has changed since. Return how many."""
    waiting = Message.objects.filter(state__in=MessageState.UNSENT, recipe__has_key="sources")
    stale: list[int] = []
    for batch in _batches(waiting.order_by("pk").defer("text", "html", "attachments")):
        rows, desk = _read(batch, visits=False), Desk()
        stale += [message.pk for message in batch if _is_stale(message, rows, desk)]
    return renew_messages(messages=Message.objects.filter(pk__in=stale), by=by) if stale else 0


def _batches(messages: QuerySet[Message]) -> Iterator[list[Message]]:
    rows = messages.iterator(chunk_size=IN_ONE_GO)
    while batch := list(islice(rows, IN_ONE_GO)):
        yield batch
