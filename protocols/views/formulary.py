"""The pages of the formulary: catalogue, claims, versions and what they change."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from mesoclinic.accounts.access import Permission, requires
from mesoclinic.accounts.middleware import ClinicRequest
from mesoclinic.core.errors import DomainError
from mesoclinic.core.reading import one_of
from mesoclinic.core.sorting import by_words
from mesoclinic.ui.toasts import show_toast
from protocols.actions.formulary import confirm_entry, load_formulary_draft, publish_formulary, set_entry_active
from protocols.formulary.catalogue import Catalogue, matching
from protocols.formulary.difference import Part, differences, release_notes
from protocols.formulary.loader import release_label
from protocols.formulary.queries import formulary_in_force, formulary_versions, release_to_load, version_before
from protocols.formulary.words import VERDICT_NAMES
from protocols.models import FormularyEntry, FormularyVersion, Ingredient
from protocols.models.enums import FormularyStatus
from protocols.permissions import can_change_formulary
from protocols.views.forms import CatalogueFilterForm, NewVersionForm


@requires(Permission.FORMULARY_NAMES)
@require_GET
def catalogue(request: ClinicRequest) -> HttpResponse:
    """The ingredients of the formulary in force. Without the right to read it, their names only."""
    version = formulary_in_force()
    context: dict[str, Any] = {"version": version}
    if version is None:
        context["drafts"] = FormularyVersion.objects.filter(status=FormularyStatus.DRAFT).defer("documents").exists()
    elif request.user.may(Permission.FORMULARY_READ):
        contents = Catalogue(version)
        form = CatalogueFilterForm(request.GET, concerns=contents.concern_choices())
        rows = contents.rows()
        shown = matching(rows, **form.chosen)
        context |= {
            "form": form,
            "rows": shown,
            "total": len(rows),
            "filtered": bool(form.chosen),
            "contents": contents,
        }
    else:
        names = Ingredient.objects.filter(entries__version=version).values_list("name", flat=True)
        context["names"] = sorted(map(_, names), key=by_words)
    template = "protocols/catalogue.html" + ("#ingredient-rows" if request.htmx and "rows" in context else "")
    return render(request, template, context)


@requires(Permission.FORMULARY_READ)
@require_GET
def ingredient(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """One ingredient as one version has it: the one asked for, else the one in force, else the newest that lists it."""
    ingredient = get_object_or_404(Ingredient, public_id=public_id)
    versions = FormularyVersion.objects.defer("documents").filter(entries__ingredient=ingredient)
    version: FormularyVersion | None
    asked = request.GET.get("version", "")
    if asked:
        version = get_object_or_404(versions, label=asked)
    else:
        version = versions.filter(status=FormularyStatus.PUBLISHED).first() or versions.order_by("-created_at").first()
    if version is None:
        raise Http404
    contents = Catalogue(version)
    entry = version.entries.select_related("ingredient", "confirmed_by").get(ingredient=ingredient)
    page = contents.page(entry)
    return render(
        request,
        "protocols/ingredient.html",
        {
            "version": version,
            "entry": entry,
            "page": page,
            "products": ingredient.products.filter(is_active=True),
            "versions": versions.order_by("-created_at"),
            "may_change": can_change_formulary(version, by=request.user),
        },
    )


@requires(Permission.FORMULARY_READ)
@require_GET
def claims(request: ClinicRequest) -> HttpResponse:
    """What the web article says and how far each statement holds; for staff alone."""
    version = formulary_in_force()
    if version is None:
        return redirect("protocols:catalogue")
    contents = Catalogue(version)
    everything = contents.claims()
    verdict = request.GET.get("verdict", "")
    counts = Counter(claim.verdict for claim in everything)
    context = {
        "version": version,
        "claims": [claim for claim in everything if verdict not in VERDICT_NAMES or claim.verdict == verdict],
        "total": len(everything),
        "verdict": verdict if verdict in VERDICT_NAMES else "",
        "verdicts": [(key, words, counts[key]) for key, words in VERDICT_NAMES.items() if counts[key]],
        "traced": contents.unproven_claim(),
        "contents": contents,
    }
    return render(request, "protocols/claims.html", context)


@requires(Permission.FORMULARY_READ)
@require_GET
def versions(request: ClinicRequest) -> HttpResponse:
    return _versions_page(request, NewVersionForm(initial={"label": release_label()}))


def _versions_page(request: ClinicRequest, form: NewVersionForm, *, status: int = 200) -> HttpResponse:
    context = {"versions": formulary_versions(), "form": form, "brought": release_to_load()}
    return render(request, "protocols/versions.html", context, status=status)


@requires(Permission.FORMULARY_WRITE)
@require_POST
def version_new(request: ClinicRequest) -> HttpResponse:
    """A draft from the formulary files that came with this release."""
    form = NewVersionForm(request.POST)
    if form.is_valid():
        sample = bool(request.clinic and request.clinic.is_sample)
        try:
            version = load_formulary_draft(label=form.cleaned_data["label"], is_sample=sample, by=request.user)
        except DomainError as refusal:
            form.add_error(refusal.field, str(refusal))
        else:
            return redirect("protocols:version", version.public_id)
    return _versions_page(request, form, status=400)


def _version_page(
    request: ClinicRequest, version: FormularyVersion, *, error: str = "", status: int = 200
) -> HttpResponse:
    contents = Catalogue(version)
    rows = contents.rows()
    waiting = [row for row in rows if row.needs_confirmation]
    context = {
        "version": version,
        "contents": contents,
        "rows": rows,
        "flagged": [row for row in rows if row.entry.confirmation_required],
        "others": [row for row in rows if not row.entry.confirmation_required],
        "waiting": waiting,
        "active_count": sum(row.entry.is_active for row in rows),
        "may_change": can_change_formulary(version, by=request.user),
        "in_force": formulary_in_force(),
        "before": version_before(version),
        "error": error,
    }
    template = "protocols/version.html" + ("#version-body" if request.htmx else "")
    return render(request, template, context, status=status)


def _version(public_id: UUID) -> FormularyVersion:
    return get_object_or_404(
        FormularyVersion.objects.defer("documents").select_related("published_by"), public_id=public_id
    )


@requires(Permission.FORMULARY_READ)
@require_GET
def version(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    return _version_page(request, _version(public_id))


@requires(Permission.FORMULARY_READ)
@require_GET
def version_changes(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    """What a version says otherwise than another: by default than the one before it, or the one in force."""
    version = _version(public_id)
    others = [other for other in formulary_versions() if other.pk != version.pk]
    label = request.GET.get("than", "")
    before = next((other for other in others if other.label == label), None) or version_before(version)
    parts: list[Part] = []
    if before is not None:
        parts = differences(Catalogue(before), Catalogue(version))
    context = {
        "version": version,
        "before": before,
        "others": others,
        "notes": release_notes(Catalogue(version)),
        "parts": parts,
        "count": sum(len(part.rows) for part in parts),
    }
    return render(request, "protocols/version_changes.html", context)


def _change_entry(request: ClinicRequest, public_id: UUID, ingredient_id: UUID, change: Any) -> HttpResponse:
    version = _version(public_id)
    entries = FormularyEntry.objects.select_related("version", "ingredient").defer("version__documents")
    entry = get_object_or_404(entries, version=version, ingredient__public_id=ingredient_id)
    try:
        change(entry)
    except DomainError as refusal:
        return _version_page(request, version, error=str(refusal), status=refusal.status)
    if request.htmx:
        return _version_page(request, version)
    if request.POST.get("next") == "ingredient":
        url = reverse("protocols:ingredient", args=[ingredient_id])
        return redirect(f"{url}?version={version.label}")
    return redirect(reverse("protocols:version", args=[public_id]) + f"#entry-{entry.ingredient.key}")


@requires(Permission.FORMULARY_WRITE)
@require_POST
def entry_switch(request: ClinicRequest, public_id: UUID, ingredient_id: UUID) -> HttpResponse:
    active = one_of(request.POST, "active", ("1", "0")) == "1"
    return _change_entry(
        request, public_id, ingredient_id, lambda entry: set_entry_active(entry=entry, active=active, by=request.user)
    )


@requires(Permission.FORMULARY_WRITE)
@require_POST
def entry_confirm(request: ClinicRequest, public_id: UUID, ingredient_id: UUID) -> HttpResponse:
    return _change_entry(request, public_id, ingredient_id, lambda entry: confirm_entry(entry=entry, by=request.user))


@requires(Permission.FORMULARY_WRITE)
@require_POST
def version_publish(request: ClinicRequest, public_id: UUID) -> HttpResponse:
    version = _version(public_id)
    try:
        publish_formulary(version=version, by=request.user)
    except DomainError as refusal:
        return _version_page(request, version, error=str(refusal), status=refusal.status)
    show_toast(request, _("Formulary %(label)s is in force.") % {"label": version.label})
    return redirect("protocols:version", public_id)
