"""What stays so when a held mail is not sent: the visit that is cancelled, moved or booked, the reply."""

from __future__ import annotations

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import User
from mesoclinic.messaging.causes import LeftUndone
from mesoclinic.messaging.models import Message
from sessions.booking.changes import open_change
from sessions.booking.undo import can_undo
from sessions.booking.views.undo import booking_undo_url
from sessions.mail.kinds import BOOKING, CANCELLATION, MISSED, REPLY
from sessions.models import Appointment, AppointmentStatus
from sessions.models.changes import ChangeKind, VisitChange
from sessions.models.followups import Answer
from sessions.queries import appointments_visible_to
from sessions.words import when_words


def left_undone(message: Message, *, user: User) -> LeftUndone | None:
    """Return what the outbox shows beside its “do not send”: asked by ``settings.MESSAGE_CAUSE``."""
    if message.purpose == REPLY:
        return _reply(message)
    keys = message.recipe.get("visits", ())
    rows = appointments_visible_to(user).filter(pk__in=keys).select_related("site", "course").order_by("starts_at")
    visits = list(rows)
    if not visits:
        return None
    if message.purpose == CANCELLATION:
        return _cancelled([visit for visit in visits if visit.status == AppointmentStatus.CANCELLED], user=user)
    if message.purpose == MISSED and visits[0].status == AppointmentStatus.NO_SHOW:
        return _missed(visits[0], user=user)
    if message.purpose == BOOKING:
        return _booked([visit for visit in visits if visit.status == AppointmentStatus.BOOKED], message, user=user)
    return None


def _cancelled(visits: list[Appointment], *, user: User) -> LeftUndone | None:
    if not visits:
        return None
    words = ngettext(
        "The visit of %(when)s stays cancelled, and the patient is not told.",
        "%(n)s visits stay cancelled, the first of %(when)s, and the patient is not told.",
        len(visits),
    ) % {"n": len(visits), "when": when_words(visits[0].starts_at, visits[0].site)}
    if (change := _change_of(visits[0], ChangeKind.CANCELLED, user=user)) is None:
        return LeftUndone(words=words)
    label = ngettext("Do not send, put the visit back too", "Do not send, put the visits back too", len(visits))
    return LeftUndone(words=words, label=label, url=reverse("sessions:change_undo", args=[change.public_id]))


def _booked(visits: list[Appointment], message: Message, *, user: User) -> LeftUndone | None:
    if not visits:
        return None
    names = {"n": len(visits), "when": when_words(visits[0].starts_at, visits[0].site)}
    change = _change_of(visits[0], ChangeKind.MOVED, user=user)
    if message.recipe.get("was") or change is not None:
        words = ngettext(
            "The visit stays at its new time, %(when)s, and the patient is not told.",
            "%(n)s visits stay at their new times, the first on %(when)s, and the patient is not told.",
            len(visits),
        )
        if change is None:
            return LeftUndone(words=words % names)
        url = reverse("sessions:change_undo", args=[change.public_id])
        return LeftUndone(words=words % names, label=_("Do not send, move back too"), url=url)
    words = ngettext(
        "The visit of %(when)s stays booked, and the patient is not told.",
        "%(n)s visits stay booked, the first of %(when)s, and the patient is not told.",
        len(visits),
    )
    if not user.may(Permission.BOOKING_WRITE):
        return LeftUndone(words=words % names)
    label = ngettext("Do not send, cancel the visit too", "Do not send, cancel the visits too", len(visits))
    url = booking_undo_url(visits[0].course, [visit.number for visit in visits])
    return LeftUndone(words=words % names, label=label, url=url)


def _missed(visit: Appointment, *, user: User) -> LeftUndone:
    words = _("The visit stays marked as missed, and the patient is not written to.")
    if not user.may(Permission.BOOKING_WRITE):
        return LeftUndone(words=words)
    return LeftUndone(
        words=words,
        label=_("Do not send, undo “did not come” too"),
        url=reverse("sessions:appointment_status", args=[visit.public_id]),
        fields=(("status", str(AppointmentStatus.BOOKED)),),
    )


def _reply(message: Message) -> LeftUndone | None:
    link = Answer.objects.filter(public_id=message.subject_id).first() or (
        Answer.objects.filter(appointment__treatment_session__public_id=message.subject_id, responded_at__isnull=False)
        .order_by("-responded_at")
        .first()
    )
    if link is None:
        return None
    return LeftUndone(
        words=_("The answer stays open and counts as answered, but nobody has written back."),
        label=_("Open the answer"),
        url=reverse("inbox:detail", args=[link.public_id]),
        post=False,
    )


def _change_of(visit: Appointment, kind: ChangeKind, *, user: User) -> VisitChange | None:
    """The change that the mail tells of, where it may still be undone by ``user``."""
    now = timezone.now()
    change = open_change(visit, now=now)
    return change if change is not None and change.kind == kind and can_undo(change, by=user, now=now) else None
