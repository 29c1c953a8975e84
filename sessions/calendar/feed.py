"""A practitioner's own visits as a calendar that their phone subscribes to (RFC 5545).

The address is the permission: 256 random bits, of which only the hash is kept. What it gives is neutral: initials, the
number of the session, the room. No name, nothing of why somebody comes, nobody's address. Reading changes nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from icalendar import Event

from mesoclinic.accounts.access import Permission
from mesoclinic.accounts.models import Clinic, User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidTransition, NotAllowed
from sessions.mail.invitations import frame, timed
from sessions.models import Appointment, AppointmentStatus
from sessions.models.feeds import CalendarFeed
from sessions.queries import appointments_visible_to

SECRET_BYTES = 32
PAST = timedelta(days=60)
REFRESH = "PT30M"


def digest(secret: str) -> str:
    """Return a plain hash: the secret is random and long, so there is nothing to guess by trying words."""
    return hashlib.sha256(secret.encode()).hexdigest()


def url_of(secret: str) -> str:
    """Return the address that a calendar program subscribes to."""
    return settings.SITE_URL + reverse("sessions:feed", args=[secret])


# ------------------------------------------------------------------ make, revoke, find


def check_can_have_feed(user: User) -> None:
    """Raise ``NotAllowed`` unless the role sees appointments."""
    if not user.may(Permission.BOOKING_READ):
        raise NotAllowed(_("Your role does not see appointments."))


@transaction.atomic
def make_feed(*, by: User) -> tuple[CalendarFeed, str]:
    """Make a new address for one's own visits, and its secret, which nobody can read again. The one before ends."""
    check_can_have_feed(by)
    now = timezone.now()
    User.objects.select_for_update().get(pk=by.pk)  # two presses at once make one after the other
    ended = CalendarFeed.objects.filter(practitioner=by, revoked_at__isnull=True).update(revoked_at=now, revoked_by=by)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    feed = CalendarFeed.objects.create(practitioner=by, secret_sha256=digest(secret), made_at=now)
    trail.record("feed.made", by=by, target=feed, details={"ended_before": ended})
    return feed, secret


@transaction.atomic
def revoke_feed(feed: CalendarFeed, *, by: User) -> CalendarFeed:
    """End the address. One's own; the director ends anybody's."""
    if feed.practitioner_id != by.pk and not by.may(Permission.SETTINGS_WRITE):
        raise NotAllowed(_("Only the medical director ends somebody else’s address."))
    open_still = CalendarFeed.objects.filter(pk=feed.pk, revoked_at__isnull=True)
    if not open_still.update(revoked_at=timezone.now(), revoked_by=by):
        raise InvalidTransition(_("This address has ended already."))
    feed.refresh_from_db()
    trail.record("feed.revoked", by=by, target=feed)
    return feed


def feed_of(secret: str) -> CalendarFeed | None:
    """Return the feed of this secret, whether it is still open or not; None where we never made it."""
    return CalendarFeed.objects.select_related("practitioner").filter(secret_sha256=digest(secret)).first()


def is_open(feed: CalendarFeed) -> bool:
    """Return whether it gives anything: not once it has ended, or its owner left or may no longer see appointments."""
    return feed.revoked_at is None and feed.practitioner.may(Permission.BOOKING_READ)


# ------------------------------------------------------------------ what it gives


def visits_in(feed: CalendarFeed, *, now: datetime) -> list[Appointment]:
    """Return the owner's visits of the last two months and all that lie ahead, the cancelled ones too."""
    return list(
        appointments_visible_to(feed.practitioner)
        .filter(practitioner=feed.practitioner, starts_at__gte=now - PAST)
        .select_related("patient", "room", "site")
        .order_by("starts_at", "pk")
    )


def version_of(visits: Sequence[Appointment]) -> str:
    """Return what stays the same as long as the feed would say the same."""
    said = hashlib.sha256()
    for visit in visits:
        said.update(
            "|".join(
                (
                    str(visit.public_id),
                    str(visit.sequence),
                    visit.status,
                    visit.starts_at.astimezone(UTC).isoformat(),
                    visit.ends_at.astimezone(UTC).isoformat(),
                    visit.room.name,
                    visit.site.name,
                    visit.site.time_zone,
                    initials(visit),
                )
            ).encode()
        )
    return said.hexdigest()[:32]


def initials(visit: Appointment) -> str:
    """Return how the feed calls the patient."""
    return visit.patient.initials


def calendar_of(feed: CalendarFeed, visits: Sequence[Appointment], *, changed_at: datetime) -> str:
    """Return the feed as text. ``changed_at`` is when it last said something else: same visits, same text."""
    clinic = Clinic.objects.first()
    house = clinic.name if clinic else ""
    cal = frame(visits, of="feed", method="PUBLISH")
    cal.add("x-wr-calname", _("%(house)s: my visits") % {"house": house})
    cal.add("refresh-interval;value=duration", REFRESH)
    cal.add("x-published-ttl", REFRESH)
    for visit in visits:
        cal.add_component(_event(visit, house=house, changed_at=changed_at))
    return str(cal.to_ical(), "utf-8")


def _event(visit: Appointment, *, house: str, changed_at: datetime) -> Event:
    off = visit.status in AppointmentStatus.FREE_AGAIN
    event = timed(visit, at=changed_at)
    event.add("summary", _("%(initials)s, session %(n)s") % {"initials": initials(visit), "n": visit.number})
    event.add("location", f"{visit.room.name}, {visit.site.name}")
    event.add("url", settings.SITE_URL + reverse("sessions:appointment", args=[visit.public_id]))
    event.add("status", "CANCELLED" if visit.status == AppointmentStatus.CANCELLED else "CONFIRMED")
    event.add("transp", "TRANSPARENT" if off else "OPAQUE")
    event.add("class", "PRIVATE")
    return event
