"""The director's pages: a site's hours, closures and rooms; a person's hours, absences and abilities.

Each page holds several forms; ``what`` says which one was sent. The page with that form bound comes back where
something is wrong with it; else it is opened anew.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.accounts.models import Site, User
from mesoclinic.audit import trail
from mesoclinic.audit.changes import NeedsConfirmation
from mesoclinic.audit.conflicts import Conflict
from mesoclinic.core.errors import DomainError, InvalidInput
from mesoclinic.core.reading import one_of
from mesoclinic.staff.actions import SITE_FIELDS, rename_clinic, update_site
from mesoclinic.ui.merging import MergingForm
from mesoclinic.ui.toasts import show_toast
from sessions.course.abilities import abilities, usual_codes
from sessions.models.hours import Abilities, Absence, SiteRules, TechniqueMinutes
from sessions.sites import actions
from sessions.sites.forms import (
    AbilitiesForm,
    AbsenceForm,
    ClinicForm,
    ClosureForm,
    ContactForm,
    DaysForm,
    HolidaysForm,
    HoursForm,
    RoomForm,
    TurnoverForm,
)
from sessions.sites.queries import (
    Misfit,
    absences_from,
    closures_from,
    holidays_from,
    minutes_a_week,
    misfits,
    opening_blocks,
    people_managed_by,
    sites_managed_by,
    working_blocks,
)

Forms = dict[str, Any]
MISFITS_SHOWN = 50


# ------------------------------------------------------------------ what the pages share


def _send(request: ClinicRequest, form: Form, change: Callable[[], str], *, back: str) -> HttpResponse | None:
    """Make the change and open the page anew; None where the form has to be looked at again."""
    if not form.is_valid():
        return None
    try:
        if isinstance(form, MergingForm):
            form.merge()
        told = change()
    except Conflict as conflict:
        form.ask(conflict)  # type: ignore[attr-defined]
        return None
    except NeedsConfirmation as question:
        form.consequences = question.consequences  # type: ignore[attr-defined]
        return None
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return None
    show_toast(request, told)
    return redirect(back)


def _shown(found: list[Misfit], *, user: User, of: Site | User) -> dict[str, Any]:
    """The visits that no longer fit, as the page lists them. Whose they are is a look at patients' records."""
    if found:
        patients = sorted({str(entry.visit.patient.public_id) for entry in found})
        trail.record("misfits.viewed", by=user, target=of, details={"patients": patients})
    return {"misfits": found[:MISFITS_SHOWN], "misfits_more": max(0, len(found) - MISFITS_SHOWN)}


@requires(Permission.BOOKING_WRITE)
@require_safe
def misfit_list(request: ClinicRequest) -> HttpResponse:
    """For whoever books: the visits of the site at hand that no longer fit, each with a way to move it."""
    if request.site is None:
        return render(request, "sessions/no_site.html")
    found = misfits(site=request.site, user=request.user, now=timezone.now())
    context = {"place": request.site, **_shown(found, user=request.user, of=request.site)}
    return render(request, "sessions/misfit_list.html", context)


# ------------------------------------------------------------------ sites


@requires(Permission.RESOURCES_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def site_list(request: ClinicRequest) -> HttpResponse:
    """The sites with what is open there, and the name of the clinic."""
    clinic = request.clinic
    named = {"name": clinic.name if clinic else ""}
    form = ClinicForm(request.POST if request.method == "POST" else None, initial=named, stored=named)
    if request.method == "POST" and clinic is not None:

        def rename() -> str:
            rename_clinic(clinic=clinic, name=form.cleaned_data["name"], by=request.user, seen=form.seen)
            return _("Saved. Mails that wait say so already; prints are made anew when you ask for them.")

        if answer := _send(request, form, rename, back=reverse("resources:sites")):
            return answer
    rows = []
    for site in sites_managed_by(request.user).prefetch_related("rooms"):
        today = timezone.now().astimezone(site.tz).date()
        coming = closures_from(site, since=today)
        rows.append(
            {
                "site": site,
                "hours": minutes_a_week(opening_blocks(site)) // 60,
                "rooms": [room for room in site.rooms.all() if room.is_active],
                "closure": coming[0] if coming else None,
            }
        )
    return render(request, "sessions/site_list.html", {"rows": rows, "form": form}, status=400 if form.errors else 200)


@requires(Permission.RESOURCES_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def site(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    shown = get_object_or_404(sites_managed_by(request.user), public_id=public_id)
    now = timezone.now()
    what = request.POST.get("what", "") if request.method == "POST" else ""
    forms = _site_forms(request, shown, what)
    refusal: DomainError | None = None
    if request.method == "POST":
        try:
            answer = _change_site(request, shown, forms, what)
        except DomainError as error:
            refusal = error
        else:
            if answer is not None:
                return answer
    today = now.astimezone(shown.tz).date()
    context = {
        "place": shown,
        "forms": forms,
        "refusal": refusal,
        "closures": closures_from(shown, since=today),
        "holidays": holidays_from(shown, since=today),
        **_shown(misfits(site=shown, user=request.user, now=now), user=request.user, of=shown),
    }
    return render(request, "sessions/site.html", context, status=400 if request.method == "POST" else 200)


def _site_forms(request: ClinicRequest, site: Site, what: str) -> Forms:
    def given(name: str) -> Any:
        return request.POST if what == name else None

    rules = SiteRules.objects.filter(site=site).first() or SiteRules(site=site)
    minutes = {"prepare": rules.prepare_minutes, "cleanup": rules.cleanup_minutes}
    for row in TechniqueMinutes.objects.filter(site=site):
        minutes |= {f"prepare-{row.technique}": row.prepare_minutes, f"cleanup-{row.technique}": row.cleanup_minutes}
    contact = {name: getattr(site, name) for name in SITE_FIELDS}
    holidays = {"country": rules.country, "region": rules.region}
    return {
        "contact": ContactForm(given("contact"), prefix="contact", initial=contact, stored=contact),
        "hours": HoursForm(given("hours"), prefix="hours", blocks=opening_blocks(site)),
        "holidays": HolidaysForm(given("holidays"), prefix="holidays", initial=holidays, stored=holidays),
        "minutes": TurnoverForm(given("minutes"), prefix="minutes", initial=minutes, stored=minutes),
        "closure": ClosureForm(given("closure"), prefix="closure"),
        "rooms": [
            RoomForm(given(f"room-{room.public_id}"), prefix=f"room-{room.public_id}", room=room)
            for room in site.rooms.order_by("-is_active", "name")
        ],
        "room": RoomForm(given("room"), prefix="room"),
    }


def _site_changes(request: ClinicRequest, site: Site, forms: Forms) -> dict[str, Callable[[], str]]:
    """Return by form what sending it does; each says in a sentence what was done."""
    by = request.user

    def contact() -> str:
        update_site(site=site, changes=forms["contact"].cleaned_data, by=by, seen=forms["contact"].seen)
        return _("Saved. Mails that wait say so already; prints are made anew when you ask for them.")

    def hours() -> str:
        actions.set_opening_hours(site=site, blocks=forms["hours"].blocks(), by=by)
        return _("The opening hours are saved.")

    def holidays() -> str:
        actions.set_holidays(site=site, **forms["holidays"].cleaned_data, by=by)
        return _("The public holidays are saved.")

    def minutes() -> str:
        form = forms["minutes"]
        actions.set_turnover(site=site, usual=form.usual(), of_techniques=form.of_techniques(), by=by)
        return _("Saved. What is booked already keeps the minutes it was booked with.")

    def closure() -> str:
        entered = forms["closure"].cleaned_data
        first, last = entered["first"], entered["last"] or entered["first"]
        days = actions.close_site(
            site=site,
            first=first,
            last=last,
            reason=entered["reason"],
            by=by,
            confirmed=request.POST.get("confirmed") == f"{first} {last}",
        )
        return ngettext("Closed for %(n)s day.", "Closed for %(n)s days.", days) % {"n": days}

    def room() -> str:
        added = actions.add_room(
            site=site, name=forms["room"].cleaned_data["name"], serves=forms["room"].cleaned_data["serves"], by=by
        )
        return _("%(room)s is added.") % {"room": added}

    return {
        "contact": contact,
        "hours": hours,
        "holidays": holidays,
        "minutes": minutes,
        "closure": closure,
        "room": room,
    }


def _change_site(request: ClinicRequest, site: Site, forms: Forms, what: str) -> HttpResponse | None:
    """Do what the form ``what`` asks for; None where it has to be looked at again."""
    by, page = request.user, reverse("resources:site", args=[site.public_id])
    changes = _site_changes(request, site, forms)
    if what in changes:
        return _send(request, forms[what], changes[what], back=f"{page}#{what}")
    if what in ("reopen", "holiday"):
        first, last = _days(request)
        if what == "reopen":
            actions.reopen_site(site=site, first=first, last=last, by=by)
            show_toast(request, _("Open again on these days."))
            return redirect(f"{page}#closure")
        opened = one_of(request.POST, "opened", ("yes", "no")) == "yes"
        actions.open_on_holiday(site=site, day=first, opened=opened, by=by)
        show_toast(request, _("Open on this holiday.") if opened else _("Closed on this holiday."))
        return redirect(f"{page}#holidays")
    for form in forms["rooms"]:
        if what == form.prefix:
            confirmed = "confirmed" in request.POST
            return _send(request, form, _room_changed(form, by, confirmed=confirmed), back=f"{page}#room")
    raise InvalidInput(_("Choose a button from the page."))


def _room_changed(form: RoomForm, by: User, *, confirmed: bool) -> Callable[[], str]:
    def change() -> str:
        assert form.room is not None  # noqa: S101 - a form of an existing room
        room = actions.change_room(room=form.room, **form.cleaned_data, by=by, confirmed=confirmed)
        return _("%(room)s is saved.") % {"room": room}

    return change


def _days(request: ClinicRequest) -> tuple[date, date]:
    form = DaysForm(request.POST)
    if not form.is_valid():
        raise InvalidInput(_("Choose a button from the page."))
    return form.cleaned_data["first"], form.cleaned_data["last"]


# ------------------------------------------------------------------ people


@requires(Permission.RESOURCES_WRITE)
@require_safe
def person_list(request: ClinicRequest) -> HttpResponse:
    sites = list(sites_managed_by(request.user))
    today = timezone.localdate()
    rows = []
    people = people_managed_by(request.user).prefetch_related("role_grants", "sites", "working_hours", "absences")
    for who in people:
        coming = [absence for absence in who.absences.all() if absence.last_day >= today]
        rows.append(
            {
                "person": who,
                "weeks": [
                    {
                        "site": site,
                        "hours": minutes_a_week(row for row in who.working_hours.all() if row.site_id == site.pk) // 60,  # type: ignore[misc]
                    }
                    for site in sites
                    if site in who.sites.all()
                ],
                "absence": coming[0] if coming else None,
            }
        )
    return render(request, "sessions/person_list.html", {"rows": rows})


@requires(Permission.RESOURCES_WRITE)
@require_http_methods(["GET", "HEAD", "POST"])
def person(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    shown = get_object_or_404(people_managed_by(request.user), public_id=public_id)
    now = timezone.now()
    what = request.POST.get("what", "") if request.method == "POST" else ""
    places = list(sites_managed_by(request.user).filter(pk__in=shown.site_ids))
    forms = _person_forms(request, shown, places, what)
    refusal: DomainError | None = None
    if request.method == "POST":
        try:
            answer = _change_person(request, shown, forms, what)
        except DomainError as error:
            refusal = error
        else:
            if answer is not None:
                return answer
    found = [entry for place in places for entry in misfits(site=place, user=request.user, now=now, person=shown)]
    context = {
        "person": shown,
        "forms": forms,
        "refusal": refusal,
        "absences": absences_from(shown, since=_today(places, now)),
        **_shown(sorted(found, key=lambda entry: entry.visit.starts_at), user=request.user, of=shown),
    }
    return render(request, "sessions/person.html", context, status=400 if request.method == "POST" else 200)


def _today(places: list[Site], now: datetime) -> date:
    """The earliest day that it still is at one of these sites."""
    return min([now.astimezone(site.tz).date() for site in places], default=now.date())


def _person_forms(request: ClinicRequest, person: User, places: list[Site], what: str) -> Forms:
    def given(name: str) -> Any:
        return request.POST if what == name else None

    codes = [ability.code for ability in abilities()]
    own = dict(Abilities.objects.filter(person=person, site__in=places).values_list("site_id", "codes"))
    return {
        "absence": AbsenceForm(given("absence"), prefix="absence", sites=places),
        "places": [
            {
                "site": site,
                "hours": HoursForm(
                    given(f"hours-{site.public_id}"),
                    prefix=f"hours-{site.public_id}",
                    blocks=working_blocks(person, site),
                ),
                "abilities": AbilitiesForm(
                    given(f"abilities-{site.public_id}"),
                    prefix=f"abilities-{site.public_id}",
                    initial=(may := {"codes": list(own.get(site.pk, usual_codes(person, codes)))}),
                    stored=may,
                ),
                "usual": site.pk not in own,
            }
            for site in places
        ],
    }


def _change_person(request: ClinicRequest, person: User, forms: Forms, what: str) -> HttpResponse | None:
    by, page = request.user, reverse("resources:person", args=[person.public_id])

    def absence() -> str:
        entered = forms["absence"].cleaned_data
        actions.add_absence(
            person=person,
            first_day=entered["first_day"],
            last_day=entered["last_day"] or entered["first_day"],
            starts=entered["starts"],
            ends=entered["ends"],
            kind=entered["kind"],
            site=entered.get("site"),
            by=by,
        )
        return _("The absence is saved.")

    if what == "absence":
        return _send(request, forms["absence"], absence, back=f"{page}#absence")
    if what == "absence_off":
        wanted = request.POST.get("absence", "")
        row = next((row for row in Absence.objects.filter(person=person) if str(row.public_id) == wanted), None)
        if row is not None:  # sent twice, it is gone already
            actions.remove_absence(absence=row, by=by)
        show_toast(request, _("The absence is taken out."))
        return redirect(f"{page}#absence")
    for place in forms["places"]:
        site: Site = place["site"]
        for kind in ("hours", "abilities"):
            form = place[kind]
            if what == form.prefix:
                return _send(request, form, _place_changed(kind, form, person, site, by), back=f"{page}#{what}")
    raise InvalidInput(_("Choose a button from the page."))


def _place_changed(kind: str, form: Any, person: User, site: Site, by: User) -> Callable[[], str]:
    def change() -> str:
        if kind == "hours":
            actions.set_working_hours(person=person, site=site, blocks=form.blocks(), by=by)
            return _("The hours are saved.")
        actions.set_abilities(person=person, site=site, codes=form.cleaned_data["codes"], by=by)
        return _("Saved.")

    return change
