"""The calendar’s pages, and the address at which a phone reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from allauth.account.adapter import get_adapter
from django.contrib import messages
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone, translation
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.http import http_date
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mesoclinic.accounts.access import Permission, public, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import Site
from mesoclinic.audit import trail
from mesoclinic.core.counting import count, counted
from mesoclinic.core.errors import InvalidTransition
from sessions.calendar import feed as feeds
from sessions.calendar import reading as calendars
from sessions.calendar.address import KINDS, LIVE, VIEWS, Choice, choice_from
from sessions.calendar.agenda import agenda_of
from sessions.calendar.day import day_grid
from sessions.calendar.month import month_of
from sessions.calendar.week import clock_note, week_of
from sessions.models import AppointmentStatus
from sessions.models.feeds import CalendarFeed
from sessions.sites.queries import practitioners_of
from sessions.times.fitting import FreeTime, who_fits
from sessions.times.free_time import is_free
from sessions.times.offers import offers_of

POLL_SECONDS = {"day": 20, "week": 30, "agenda": 30, "month": 60}
SEEN_SECONDS = 12 * 3600
WRONG_PER_ADDRESS = 20  # wrong feed addresses from one place in a window; then it is asked to wait
WINDOW_SECONDS = 900


@requires(Permission.BOOKING_READ)
@require_safe
def calendar(request: ClinicRequest) -> HttpResponse:
    """The page, and for htmx its changing part; 304 while that part would be the same."""
    site = _site(request)
    if site is None:
        return render(request, "sessions/no_site.html")
    user, now = request.user, timezone.now()
    with timezone.override(site.tz):
        choice = choice_from(
            request.GET,
            site=site,
            home=site == request.site,
            view="agenda" if _is_phone(request) else "day",
            today=now.astimezone(site.tz).date(),
        )
        etag = f'"{calendars.stamp(choice, user=user, now=now)}"'
        if request.htmx and request.headers.get("If-None-Match") == etag:
            response: HttpResponse = HttpResponseNotModified()
        else:
            context, patients = _page(request, choice, now)
            context["poll_headers"] = json.dumps({"If-None-Match": etag})
            _record(request, choice, patients)
            template = "sessions/calendar.html" + ("#calendar-body" if request.htmx else "")
            response = render(request, template, context)
        if request.htmx:
            response["ETag"] = etag
            response["Cache-Control"] = "no-store, private"  # names stay out of the browser's cache on disk
        patch_vary_headers(response, ["HX-Request", "Sec-CH-UA-Mobile", "User-Agent"])
        return response


def _site(request: ClinicRequest) -> Site | None:
    """The site of the address, one of the person's own; without one, where they work now."""
    wanted = request.GET.get("site", "")
    if not wanted:
        return request.site
    site = next((site for site in request.user.sites.all() if str(site.public_id) == wanted), None)
    if site is None:
        raise Http404
    return site


def _is_phone(request: HttpRequest) -> bool:
    return request.headers.get("Sec-CH-UA-Mobile") == "?1" or "Mobi" in request.headers.get("User-Agent", "")


def _page(request: ClinicRequest, choice: Choice, now: datetime) -> tuple[dict[str, Any], list[UUID]]:
    """What the template shows, and whose names are on it."""
    user = request.user
    context: dict[str, Any] = {
        "choice": choice,
        "title": _title(choice),
        "clock_note": clock_note(choice.day, choice.site) if choice.view == "day" else "",
        "closed": "",
        "views": [
            {"name": name, "label": label, "url": choice.url(view=name), "current": name == choice.view}
            for name, label in VIEWS.items()
        ],
        "statuses": [*AppointmentStatus.choices],
        "kinds": [*KINDS.items()],
        "before_url": choice.url(day=choice.before),
        "after_url": choice.url(day=choice.after),
        "today_url": choice.url(day=choice.today),
        "is_now": (choice.today in choice.days and choice.view != "agenda") or choice.day == choice.today,
        "by_urls": {by: choice.url(by=by) for by in ("practitioner", "room")},
        "hours_url": choice.url(whole=not choice.whole),
        "plain_url": choice.url(practitioner="", room="", status=LIVE, kind=""),
        "poll_url": choice.url(),
        "poll_trigger": f"every {POLL_SECONDS[choice.view]}s",
        "grid": None,
        "week": None,
        "month": None,
        "agenda": None,
        "keys_json": "{}",
        "words": _words(),
        "read_at": now,
    }
    if choice.view == "month":
        month = month_of(choice, user=user, now=now)
        return {**context, "month": month, "people": month.people, "rooms": month.rooms}, month.patients
    found = calendars.read_calendar(choice, user=user, now=now)
    context |= {"people": found.people, "rooms": found.rooms, "closed": found.closed.get(choice.day, "")}
    if choice.view == "agenda":
        agenda = agenda_of(found)
        context |= {"agenda": agenda, "after_url": choice.url(day=agenda.following)}
        return context, _unique(placed.visit.patient for day in agenda.days for placed in day.visits)
    if choice.view == "week" and len(found.lines()) != 1:
        week = week_of(found)
        shown = (entry.visit.patient for row in week.rows for cell in row.cells for entry in cell.entries)
        return {**context, "week": week, "keys_json": json.dumps(week.keys)}, _unique(shown)
    grid = day_grid(found)
    shown = (placed.visit.patient for column in grid.columns for placed in column.visits)
    return {**context, "grid": grid, "keys_json": json.dumps(grid.keys)}, _unique(
        [*shown, *(placed.visit.patient for placed in grid.rows)]
    )


def _words() -> dict[str, str]:
    """What the script says while a visit is in the hand."""
    return {
        "picked": _("%(name)s picked up. Arrows choose a time, Enter shows what the move does, Escape leaves it."),
        "at": _("%(name)s to %(where)s"),
        "left": _("Left where it was."),
        "fixed": _("This visit cannot be moved: it is not booked any more, or your role does not move visits."),
        "repeated": _("The clocks show this hour twice. Choose the time with the form under Move."),
        "opening": _("Opening what the move does."),
    }


def _unique(patients: Iterable[UUID]) -> list[UUID]:
    return list(dict.fromkeys(patients))


def _title(choice: Choice) -> str:
    if choice.view == "month":
        return date_format(choice.day, "F Y")
    if choice.view == "week":
        first, last = choice.days[0], choice.days[-1]
        form = "j" if first.month == last.month else "j F" if first.year == last.year else "j F Y"
        return _("Week %(n)s: %(first)s to %(last)s") % {
            "n": first.isocalendar().week,
            "first": date_format(first, form),
            "last": date_format(last, "j F Y"),
        }
    return date_format(choice.day, "l j F Y")


def _record(request: ClinicRequest, choice: Choice, patients: list[UUID]) -> None:
    """Who was seen by whom. An update of a page that is open already tells of the names that are new on it."""
    key = "calendar:seen:" + hashlib.sha256(f"{request.session.session_key} {choice.url()}".encode()).hexdigest()
    shown = [str(patient) for patient in patients]
    if request.htmx:
        known = set(cache.get(key) or ())
        fresh = [patient for patient in shown if patient not in known]
        if not fresh:
            return
    else:
        known, fresh = set(), shown
    cache.set(key, [*known, *fresh], SEEN_SECONDS)
    trail.record(
        "calendar.viewed",
        by=request.user,
        details={
            "view": choice.view,
            "from": choice.days[0].isoformat(),
            "until": choice.days[-1].isoformat(),
            "site": str(choice.site.public_id),
            "patients": fresh,
        },
    )


# ------------------------------------------------------------------ a free time


@requires(Permission.BOOKING_WRITE)
@require_safe
def calendar_free(request: ClinicRequest) -> HttpResponse:
    """Who could be booked into a free time; each leads to the booking of that plan's course, the time as a wish."""
    site = _site(request)
    start, end = _instant(request.GET.get("at", "")), _instant(request.GET.get("until", ""))
    if site is None or start is None or end is None or not start < end:
        raise Http404
    try:
        wanted = UUID(request.GET.get("practitioner", ""))
    except ValueError as error:
        raise Http404 from error
    practitioner = get_object_or_404(practitioners_of(site), public_id=wanted)
    with timezone.override(site.tz):
        now = timezone.now()
        free = start >= now and is_free(start, end, practitioner=practitioner.pk)
        time = FreeTime(site=site, practitioner=practitioner, starts_at=start)
        fitting = who_fits(time, user=request.user, now=now) if free else []
        day: date = start.astimezone(site.tz).date()
        trail.record(
            "free_time.viewed",
            by=request.user,
            details={
                "at": start.isoformat(),
                "site": str(site.public_id),
                "patients": [str(entry.plan.patient.public_id) for entry in fitting],
            },
        )
        context = {
            "place": site,
            "practitioner": practitioner,
            "start": start,
            "end": end,
            "free": free,
            "time": time,
            "offers": offers_of(fitting, time=time),
            "back_url": choice_from(
                {"day": day.isoformat()}, site=site, home=site == request.site, view="day", today=day
            ).url(),
        }
        return render(request, "sessions/calendar_free.html", context)


def _instant(text: str) -> datetime | None:
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    return at if at is not None and timezone.is_aware(at) and 1901 <= at.year < 2199 else None


# ------------------------------------------------------------------ one's visits in one's own calendar program


@requires(Permission.BOOKING_READ)
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def calendar_feed(request: ClinicRequest) -> HttpResponse:
    """Make an address, see it once, revoke it. The director also sees whose are open, and ends them."""
    secret = ""
    if request.method == "POST":
        _made, secret = feeds.make_feed(by=request.user)
    open_feeds = CalendarFeed.objects.filter(revoked_at__isnull=True).select_related("practitioner")
    context = {
        "feed": open_feeds.filter(practitioner=request.user).first(),
        "url": feeds.url_of(secret) if secret else "",
        "others": list(open_feeds.exclude(practitioner=request.user).order_by("practitioner__family_name", "pk"))
        if request.user.may(Permission.SETTINGS_WRITE)
        else [],
    }
    return render(request, "sessions/calendar_feed.html", context)


@requires(Permission.BOOKING_READ)
@require_POST
def calendar_feed_revoke(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """End one address: one's own, or for the director anybody's."""
    visible = CalendarFeed.objects.select_related("practitioner")
    if not request.user.may(Permission.SETTINGS_WRITE):
        visible = visible.filter(practitioner=request.user)
    feed = get_object_or_404(visible, public_id=public_id)
    try:
        feeds.revoke_feed(feed, by=request.user)
    except InvalidTransition as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, _("The address of %(name)s has ended.") % {"name": feed.practitioner.name})
    return redirect("sessions:calendar_feed")


@public("a calendar program has no account: the unguessable, revocable address is the permission, its text is neutral")
@require_safe
def feed(request: HttpRequest, secret: str) -> HttpResponse:
    """The calendar of one open address. Nothing is written but the count of wrong guesses."""
    if counted(_guesses_key(request)) >= WRONG_PER_ADDRESS:
        return _told(request, 429)
    found = feeds.feed_of(secret)
    if found is None:
        return _told(request, 429 if count(_guesses_key(request), seconds=WINDOW_SECONDS) > WRONG_PER_ADDRESS else 404)
    if not feeds.is_open(found):
        return _told(request, 410)
    now = timezone.now()
    with translation.override(found.practitioner.language):
        visits = feeds.visits_in(found, now=now)
        etag = f'"{feeds.version_of(visits)}-{translation.get_language()}"'
        changed_at = _since(found, etag, now)
        response = get_conditional_response(request, etag=etag, last_modified=int(changed_at.timestamp()))
        if response is None:
            text = feeds.calendar_of(found, visits, changed_at=changed_at)
            response = HttpResponse(text, content_type="text/calendar; charset=utf-8")
            response["ETag"] = etag
            response["Last-Modified"] = http_date(changed_at.timestamp())
            response["Content-Disposition"] = 'inline; filename="visits.ics"'
    response["Cache-Control"] = "private, no-cache"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _since(found: CalendarFeed, etag: str, now: datetime) -> datetime:
    """When the feed was first seen to say this, to the second. Forgotten, it is now: a program reads it once more."""
    whole = now.replace(microsecond=0)
    return cache.get_or_set(f"feed:since:{found.pk}:{etag}", whole, None) or whole


def _told(request: HttpRequest, status: int) -> HttpResponse:
    """One sentence for who opens the address in a browser; a program looks at the status."""
    words = {
        404: _("There is no calendar at this address."),
        410: _("This calendar address has ended. Make a new one in mesoclinic, under Calendar."),
        429: _("Too many wrong addresses. Please wait a quarter of an hour."),
    }
    response = HttpResponse(words[status], status=status, content_type="text/plain; charset=utf-8")
    if status == 429:
        response["Retry-After"] = str(WINDOW_SECONDS)
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _guesses_key(request: HttpRequest) -> str:
    return f"feeds:wrong:{get_adapter(request).get_client_ip(request)}"
