"""What waits for somebody on Today: “Needs you”."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Site, User
from mesoclinic.messaging.queries import failed_messages_visible_to, messages_visible_to
from patients.models import Statement
from patients.queries import in_care, remaining_record
from patients.statements.statements import open_at, person_of
from protocols.models import Plan
from protocols.models.enums import PlanStatus
from protocols.standing.standing import standings
from sessions.booking.holes import Hole, courses_with_holes
from sessions.course.standing_band import chip_of
from sessions.course.terms import cut_courses
from sessions.inbox import inbox
from sessions.mail import sending as mails
from sessions.models import Appointment, AppointmentStatus
from sessions.queries import appointments_visible_to, bookable_plans_visible_to, day_bounds
from sessions.renewal.leaving import Away, people_away
from sessions.sites.queries import misfit_count
from sessions.words import short_day

WAITING_AT_MOST = 6  # of each kind in "Needs you"; the rest is counted
DECIDE_AHEAD = timedelta(days=35)  # so far ahead a visit that is held asks to be decided


@dataclass(frozen=True, kw_only=True)
class Need:
    kind: str  # "" | "red"
    icon: str
    title: str
    text: str
    url: str
    label: str
    post: bool = False  # the button changes something at once


Found = tuple[list[Need], int]  # the first of them, and how many there are


def needs_of(*, user: User, site: Site) -> Found:
    """Return what somebody has to do, the most pressing first, and how many there are in all."""
    needs: list[Need] = []
    total = 0
    for permission, asked in _ASKED:
        if user.may(permission):
            found, count = asked(user, site)
            needs += found
            total += count
    return needs, total


def _to_cancel(user: User, site: Site) -> Found:
    away, total = people_away(user=user, site=site, at_most=WAITING_AT_MOST)
    return [_need_of_away(entry, site=site) for entry in away], total


def _answered(user: User, site: Site) -> Found:
    answers, count = inbox.needs_of(user=user, site=site, now=timezone.now(), at_most=WAITING_AT_MOST)
    wrong = mails.wrong_addresses(messages_visible_to(user), at_most=WAITING_AT_MOST)
    return [_need_of(row) for row in (*answers, *wrong)], count + len(wrong)


def _decided(user: User, site: Site) -> Found:
    decide = _to_decide(user=user, site=site)
    return decide[:WAITING_AT_MOST], len(decide)


def _failed(user: User, site: Site) -> Found:
    failed = failed_messages_visible_to(user).defer("text", "html", "attachments")
    return [
        Need(
            kind="red",
            icon="mail",
            title=_("A message did not arrive"),
            text=f"{message.person_label}: {message.subject}",
            url=reverse("messaging:detail", args=[message.public_id]),
            label=_("Open"),
        )
        for message in failed.order_by("-due_at")[:WAITING_AT_MOST]
    ], failed.count()


def _misfits(user: User, site: Site) -> Found:
    count = misfit_count(site=site, user=user, now=timezone.now())
    if not count:
        return [], 0
    text = ngettext(
        "%(n)s booked visit meets a closure, an absence, other hours or somebody who has left",
        "%(n)s booked visits meet a closure, an absence, other hours or somebody who has left",
        count,
    )
    return [
        Need(
            kind="",
            icon="cal",
            title=_("Visits that no longer fit"),
            text=text % {"n": count},
            url=reverse("resources:misfits"),
            label=_("Open"),
        )
    ], 1


def _missing(user: User, site: Site) -> Found:
    holes = courses_with_holes(user=user, site=site)
    return [_need_of_hole(hole) for hole in holes[:WAITING_AT_MOST]], len(holes)


def _unbooked(user: User, site: Site) -> Found:
    unbooked = unbooked_plans(user).filter(patient__site=site)
    first = list(_light(unbooked)[:WAITING_AT_MOST])
    cut = cut_courses(plan.pk for plan in first if plan.supersedes_id)
    needs = []
    for plan in first:
        words = {"name": plan.patient.name, "day": short_day(plan.signed_at.astimezone(site.tz))}
        sessions = cut.get(plan.pk, plan.sessions_planned)
        length = ", " + ngettext("%(n)s session", "%(n)s sessions", sessions) % {"n": sessions} if sessions else ""
        needs.append(
            Need(
                kind="",
                icon="cal",
                title=_("Course not booked"),
                text=_("%(name)s, plan signed %(day)s") % words + length,
                url=reverse("sessions:course_book", args=[plan.public_id]),
                label=_("Book"),
            )
        )
    return needs, unbooked.count()


def _to_sign(user: User, site: Site) -> Found:
    found, count = _unsettled(site)
    drafts = Plan.objects.filter(
        in_care("patient__"), patient__site=site, patient__site_id__in=user.site_ids, status=PlanStatus.DRAFT
    )
    for plan in _light(drafts)[:WAITING_AT_MOST]:
        words = {"name": plan.patient.name, "day": short_day(plan.created_at.astimezone(site.tz))}
        found.append(
            Need(
                kind="",
                icon="lock",
                title=_("Plan to sign"),
                text=_("%(name)s, drafted %(day)s") % words,
                url=reverse("protocols:plan", args=[plan.public_id]),
                label=_("Open"),
            )
        )
    return found, count + drafts.count()


_ASKED: tuple[tuple[Permission, Callable[[User, Site], Found]], ...] = (
    (Permission.BOOKING_WRITE, _to_cancel),
    (Permission.MESSAGE_READ, _answered),
    (Permission.BOOKING_READ, _decided),
    (Permission.MESSAGE_READ, _failed),
    (Permission.BOOKING_WRITE, _misfits),
    (Permission.BOOKING_WRITE, _missing),
    (Permission.BOOKING_WRITE, _unbooked),
    (Permission.PLAN_SIGN, _to_sign),
)


def _need_of(row: Mapping[str, str]) -> Need:
    return Need(**{name: row[name] for name in ("kind", "icon", "title", "text", "url", "label")})  # type: ignore[arg-type]


def _need_of_away(entry: Away, *, site: Site) -> Need:
    words = ngettext(
        "%(name)s: %(n)s visit is still booked, on %(day)s",
        "%(name)s: %(n)s visits are still booked, the first on %(day)s",
        entry.visits,
    )
    return Need(
        kind="red",
        icon="cal",
        title=entry.patient.get_status_display(),
        text=words % {"name": entry.patient.name, "n": entry.visits, "day": short_day(entry.first.astimezone(site.tz))},
        url=reverse("sessions:visits_cancel", args=[entry.patient.public_id]),
        label=ngettext("Cancel the visit", "Cancel all", entry.visits),
        post=True,
    )


def _need_of_hole(hole: Hole) -> Need:
    """Sessions that were cancelled, missed or jumped over, until they are booked or left out with a reason."""
    words = ngettext(
        "%(name)s, session %(numbers)s is not booked",
        "%(name)s, sessions %(numbers)s are not booked",
        len(hole.numbers),
    )
    url = reverse("sessions:course_missing", args=[hole.course.public_id])
    return Need(
        kind="",
        icon="cal",
        title=_("Hole in a course"),
        text=words % {"name": remaining_record(hole.course.plan.patient).name, "numbers": listed(hole.numbers)},
        url=f"{url}?n={hole.number}",
        label=_("Fill it"),
    )


def listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _unsettled(site: Site) -> tuple[list[Need], int]:
    """Whose words wait for a signer, a line for each person, the longest waiting first; and how many people."""
    by_person: dict[int, list[Statement]] = {}
    for statement in open_at(site):
        by_person.setdefault(person_of(statement.patient).pk, []).append(statement)
    needs = [
        Need(
            kind="red",
            icon="note",
            title=_("Said in words, to be settled"),
            text=_("%(name)s: %(words)s")
            % {
                "name": person_of(said[0].patient).name,
                "words": "; ".join(f"“{shortened(row.words)}”" for row in said[:2]) + (" …" if len(said) > 2 else ""),
            },
            url=reverse("protocols:statement", args=[said[0].public_id]),
            label=_("Settle"),
        )
        for said in list(by_person.values())[:WAITING_AT_MOST]
    ]
    return needs, len(by_person)


def shortened(words: str, *, most: int = 60) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _to_decide(*, user: User, site: Site) -> list[Need]:
    """The next visit, after today, of each patient whose standing is a stop on its day: somebody has to decide."""
    _start, tomorrow = day_bounds(timezone.localdate(timezone=site.tz), site)
    coming = (
        appointments_visible_to(user)
        .filter(
            site=site,
            status__in=AppointmentStatus.COMING,
            starts_at__gte=tomorrow,
            starts_at__lt=tomorrow + DECIDE_AHEAD,
        )
        .select_related("patient", "course")
        .order_by("starts_at", "pk")
    )
    first: dict[int, Appointment] = {}
    for visit in coming:
        first.setdefault(visit.patient_id, visit)
    visits = list(first.values())
    asked = [
        (visit.patient, Plan(pk=visit.course.plan_id), visit.starts_at.astimezone(site.tz).date()) for visit in visits
    ]
    return [
        Need(
            kind="red",
            icon="stop",
            title=_("Visit to decide"),
            text=_("%(name)s, %(day)s: %(why)s")
            % {
                "name": visit.patient.name,
                "day": short_day(visit.starts_at.astimezone(site.tz)),
                "why": chip_of(found.seen_by(user)),
            },
            url=reverse("sessions:appointment", args=[visit.public_id]),
            label=_("Decide"),
        )
        for visit, found in zip(visits, standings(asked), strict=True)
        if found.is_stop
    ]


def unbooked_plans(user: User) -> Any:
    """Plans in force that nothing is booked for."""
    booked = Appointment.objects.filter(course__plan=OuterRef("pk")).exclude(status__in=AppointmentStatus.FREE_AGAIN)
    return bookable_plans_visible_to(user).filter(in_care("patient__"), ~Exists(booked))


def _light(plans: Any) -> Any:
    """Without the large JSON; only how many sessions."""
    return (
        plans.select_related("patient")
        .defer("case", "policy", "proposal", "edits", "result")
        .annotate(sessions_planned=F("result__course__sessions"))
        .order_by("-created_at")
    )
