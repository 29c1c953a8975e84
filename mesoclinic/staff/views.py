"""The pages of staff: list, details, password, end of access."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages as notices
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mesoclinic.accounts.access import Permission, public, requires, signed_in
from mesoclinic.accounts.middleware import SITE_KEY, ClinicRequest
from mesoclinic.accounts.models import User
from mesoclinic.accounts.queries import person_details
from mesoclinic.accounts.queries import staff_list as staff
from mesoclinic.audit import trail
from mesoclinic.audit.changes import NeedsConfirmation
from mesoclinic.audit.conflicts import Conflict
from mesoclinic.core.errors import DomainError
from mesoclinic.login.again import SENT
from mesoclinic.staff import actions
from mesoclinic.staff.forms import NewPersonForm, PersonForm


@public("a page asks, before it sends a form, whether its reader is still signed in; it says nothing else")
@require_safe
@never_cache
def here(request: HttpRequest) -> JsonResponse:
    """Say who is signed in, by public id, and the token that a form of theirs needs now."""
    who = str(request.user.public_id) if request.user.is_authenticated else ""
    return JsonResponse({"who": who, "token": get_token(request)})


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def again(request: ClinicRequest) -> HttpResponse:
    """Offer once more what the same person sent after their log-in had ended, or drop it; others get nothing of it."""
    sent = request.session.get(SENT)
    if request.method == "POST" or not sent or sent["who"] != str(request.user.public_id):
        request.session.pop(SENT, None)
        return redirect("/")
    words = [text for _name, text in sent["fields"] if " " in text.strip()]
    context = {"path": sent["path"], "fields": sent["fields"], "words": words}
    return render(request, "accounts/again.html", context)


@signed_in
@require_POST
def site_choose(request: ClinicRequest) -> HttpResponse:
    """Work at another of one's own sites; a site that is not one's own changes nothing."""
    chosen = request.POST.get("site", "")
    site = next((site for site in request.user.sites.all() if str(site.public_id) == chosen), None)
    if site is not None:
        request.session[SITE_KEY] = str(site.public_id)
    return redirect(_way_back(request))


@signed_in
@require_POST
def language_choose(request: ClinicRequest) -> HttpResponse:
    """One's own language, for every page; nobody else's changes."""
    actions.choose_language(language=request.POST.get("language", ""), by=request.user)
    return redirect(_way_back(request))


def _way_back(request: ClinicRequest) -> str:
    """Return the page of ours that the form names, or Today."""
    back = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return back if ours and back.startswith("/") else "/"  # anything else would be taken for a page's name


@requires(Permission.SETTINGS_WRITE)
@require_safe
def staff_list(request: ClinicRequest) -> HttpResponse:
    return render(request, "accounts/staff_list.html", {"people": staff()})


@requires(Permission.SETTINGS_WRITE)
@require_http_methods(["GET", "POST"])
@never_cache
def staff_new(request: ClinicRequest) -> HttpResponse:
    form = NewPersonForm(request.POST or None, initial={"language": request.user.language})
    if request.method == "POST" and form.is_valid():
        password = actions.make_password()
        try:
            person = actions.add_person(**form.cleaned_data, password=password, by=request.user)
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            return _show_password(request, person, password)
    status = 400 if form.errors else 200
    context = {"form": form, "person": None, "consequences": ()}
    return render(request, "accounts/staff_form.html", context, status=status)


@requires(Permission.SETTINGS_WRITE)
@require_http_methods(["GET", "POST"])
def staff_edit(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    person = get_object_or_404(User, public_id=public_id)
    stored = person_details(person)
    form = PersonForm(request.POST if request.method == "POST" else None, initial=stored, stored=stored)
    consequences: tuple[str, ...] = ()
    if request.method == "POST" and form.is_valid():
        try:
            actions.update_person(
                person=person, **form.mine(), by=request.user, confirmed="confirmed" in request.POST, seen=form.seen
            )
        except Conflict as conflict:
            form.ask(conflict)
        except NeedsConfirmation as question:
            consequences = question.consequences
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            notices.success(request, _("Saved: %(name)s.") % {"name": person.name})
            return redirect("accounts:staff")
    status = 400 if form.errors else 422 if consequences else 200
    context = {"form": form, "person": person, "consequences": consequences}
    return render(request, "accounts/staff_form.html", context, status=status)


@requires(Permission.SETTINGS_WRITE)
@require_POST
def staff_deactivate(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """End somebody's access; where visits are booked with them, only after these were shown."""
    person = get_object_or_404(User, public_id=public_id)
    try:
        actions.deactivate_person(person=person, by=request.user, confirmed="confirmed" in request.POST)
    except NeedsConfirmation as question:
        context = {"person": person, "consequences": question.consequences}
        return render(request, "accounts/staff_deactivate.html", context, status=422)
    notices.success(request, _("%(name)s can no longer log in.") % {"name": person.name})
    return redirect("accounts:staff")


@requires(Permission.SETTINGS_WRITE)
@require_POST
def staff_activate(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    person = get_object_or_404(User, public_id=public_id)
    actions.activate_person(person=person, by=request.user)
    notices.success(request, _("%(name)s can log in again.") % {"name": person.name})
    return redirect("accounts:staff")


@requires(Permission.SETTINGS_WRITE)
@require_POST
@never_cache
def staff_password(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    person = get_object_or_404(User, public_id=public_id)
    password = actions.make_password()
    actions.renew_password(person=person, password=password, by=request.user)
    return _show_password(request, person, password)


def _show_password(request: ClinicRequest, person: User, password: str) -> HttpResponse:
    """Once, on this page only: it is stored nowhere and sent nowhere."""
    trail.record("person.password_shown", by=request.user, target=person)
    return render(request, "accounts/staff_password.html", {"person": person, "password": password})
